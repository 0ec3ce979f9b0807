"""Which tables a SQLite file has."""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, text

from dbtasks.engines.base.catalogue import StatementCatalogue
from dbtasks.engines.sqlite.create_table import PrimaryKey, Unique, parse

# The shadow tables are those in which FTS5 and its kin keep the rows of a virtual table.
SQLITE = text("""
    SELECT schema, name, schema = 'main' FROM pragma_table_list
    WHERE type IN ('table', 'virtual') AND substr(name, 1, 7) <> 'sqlite_'
        AND (schema = 'main' OR schema IN :schemas)
    ORDER BY 1, 2
    """)

# In which REPLACE stands somewhere; as a conflict clause only the parser knows.
REPLACING = text("""
    SELECT name, sql FROM {}.sqlite_master WHERE type = 'table' AND sql LIKE '%replace%'
    """).text


class SQLiteCatalogue(StatementCatalogue):
    """A schema is an attached file."""

    statement = SQLITE

    def replacing(self, connection: Connection) -> Collection[str]:
        """Return the tables with a key that says ON CONFLICT REPLACE."""
        return {name.lower() for name, sql in self._mentioning(connection) if _replaces(sql)}

    def _mentioning(self, connection: Connection) -> Iterator[tuple[str, str]]:
        quote = connection.dialect.identifier_preparer.quote
        for _, schema, _ in connection.exec_driver_sql("PRAGMA database_list").all():
            yield from connection.exec_driver_sql(REPLACING.format(quote(schema)))


def _replaces(sql: str) -> bool:
    """Whether a conflict deletes rows: NOT NULL ON CONFLICT REPLACE puts in a default."""
    keys = [key for key in parse(sql).constraints if isinstance(key, (PrimaryKey, Unique))]
    return any(key.conflict == "REPLACE" for key in keys)
