"""PostgreSQL, through psycopg 3 or psycopg2."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Numeric,
    Table,
    event,
    func,
    select,
    text,
)
from sqlalchemy import Sequence as NamedSequence
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.backend import CONNECT_SECONDS, Backend, Driver
from dbtasks.engines.base.lock import SessionLock
from dbtasks.engines.base.sockets import keep_alive
from dbtasks.engines.base.statements import Run
from dbtasks.engines.postgresql.bulk import PostgreSQLCopying
from dbtasks.engines.postgresql.catalogue import PostgreSQLCatalogue
from dbtasks.engines.postgresql.comparison import PostgreSQLComparison
from dbtasks.engines.postgresql.expressions import PostgreSQLRetelling
from dbtasks.engines.postgresql.flush import ALL_ROWS, PostgreSQLEmptying
from dbtasks.engines.postgresql.indexes import PostgreSQLIndexing
from dbtasks.engines.postgresql.inheritance import PostgreSQLInheritance
from dbtasks.engines.postgresql.load import PostgreSQLLoading
from dbtasks.engines.postgresql.lock import ADVISORY, AdvisoryLock
from dbtasks.engines.postgresql.scratch import PostgreSQLScratch
from dbtasks.engines.postgresql.statements import changes_catalogue, one_statement_a_call
from dbtasks.engines.postgresql.triggers import PostgreSQLTriggers
from dbtasks.engines.sql.lexer import POSTGRESQL
from dbtasks.engines.sql.quoting import quoted, undoubled
from dbtasks.engines.sql.syntax import Syntax

MISSING = frozenset({"42P01", "42703", "3F000"})
LOCK_FAILURES = frozenset({"55P03", "40P01", "40001"})
GONE = ("57P", "08", "25P03", "25P04")  # shut down, broken, or a server's own time limit
FOLLOWS = frozenset({"25P02", "3B001"})  # a transaction that has failed, a savepoint that is gone
CONFLICTS = frozenset({"40001", "40P01"})
LOCK_TIMEOUT = "55P03"
OUT_OF_MEMORY, LOCKS = "53200", "max_locks_per_transaction"
APPLICATION = "dbtasks"
NAME_BYTES = 63
COMPATIBLE = ("CockroachDB", "Yugabyte", "-YB-")
"""What speaks PostgreSQL's language, and whose advisory locks do nothing, or once did."""
READ_ONLY = frozenset({"25006", "25001"})  # a write, and the wish to write after a query

# How asyncpg spells what libpq calls sslmode=.
SSL_MODES = {"true": "require", "1": "require", "false": "disable", "0": "disable"}

SERVER_SETTINGS = ("application_name", "options")
"""What asyncpg hands to the server under a keyword of its own."""


# TRUNCATE gives a table another file, and is not counted as a deletion.
OWN_WRITES = text("""
    SELECT c.oid, c.relname, c.relfilenode, s.n_tup_ins, s.n_tup_upd, s.n_tup_del
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stat_xact_all_tables s ON s.relid = c.oid
    WHERE n.nspname || '.' || c.relname = ANY (:names) ORDER BY 2
    """)


