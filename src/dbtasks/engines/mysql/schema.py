"""What MySQL and MariaDB need around Alembic's operations."""

from dbtasks.engines.base import schema as base
from dbtasks.engines.base.definitions import INDEX, Change, Key

DEFAULTS = {"row_format": "DEFAULT", "checksum": "0", "delay_key_write": "0", "page_checksum": "0"}
"""What an option is that a table does not name."""


class SchemaOperations(base.SchemaOperations):
    """Know the options of tables, and the indexes that are unique."""

    def rename(self, old: Key, new: Key) -> str | None:
        """Return it for indexes."""
        if old.kind != INDEX:
            return None
        quote = self.dialect.identifier_preparer.quote
        table = self.quoted(*old.place)
        return f"ALTER TABLE {table} RENAME INDEX {quote(old.name)} TO {quote(new.name)}"

    def alter_table(self, change: Change) -> list[str]:
        """Return what changes the engine, the character set and other options of a table.

        Columns without a character set of their own have that of the table.
        """
        assert change.before is not None
        assert change.after is not None
        new = change.after.attributes
        options = {
            name: new.get(name) or DEFAULTS.get(name, "DEFAULT")
            for name in sorted(change.attributes - {"comment", "more"})
        }
        sql = []
        if {"charset", "collate"} & {*options}:
            charset = f"CONVERT TO CHARACTER SET {new['charset']}"
            sql.append(charset + (f" COLLATE {new['collate']}" if "collate" in new else ""))
        rest = options.keys() - {"charset", "collate"}
        sql += [f"{name.upper()}={options[name]}" for name in sorted(rest)]
        return [f"ALTER TABLE {self.quoted(*change.key.place)} {action}" for action in sql]
