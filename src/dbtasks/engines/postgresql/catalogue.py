"""Which tables a PostgreSQL database has."""

from sqlalchemy import text

from dbtasks.engines.base.catalogue import StatementCatalogue

# A partition is read and emptied with its parent, and so is a table that inherits. In a schema
# that no model names only the tables of this role count: others keep their own there.
POSTGRESQL = text("""
    SELECT n.nspname, c.relname, n.nspname = ANY (current_schemas(false))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
            AND d.deptype = 'e')
        AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
        AND (n.nspname = ANY (current_schemas(false)) OR n.nspname IN :schemas
            OR pg_catalog.pg_has_role(c.relowner, 'USAGE'))
    ORDER BY 1, 2
    """)


class PostgreSQLCatalogue(StatementCatalogue):
    """Leave out partitions, heirs, and what extensions have made."""

    exact = True
    statement = POSTGRESQL
