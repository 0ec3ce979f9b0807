"""Scratch databases on a PostgreSQL server."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateSchema

from dbtasks.engines.base.definitions import Definition, Key
from dbtasks.engines.base.scratch import MARK, ServerScratch
from dbtasks.engines.postgresql import creation


class PostgreSQLScratch(ServerScratch):
    """Make a database of a PostgreSQL server."""

    entrances = ("postgres", "template1")
    names = "SELECT datname FROM pg_database"
    identity = """
        SELECT format('%s %s', system_identifier, (
            SELECT oid FROM pg_database WHERE datname = current_database()))
        FROM pg_control_system()
    """
    # What an administrator adds to template1 is not seen: whoever connects there would keep others
    # from making a database.
    conditions = """
        SELECT version(), current_user, (
            SELECT concat_ws(' ', encoding, datcollate, datctype)
            FROM pg_database WHERE datname = 'template1'
        ), (
            SELECT json_agg(json_build_array(name, setting) ORDER BY name) FROM pg_settings
            WHERE context IN ('user', 'superuser', 'internal') AND name NOT IN (
                'application_name', 'transaction_read_only', 'in_hot_standby')
        )::text
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
    grant = "SELECT format('ALTER ROLE %I CREATEDB', current_user)"

    def statements(self, definitions: Mapping[Key, Definition], dialect: Dialect) -> Iterator[str]:
        """Yield them as pg_dump would write them."""
        return creation.statements(definitions, dialect)

    def make_schemas(self, connection: Connection, names: Sequence[str]) -> None:
        """Make those that are not there."""
        for one in names:
            connection.execute(CreateSchema(one, if_not_exists=True))
