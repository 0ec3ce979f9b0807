"""Which tables a SQLite file has."""

from sqlalchemy import text

from dbtasks.engines.base.catalogue import StatementCatalogue

# The shadow tables are those in which FTS5 and its kin keep the rows of a virtual table.
SQLITE = text("""
    SELECT schema, name, schema = 'main' FROM pragma_table_list
    WHERE type IN ('table', 'virtual') AND substr(name, 1, 7) <> 'sqlite_'
        AND (schema = 'main' OR schema IN :schemas)
    ORDER BY 1, 2
    """)


class SQLiteCatalogue(StatementCatalogue):
    """A schema is an attached file."""

    statement = SQLITE
