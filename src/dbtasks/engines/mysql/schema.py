"""What MySQL and MariaDB need around Alembic's operations."""

from collections.abc import Sequence

from dbtasks.engines.base import schema as base
from dbtasks.engines.base.definitions import INDEX, SEQUENCE, Change, Key
from dbtasks.engines.base.schema import Definitions, Operation, Statements

DEFAULTS = {"row_format": "DEFAULT", "checksum": "0", "delay_key_write": "0", "page_checksum": "0"}
"""What an option is that a table does not name."""


class SchemaOperations(base.SchemaOperations):
    """Know the options of tables, the indexes that are unique, and MariaDB's sequences."""

    def beside_tables(
        self, before: Definitions, after: Definitions, changes: Sequence[Change]
    ) -> tuple[list[Operation], list[Operation]]:
        """Return those on sequences."""
        first: list[Operation] = []
        last: list[Operation] = []
        for change in (change for change in changes if change.key.kind == SEQUENCE):
            name = self.quoted(None, change.key.name)
            if change.after is None:
                drop = f"DROP SEQUENCE {name}"
                last.append(Statements(f"drop sequence {change.key.name}", [drop]))
            else:
                verb = "ALTER" if change.before else "CREATE"
                sql = f"{verb} SEQUENCE {name} {change.after.sql}"
                words = f"{'change' if change.before else 'create'} sequence {change.key.name}"
                first.append(Statements(words, [sql]))
        return first, last

    def rename(self, old: Key, new: Key) -> str | None:
        """Return it for indexes."""
        if old.kind != INDEX:
            return None
        table = self.quoted(*old.place)
        return f"ALTER TABLE {table} RENAME INDEX {self.quote(old.name)} TO {self.quote(new.name)}"

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
