"""PostgreSQL, through psycopg 3 or psycopg2."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import URL, Column, Connection, Table, func, select
from sqlalchemy import Sequence as NamedSequence
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base import CONNECT_SECONDS, Backend, Driver

MISSING = frozenset({"42P01", "42703", "3F000"})
LOCK_FAILURES = frozenset({"55P03", "40P01", "40001"})
GONE = ("57P", "08")

# How asyncpg spells what libpq calls sslmode=.
SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


class PostgreSQL(Backend):
    """Name ourselves to the server, and move its sequences after keys that were given."""

    title = "PostgreSQL"
    drivers = (
        Driver("psycopg", "psycopg", "psycopg[binary]"),
        Driver("psycopg2", "psycopg2", "psycopg2-binary"),
    )
    async_drivers: ClassVar = {
        "asyncpg": {
            "ssl": "sslmode",
            "timeout": "connect_timeout",
            "command_timeout": "",
            "statement_cache_size": "",
            "prepared_statement_cache_size": "",
            "prepared_statement_name_func": "",
            "max_cached_statement_lifetime": "",
            "max_cacheable_statement_size": "",
            "direct_tls": "",
        },
        "psycopg_async": {},
    }

    @classmethod
    def translate_async(cls, url: URL) -> URL:
        """Return libpq's spelling of asyncpg's query."""
        url = super().translate_async(url)
        mode = str(url.query.get("sslmode", "")).lower()
        return url.update_query_dict({"sslmode": SSL_MODES[mode]}) if mode in SSL_MODES else url

    def engine_options(self) -> dict[str, Any]:
        """Bound the time to connect, and say to the server who we are."""
        if not self.own_driver:
            return {}
        wanted = {"connect_timeout": CONNECT_SECONDS, "application_name": "dbtasks"}
        return {"connect_args": {k: v for k, v in wanted.items() if k not in self.url.query}}

    def set_sequences(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Move each sequence up to the highest key, never down: others may be inserting."""
        for table in tables:
            for column in table.columns:
                if _is_generated(column):
                    _set_sequence(connection, column)

    def message_of(self, error: DBAPIError) -> str:
        """Return the server's message and detail, without the statement."""
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or not diagnosis.message_primary:
            return super().message_of(error)
        return ": ".join(filter(None, [diagnosis.message_primary, diagnosis.message_detail]))

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in MISSING

    def is_lock_failure(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in LOCK_FAILURES

    def lost_connection(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE: shut down by an administrator, or a broken connection."""
        return _sqlstate(error).startswith(GONE)


def _sqlstate(error: DBAPIError) -> str:
    original = error.orig
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""


def _is_generated(column: Column[Any]) -> bool:
    return (
        column is column.table.autoincrement_column
        or column.identity is not None
        or isinstance(column.default, NamedSequence)
    )


def _set_sequence(connection: Connection, column: Column[Any]) -> None:
    quote = connection.dialect.identifier_preparer
    table = quote.format_table(column.table)
    if isinstance(column.default, NamedSequence):
        name: str | None = quote.format_sequence(column.default)
    else:
        name = connection.scalar(select(func.pg_get_serial_sequence(table, column.name)))
    if name is None:
        return
    highest = select(func.max(column)).scalar_subquery()
    reached = func.coalesce(func.pg_sequence_last_value(func.to_regclass(name)), 0)
    connection.execute(
        select(func.setval(func.to_regclass(name), highest)).where(highest > reached)
    )
