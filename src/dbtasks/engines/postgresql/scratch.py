"""Scratch databases on a PostgreSQL server."""

from collections.abc import Sequence

from sqlalchemy import Connection, inspect
from sqlalchemy.schema import CreateSchema

from dbtasks.engines.base.scratch import MARK, ServerScratch


class PostgreSQLScratch(ServerScratch):
    """Make a database of a PostgreSQL server."""

    entrances = ("postgres", "template1")
    names = "SELECT datname FROM pg_database"
    identity = """
        SELECT format('%s %s', system_identifier, (
            SELECT oid FROM pg_database WHERE datname = current_database()))
        FROM pg_control_system()
    """
    marked = f"SELECT to_regclass('{MARK}')::oid::bigint"
    objects = """
        SELECT format('DROP %s IF EXISTS %s CASCADE', replace(o.type, ' object', ''), o.identity)
        FROM (SELECT 1, 'pg_extension'::regclass, oid FROM pg_extension
              UNION ALL
              SELECT 2, d.classid, d.objid FROM pg_depend d JOIN pg_namespace n
              ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
              WHERE d.deptype = 'n' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
              UNION ALL
              SELECT 3, 'pg_namespace'::regclass, oid FROM pg_namespace) s (turn, class, id),
             pg_identify_object(s.class, s.id, 0) o
        WHERE s.id::bigint > :since ORDER BY s.turn, s.class <> 'pg_class'::regclass, s.id
    """
    sessions = """
        SELECT format('SELECT pg_terminate_backend(%s)', pid) FROM pg_stat_activity
        WHERE datname = :name AND pid <> pg_backend_pid()
    """
    extensions = """
        SELECT format('CREATE SCHEMA IF NOT EXISTS %%1$I; '
                      'CREATE EXTENSION IF NOT EXISTS %%2$I SCHEMA %%1$I CASCADE',
                      n.nspname, e.extname)
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE n.nspname <> 'pg_catalog' ORDER BY e.oid
    """
    types = """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
        JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE t.relname = :table AND n.nspname = COALESCE(:schema, current_schema())
    """
    grant = "ALTER ROLE … CREATEDB lets the user make databases"

    def schemas(self, connection: Connection) -> Sequence[str | None]:
        """Return all but the server's own."""
        found: list[str] = inspect(connection).get_schema_names()
        own = ("information_schema", connection.dialect.default_schema_name)
        return [None, *(one for one in found if one not in own)]

    def make_schemas(self, connection: Connection, names: Sequence[str]) -> None:
        """Make those that are not there."""
        for one in names:
            connection.execute(CreateSchema(one, if_not_exists=True))
