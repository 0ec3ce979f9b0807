"""Oracle, through python-oracledb in its thin mode."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, Table, Text, text
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.backend import CONNECT_SECONDS, Backend, Driver
from dbtasks.engines.base.text_match import ESCAPE, like_pattern
from dbtasks.engines.oracle.flush import OracleEmptying
from dbtasks.engines.sql.lexer import ORACLE
from dbtasks.engines.sql.syntax import Syntax

MISSING = ("ORA-00942", "ORA-00904")
LOCK_FAILURES = ("ORA-00054", "ORA-00060", "ORA-30006", "ORA-08177")
READ_ONLY = "ORA-01456"
GONE = ("ORA-03113", "ORA-03114", "ORA-00028", "ORA-01012", "DPY-4011", "DPY-1001")


class Oracle(Backend):
    """Move identity columns after all else is committed: ALTER TABLE commits by itself."""

    title = "Oracle"
    syntax = Syntax(ORACLE)
    drivers = (Driver("oracledb", "oracledb", "oracledb"),)
    async_drivers: ClassVar = {"oracledb_async": {}}
    sequences_commit = True
    connect_seconds = CONNECT_SECONDS
    timeout_key = "tcp_connect_timeout"
    emptying = OracleEmptying
    clock = "(CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400"

    @property
    def database_name(self) -> str:
        """Return the service or the user, as a URL may name neither database nor service."""
        return str(self.url.query.get("service_name") or self.url.database or self.url.username)

    def engine_options(self) -> dict[str, Any]:
        """Bound the time to connect, and look each minute whether the server is still there."""
        if not self.own_driver:
            return {}
        wanted = {self.timeout_key: CONNECT_SECONDS, "expire_time": 1}
        return {"connect_args": {k: v for k, v in wanted.items() if k not in self.url.query}}

    def begin_snapshot(self, connection: Connection) -> None:
        """Read as of the transaction's begin."""
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def set_sequences(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Start each identity column after the highest key that is there."""
        quote = connection.dialect.identifier_preparer
        for table in tables:
            for column in table.columns:
                if column.identity is None:
                    continue
                always = "ALWAYS" if column.identity.always else "BY DEFAULT"
                connection.execute(
                    text(
                        f"ALTER TABLE {quote.format_table(table)} MODIFY "
                        f"{quote.format_column(column)} GENERATED {always} AS IDENTITY "
                        "(START WITH LIMIT VALUE)"
                    )
                )

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
        """Ask for the case in a regex, and compare a CLOB by LIKE: it has no =."""
        if lookup == "regex":
            return column.regexp_match(text, flags="c")
        if lookup == "exact" and isinstance(column.type, Text):
            return column.like(like_pattern(lookup, text), escape=ESCAPE)
        return super().match(column, lookup, text)

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Read in a transaction that is read-only; the server takes one statement a call."""
        if not writes:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        yield

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Go by Oracle's code."""
        return not writes and str(error.orig).startswith(READ_ONLY)

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Go by Oracle's code."""
        return message.startswith(MISSING)

    def is_lock_failure(self, error: DBAPIError) -> bool:
        """Go by Oracle's code."""
        return str(error.orig).startswith(LOCK_FAILURES)

    def lost_connection(self, error: DBAPIError) -> bool:
        """Go by the codes of the server and of the driver."""
        return str(error.orig).startswith(GONE)
