"""PostgreSQL, through psycopg 3 or psycopg2."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Numeric,
    Table,
    Text,
    cast,
    collate,
    func,
    select,
)
from sqlalchemy import Sequence as NamedSequence
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base import CONNECT_SECONDS, Backend, Driver
from dbtasks.engines.matching import ESCAPE, ignores_case, like_pattern
from dbtasks.engines.statements import BLOCK, LINE, NAME, STRING, Syntax

MISSING = frozenset({"42P01", "42703", "3F000"})
LOCK_FAILURES = frozenset({"55P03", "40P01", "40001"})
GONE = ("57P", "08")
READ_ONLY = frozenset({"25006", "25001"})  # a write, and the wish to write after a query

# A string with backslashes; one that a line break and another quote continue is still of its kind.
CONTINUED = r"'(?:[ \t\f\r]|--[^\n]*)*\n(?:\s|--[^\n]*\n)*'"
ESCAPED = rf"(?<![\w$])[eE]'(?:[^'\\]++|\\.|''|{CONTINUED})*+(?:'|\Z)"
DOLLARS = r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"

# How asyncpg spells what libpq calls sslmode=.
SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


class PostgreSQL(Backend):
    """Name ourselves to the server, and move its sequences after keys that were given."""

    title = "PostgreSQL"
    own_schema = "dbtasks"
    syntax = Syntax.of(LINE, BLOCK, ESCAPED, STRING, NAME, DOLLARS, nested_comments=True)
    transactional = None
    stores_nan = True
    stores_infinity = True
    keeps_offset = True
    native_intervals = True
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

    def numeric_size(self, kind: Numeric[Any]) -> tuple[int | None, int | None]:
        """Return 131072 digits before and 16383 behind the point, for a Numeric without sizes."""
        precision, scale = super().numeric_size(kind)
        return (131072 + 16383, 16383) if scale is None else (precision, scale)

    def fraction_digits(self, kind: TypeEngine[Any]) -> int:
        """Return the precision that our dialect's types and intervals may have."""
        found = getattr(kind, "precision", getattr(kind, "second_precision", None))
        return 6 if found is None else min(found, 6)

    def single_precision(self, kind: TypeEngine[Any]) -> bool:
        """Know REAL, and FLOAT(1) to FLOAT(24)."""
        precision = getattr(kind, "precision", None)
        narrow = kind.__visit_name__ in ("float", "FLOAT") and (precision or 53) <= 24
        return narrow or kind.__visit_name__ == "REAL"

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
        """Compare as PostgreSQL does, but for a column that ignores case by its type."""
        subject = _by_characters(column)
        if lookup == "exact" and subject is not column:
            return (column == text) & (subject == text)
        if ignores_case(lookup):
            return subject.ilike(like_pattern(lookup, text), escape=ESCAPE)
        return super().match(subject, lookup, text)

    def commits_by_itself(self, text: str) -> bool:
        """Roll back all but what COPY sends to a file or a program."""
        words = self.syntax.words(text)
        return words[:1] == ["COPY"] and not {"TO", "PROGRAM"}.isdisjoint(words)

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Read in a transaction that is read-only, and that no statement can make another."""
        with _one_statement_a_call(connection.connection.driver_connection):
            # Otherwise a backslash would be read otherwise there than here.
            connection.exec_driver_sql("SET LOCAL standard_conforming_strings = on")
            if not writes:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql("SELECT 1")  # after a query READ WRITE is refused
            yield

    def transaction_state(self, connection: Connection) -> object:
        """Return when the transaction began, and whether it is read-only."""
        state = "SELECT transaction_timestamp(), current_setting('transaction_read_only')"
        return tuple(connection.exec_driver_sql(state).one())

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Go by the SQLSTATE."""
        return not writes and _sqlstate(error) in READ_ONLY

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


@contextmanager
def _one_statement_a_call(connection: Any) -> Iterator[None]:
    """Let psycopg prepare each statement: PostgreSQL takes no second one with it then.

    psycopg2 cannot, nor may psycopg where it was told never to prepare, as behind a pooler.
    """
    before = getattr(connection, "prepare_threshold", None)
    if before is None:
        yield
        return
    connection.prepare_threshold = 0
    try:
        yield
    finally:
        connection.prepare_threshold = before


def _sqlstate(error: DBAPIError) -> str:
    original = error.orig
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""


def _by_characters(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as plain text where its type is citext, padded, or has a collation."""
    if column.type.__visit_name__ in ("CITEXT", "CHAR"):
        return cast(column, Text)
    if getattr(column.type, "collation", None):
        return collate(column, "default")  # ILIKE wants one that knows letters, LIKE a plain one
    return column


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
