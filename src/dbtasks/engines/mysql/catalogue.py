"""Which tables a MySQL database has."""

from sqlalchemy import text

from dbtasks.engines.base.catalogue import StatementCatalogue

MYSQL = text("""
    SELECT table_schema, table_name, table_schema = DATABASE()
    FROM information_schema.tables
    WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
        AND (table_schema = DATABASE() OR table_schema IN :schemas)
    ORDER BY 1, 2
    """)


class MySQLCatalogue(StatementCatalogue):
    """A schema is a database of the same server."""

    statement = MYSQL
