"""What SQLite tells of its indexes, and SQLAlchemy does not reflect."""

from collections.abc import Mapping

from sqlalchemy import Connection

from dbtasks.engines.base.indexes import Indexing

# A part of an expression has no name; BINARY is the collation of a column that says nothing else.
STATEMENTS = """
SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL
    AND EXISTS (
        SELECT 1 FROM pragma_index_xinfo(sqlite_master.name)
        WHERE key AND (name IS NULL OR "desc" OR coll <> 'BINARY')
    )
"""


class SQLiteIndexing(Indexing):
    """Ask SQLite for the order and the collation of an index, and for those on expressions."""

    hides_indexes = True

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them for those on expressions, and in another order."""
        rows = connection.exec_driver_sql(STATEMENTS, (table,))
        return {str(row.name): str(row.sql) for row in rows}
