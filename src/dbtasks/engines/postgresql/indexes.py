"""What PostgreSQL tells of its indexes, and SQLAlchemy does not reflect."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from dbtasks.engines.base.indexes import Indexing

POSTGRESQL_STATEMENTS = text(
    "SELECT i.relname, pg_get_indexdef(i.oid, 0, true) FROM pg_index x "
    "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relname = :table AND n.nspname = COALESCE(:schema, current_schema()) "
    "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid "
    "AND c.conrelid = x.indrelid)"
)


class PostgreSQLIndexing(Indexing):
    """Ask PostgreSQL, as SQLAlchemy knows no order of an expression."""

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them for all that are of no constraint."""
        found = connection.execute(POSTGRESQL_STATEMENTS, {"table": table, "schema": schema})
        return {str(name): str(sql) for name, sql in found}