class PostgreSQL(PostgreSQLComparison, PostgreSQLIndexing, PostgreSQLRetelling, Backend):
    """Name ourselves to the server, and move its sequences after keys that were given."""

    reader = "dbtasks.engines.postgresql.introspection"
    operations = "dbtasks.engines.postgresql.schema"
    title = "PostgreSQL"
    syntax = Syntax(POSTGRESQL)
    exact_names = True
    own_schema = "dbtasks"
    names_holder = True
    emptying = PostgreSQLEmptying
    inheritance = PostgreSQLInheritance
    copying = PostgreSQLCopying
    loading = PostgreSQLLoading
    triggers = PostgreSQLTriggers
    catalogue = PostgreSQLCatalogue()
    scratch = PostgreSQLScratch
    casts_columns = True
    clock = "EXTRACT(EPOCH FROM clock_timestamp())"
    transactional = None
    typed_enums = True
    connect_seconds = CONNECT_SECONDS
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

    def redirect(
        self, dialect: Dialect, keywords: Mapping[str, Any], given: URL, *, create: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Put where asyncpg looks for it what libpq takes as keywords."""
        positional, found = super().redirect(dialect, keywords, given, create=create)
        if dialect.driver == "asyncpg":
            told = {key: found.pop(key) for key in SERVER_SETTINGS if key in found}
            if told:
                found["server_settings"] = {**found.get("server_settings", {}), **told}
            if "timeout" in found:
                found["timeout"] = float(found["timeout"])
        return positional, found

    def engine_options(self) -> dict[str, Any]:
        """Bound the time to connect, say who we are, and speak UTF-8, in which COPY is."""
        if not self.own_driver:
            return {}
        wanted = {"connect_timeout": CONNECT_SECONDS, "application_name": APPLICATION}
        given = {k: v for k, v in wanted.items() if k not in self.url.query}
        return {"connect_args": {**given, "client_encoding": "utf8"}}

    def prepare_engine(self, engine: Engine) -> None:
        """Let psycopg prepare nothing behind a pooler: the next statement may go elsewhere."""

        # It would say on stderr what our error says too, with the names of user and database.
        logging.getLogger("psycopg").addHandler(logging.NullHandler())

        if not any(key.startswith(("keepalives", "tcp_")) for key in self.url.query):
            event.listen(engine, "connect", lambda connection, record: keep_alive(connection))

        @event.listens_for(engine, "connect")
        def know_pooler(connection: Any, record: object) -> None:
            if not hasattr(connection, "prepare_threshold"):
                return
            before = connection.autocommit
            connection.autocommit = True  # the question would open a transaction
            (asked,) = connection.execute("SELECT pg_backend_pid()").fetchone()
            connection.autocommit = before
            if asked != connection.info.backend_pid:
                connection.prepare_threshold = None

    def begin_snapshot(self, connection: Connection) -> None:
        """See what was committed before the first question, and all rows of it, or fail."""
        connection.exec_driver_sql(ALL_ROWS)
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def set_sequences(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Move each sequence up to the highest key, never down: others may be inserting."""
        for table in tables:
            for column in table.columns:
                if _is_generated(column):
                    _set_sequence(connection, column)

    def count_on(self, table: Table) -> str | None:
        """Return it for a column that a sequence or an identity numbers."""
        counter = table.autoincrement_column
        if counter is None:
            return None
        dialect = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
        preparer = dialect.identifier_preparer
        name, column = preparer.format_table(table), preparer.format_column(counter)
        place, own = (text.replace("'", "''") for text in (name, counter.name))
        sequence = f"pg_get_serial_sequence('{place}', '{own}')"
        return undoubled(dialect, f"SELECT setval({sequence}, max({column})) FROM {name}")

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

    def commits_by_itself(self, text: str) -> bool:
        """Roll back all but what COPY sends to a file or a program."""
        words = self.syntax.words(text)
        return words[:1] == ["COPY"] and not {"TO", "PROGRAM"}.isdisjoint(words)

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Read in a transaction that is read-only, and that no statement can make another."""
        with one_statement_a_call(connection.connection.driver_connection):
            # Otherwise a backslash would be read otherwise there than here.
            connection.exec_driver_sql("SET LOCAL standard_conforming_strings = on")
            if not writes:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql("SELECT 1")  # after a query READ WRITE is refused
            yield

    def changes_catalogue(self, connection: Connection, text: str, run: Run) -> bool:
        """Ask for the plan."""
        return changes_catalogue(connection, text, run)

    def transaction_state(self, connection: Connection) -> object:
        """Return when the transaction began, and whether it is read-only."""
        state = "SELECT transaction_timestamp(), current_setting('transaction_read_only')"
        return tuple(connection.exec_driver_sql(state).one())

    def state_of(self, connection: Connection, tables: Sequence[Table]) -> object:
        """Return what the server counts of this transaction, and the files of the tables.

        It needs no right to read them, and sees nothing of what others write.
        """
        names = [f"{one.schema}.{one.name}" for one in tables]
        return connection.execute(OWN_WRITES, {"names": names}).all()

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Go by the SQLSTATE."""
        return not writes and _sqlstate(error) in READ_ONLY

    def session_lock(self, connection: Connection) -> SessionLock | None:
        """Return an advisory lock, but for a pooler, which gives each statement another session."""
        version = str(connection.exec_driver_sql("SELECT version()").scalar())
        if any(name in version for name in COMPATIBLE) or not _is_direct(connection):
            return None
        return AdvisoryLock(connection)

    def session_locked(self, connection: Connection) -> bool:
        """Look at the server's table of locks."""
        found = connection.exec_driver_sql(f"SELECT count(*) FROM ({ADVISORY}) l")
        return bool(found.scalar())

    def is_conflict(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in CONFLICTS

    def sign(self, connection: Connection, text: str) -> None:
        """Set the application's name, which pg_stat_activity shows; a pooler would pass it on."""
        if _is_direct(connection):
            name = f"{APPLICATION} {text}".strip().encode()[:NAME_BYTES].decode(errors="ignore")
            connection.execute(select(func.set_config("application_name", name, False)))

    def describe_holder(self, connection: Connection) -> str | None:
        """Read the name that the holder signed with."""
        row = connection.exec_driver_sql(
            "SELECT a.application_name, a.pid, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS'), "
            "(SELECT left(w.query, 80) FROM pg_stat_activity w WHERE w.datname = a.datname "
            f"AND w.application_name LIKE '{APPLICATION} applies %%' LIMIT 1) "
            f"FROM pg_stat_activity a JOIN ({ADVISORY}) l ON l.pid = a.pid"
        ).first()
        if row is None:
            return None
        holder = str(row[0]).removeprefix(f"{APPLICATION} holds ")
        doing = f", {' '.join(row[3].split())}" if row[3] else ""
        return f"{holder}, connection {row[1]} since {row[2]}{doing}"

    def connection_id(self, connection: Connection) -> int | None:
        """Return the server process."""
        return connection.scalar(select(func.pg_backend_pid()))

    def is_busy(self, connection: Connection, other: int | None) -> bool:
        """Whether a connection that signed as migrating, other than ours, is still there."""
        found = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            f"application_name LIKE '{APPLICATION} applies %%' AND state = 'active' "
            "AND pid <> pg_backend_pid()"
        )
        return bool(found.scalar())

    def limit_lock_wait(self, connection: Connection, seconds: float) -> None:
        """Set lock_timeout for this transaction only, as a pooler would pass it on."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}")

    def is_lock_timeout(self, error: BaseException | None) -> bool:
        """Go by the SQLSTATE."""
        return _code_of(error) == LOCK_TIMEOUT

    def exhausts_locks(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE and the setting that the server's hint names in any language."""
        hint = getattr(getattr(error.orig, "diag", None), "message_hint", None) or ""
        return _sqlstate(error) == OUT_OF_MEMORY and LOCKS in hint

    def is_invalid(self, connection: Connection, index: str, schema: str | None) -> bool:
        """Look for what an interrupted CREATE INDEX CONCURRENTLY leaves."""
        asked = text(
            "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid "
            "AND c.relname = :name AND n.nspname = COALESCE(:schema, current_schema())"
        )
        return bool(connection.scalar(asked, {"name": index, "schema": schema}))

    def open_transactions(self, connection: Connection) -> list[str]:
        """Read pg_stat_activity."""
        rows = connection.exec_driver_sql(
            "SELECT pid, usename, application_name, state, date_trunc('second', now() - xact_start)"
            " FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()"
            " AND datname = current_database() AND backend_type = 'client backend'"
            " ORDER BY xact_start LIMIT 5"
        )
        return [
            f"connection {pid} of {user}{f' ({name})' if name else ''}, {state}, open for {age}"
            for pid, user, name, state, age in rows
        ]

    def message_of(self, error: DBAPIError) -> str:
        """Return the server's message and detail, without the statement."""
        diagnosis = getattr(error.orig, "diag", None)
        if diagnosis is None or not diagnosis.message_primary:
            return super().message_of(error)
        return ": ".join(filter(None, [diagnosis.message_primary, diagnosis.message_detail]))

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in MISSING

    def follows(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in FOLLOWS

    def is_lock_failure(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE."""
        return _sqlstate(error) in LOCK_FAILURES

    def lost_connection(self, error: DBAPIError) -> bool:
        """Go by the SQLSTATE: shut down by an administrator, or a broken connection."""
        return _sqlstate(error).startswith(GONE)


def _is_direct(connection: Connection) -> bool:
    """Whether the server process is the one that the driver was told of when it connected."""
    told = getattr(getattr(connection.connection.driver_connection, "info", None), "backend_pid", 0)
    return bool(told) and told == connection.scalar(select(func.pg_backend_pid()))


def _sqlstate(error: DBAPIError) -> str:
    return _code_of(error.orig)


def _code_of(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


def _is_generated(column: Column[Any]) -> bool:
    return (
        column is column.table.autoincrement_column
        or column.identity is not None
        or isinstance(column.default, NamedSequence)
    )


def _set_sequence(connection: Connection, column: Column[Any]) -> None:
    if isinstance(column.default, NamedSequence):
        name: str | None = quoted(connection, column.default)
    else:
        table = quoted(connection, column.table)
        name = connection.scalar(select(func.pg_get_serial_sequence(table, column.name)))
    if name is None:
        return
    sequence = func.to_regclass(name)
    step = text("SELECT seqincrement FROM pg_sequence WHERE seqrelid = to_regclass(:name)")
    falls = (connection.scalar(step, {"name": name}) or 1) < 0
    furthest = select((func.min if falls else func.max)(column)).scalar_subquery()
    reached = func.coalesce(func.pg_sequence_last_value(sequence), 0)
    further = furthest < reached if falls else furthest > reached
    connection.execute(select(func.setval(sequence, furthest)).where(further))
