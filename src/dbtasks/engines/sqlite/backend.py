"""SQLite: a file, opened with foreign keys, patience and real transactions."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import join
from typing import Any, ClassVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Numeric,
    StaticPool,
    create_engine,
    event,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.backend import WRITES, Backend, Driver
from dbtasks.engines.base.redirection import LOCATION
from dbtasks.engines.base.statements import READS
from dbtasks.engines.base.urls import resolve_path
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sql.syntax import Syntax
from dbtasks.engines.sqlite.authorizer import allow_reading, allow_writing
from dbtasks.engines.sqlite.bulk import SQLiteCopying
from dbtasks.engines.sqlite.catalogue import SQLiteCatalogue
from dbtasks.engines.sqlite.comparison import SQLiteComparison
from dbtasks.engines.sqlite.flush import SQLiteEmptying
from dbtasks.engines.sqlite.indexes import SQLiteIndexing
from dbtasks.engines.sqlite.load import SQLiteLoading
from dbtasks.engines.sqlite.rollback_journal import REFUSED, allow_keeping, keep_journal
from dbtasks.engines.sqlite.scratch import FileScratch
from dbtasks.engines.sqlite.table_rebuild import SQLiteRebuilding
from dbtasks.engines.sqlite.text_match import lower, match
from dbtasks.engines.sqlite.triggers import SQLiteTriggers
from dbtasks.errors import ROLLED_BACK, DbtasksError, LocalFailure, Locked, Refused, Unreachable
from dbtasks.hints import command_line
from dbtasks.interrupts import ending

BUSY_SECONDS = 30
BEGIN = re.compile(r"\s*BEGIN\b", re.IGNORECASE)
ORPHANS = """
SELECT o."table", o.rowid, o.parent, (
    SELECT group_concat("from", ', ') FROM pragma_foreign_key_list(o."table") WHERE id = o.fkid
) FROM pragma_foreign_key_check AS o
"""
ORPHAN = "FOREIGN KEY constraint failed"
CHANGED = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (?:\"[^\"]+\"|[^\s(]+)")
"""What a statement changes."""


class SQLite(SQLiteComparison, SQLiteIndexing, SQLiteRebuilding, Backend):
    """Open files as the project means them: none is made by a command that only reads."""

    takes_engine = False
    calls_functions = Backend.own_driver
    reader = "dbtasks.engines.sqlite.introspection"
    operations = "dbtasks.engines.sqlite.schema"
    title = "SQLite"
    syntax = Syntax(SQLITE)
    drivers = (Driver("pysqlite", "sqlite3", "a Python with sqlite3"),)
    async_drivers: ClassVar = {"aiosqlite": {}}
    location = LOCATION | {"uri", "isolation_level", "autocommit"}
    transactional_ddl = True
    emptying = SQLiteEmptying
    copying = SQLiteCopying
    loading = SQLiteLoading
    triggers = SQLiteTriggers
    catalogue = SQLiteCatalogue()
    scratch = FileScratch
    batch_migrations = True
    locks_by_transaction = True
    clock = "(julianday('now') - 2440587.5) * 86400.0"
    counts_after_rows = True
    counts_replaced = False
    explain_prefix = "EXPLAIN QUERY PLAN"
    reads = READS | {"PRAGMA"}
    transactional = None
    typed_columns = False
    stores_infinity = True
    stores_nul = True
    exact_digits = 15
    json_number_bits = 64

    def __init__(self, url: URL, root: Path) -> None:
        self.path: Path | None = None
        database = url.database or ":memory:"
        if _is_uri(url):
            path, mark, query = database.removeprefix("file:").partition("?")
            if path and path != ":memory:" and url.query.get("mode") != "memory":
                self.path = resolve_path(path, root)
                url = url.set(database=f"file:{quote(str(self.path))}{mark}{query}")
        elif database != ":memory:":
            self.path = resolve_path(database, root)
            url = url.set(database=str(self.path))
        super().__init__(url, root)

    @property
    def database_name(self) -> str:
        """Return the file's name."""
        return self.path.name if self.path else ":memory:"

    @property
    def in_memory(self) -> bool:
        """Whether there is no file."""
        return self.path is None

    def connect_url(self, *, create: bool) -> URL:
        """Return a URL that opens an existing file only, unless one may be made."""
        if create or self.path is None or _is_uri(self.url):
            return self.url
        return self.url.set(
            database=f"file:{quote(str(self.path))}",
            query={**self.url.query, "mode": "rw", "uri": "true"},
        )

    def engine_options(self) -> dict[str, Any]:
        """Wait for other writers, and share the one connection of a database in memory."""
        options: dict[str, Any] = {"connect_args": {"isolation_level": None}}
        if "timeout" not in self.url.query:
            options["connect_args"]["timeout"] = BUSY_SECONDS
        if self.in_memory:
            options["poolclass"] = StaticPool
            options["connect_args"]["check_same_thread"] = False
        return options

    def prepare_engine(self, engine: Engine) -> None:
        """Turn foreign keys on, and send BEGIN ourselves: the driver would leave DDL out.

        A connection that is going to write takes SQLite's write lock at once, so that nothing
        that it has read can change before it writes; one that reads takes none.
        """

        @event.listens_for(engine, "connect")
        def equip(connection: sqlite3.Connection, record: object) -> None:
            connection.execute("PRAGMA foreign_keys=ON")
            if self.own_driver:  # another may not know how
                connection.create_function("dbtasks_lower", 1, _lower, deterministic=True)
                connection.create_function("dbtasks_key", 2, self.keys.read, deterministic=True)
                # Python handles signals only while Python runs: without it a statement goes on.
                connection.set_progress_handler(lambda: 0, 100_000)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("isolation_level") != "AUTOCOMMIT":
                mode = "IMMEDIATE" if options.get(WRITES) else "DEFERRED"
                if options.get(WRITES):
                    keep_journal(connection.connection.driver_connection)
                connection.exec_driver_sql(f"BEGIN {mode}")

    def check_reachable(self, *, create: bool) -> None:
        """Raise Unreachable for a missing folder, or a missing file that may not be made."""
        if self.path is None or self.path.is_file():
            return
        if self.path.exists():
            raise Unreachable(f"{self.path} is not a file", hint="give the URL the path of a file")
        if not self.path.parent.is_dir():
            raise Unreachable(
                f"there is no folder {self.path.parent} for {self.path.name}",
                hint=f"make it: {join(['mkdir', '-p', str(self.path.parent)])}, or fix the URL",
            )
        if not create:
            raise Unreachable(
                f"there is no database file {self.path}",
                hint=f"{command_line('migrate')} makes it; if it should be there, fix the URL "
                f"({command_line('settings')})",
            )

    def stand_in(self) -> Engine | None:
        """Return an empty database in memory while there is no file, but could be one."""
        if self.path is None or self.path.exists() or not self.path.parent.is_dir():
            return None
        engine = create_engine("sqlite+pysqlite://", poolclass=StaticPool)
        self.prepare_engine(engine)
        return engine

    @contextmanager
    def migration_connection(self, engine: Engine) -> Iterator[Connection]:
        """Open a connection without foreign keys, which SQLite wants switched outside of BEGIN.

        With them on, rebuilding a parent table would delete the rows that refer to it.
        """
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)

            def roll_back() -> None:
                if not connection.closed and connection.in_transaction():
                    connection.rollback()

            with ending(roll_back, lambda: raw.execute("PRAGMA foreign_keys=ON")):
                raw.execute("PRAGMA foreign_keys=OFF")
                yield connection

    def wait_for_writers(self, connection: Connection, seconds: float) -> None:
        """Set the busy timeout, by the driver: SQLAlchemy would begin a transaction."""
        cursor = connection.connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")
        cursor.close()

    def url_for(self, name: str, driver: str, given: URL, *, create: bool) -> URL:
        """Return our file, or an empty database in memory for one that only `migrate` may make."""
        if not create and self.path is not None and not self.path.exists():
            return URL.create(f"{name}+{driver}")
        return self.connect_url(create=create).set(drivername=f"{name}+{driver}")

    def redirect(
        self, dialect: Dialect, keywords: Mapping[str, Any], given: URL, *, create: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Keep the driver from beginning transactions by itself, and wait for other writers."""
        positional, found = super().redirect(dialect, keywords, given, create=create)
        return positional, {"timeout": BUSY_SECONDS, **found, "isolation_level": None}

    @contextmanager
    def real_transactions(
        self, meant: Callable[[Connection], bool], *, writes: bool
    ) -> Iterator[None]:
        """Begin as `prepare_engine` does, without foreign keys, as `migration_connection` does.

        A project may follow SQLAlchemy's advice and send a BEGIN of its own, before or after
        ours: the first is made ours, and the second nothing.
        """
        ours = f"BEGIN {'IMMEDIATE' if writes else 'DEFERRED'}"

        def begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if meant(connection) and options.get("isolation_level") != "AUTOCOMMIT":
                keep_journal(connection.connection.driver_connection)
                connection.exec_driver_sql(ours)

        def send(
            connection: Connection, cursor: Any, sql: str, values: Any, *rest: object
        ) -> tuple[str, Any]:
            if not (BEGIN.match(sql) and meant(connection)):
                return sql, values
            if self.transaction_state(connection):
                return "SELECT 1", values
            cursor.execute("PRAGMA foreign_keys=OFF")
            keep_journal(connection.connection.driver_connection)
            return ours, values

        event.listen(Engine, "begin", begin)
        event.listen(Engine, "before_cursor_execute", send, retval=True)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", send)
            event.remove(Engine, "begin", begin)

    @contextmanager
    def migration_checks(self, connection: Connection) -> Iterator[None]:
        """Refuse rows that lost their parent in the block; older orphans do not count."""
        before = _orphans(connection)
        yield
        new = _orphans(connection) - before
        if new:
            table, _, parent, columns = next(iter(new))
            rows = "1 row without its" if new.total() == 1 else f"{new.total()} rows without their"
            raise Refused(
                f"the migration leaves {rows} parent: "
                f"{table}.{columns} refers to rows of {parent} that are not there",
                hint="give those rows another value in the migration, or move or delete them there",
                state=ROLLED_BACK,
            )

    def resolve_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        """Leave whole numbers at their size: a variant for SQLite is there for its keys."""
        return kind if isinstance(kind, Integer) else super().resolve_type(kind)

    def keeps_end(self, kind: TypeEngine[Any], value: str | bytes) -> bool:
        """Know that a type's length says nothing here."""
        return True

    def numeric_size(self, kind: Numeric[Any]) -> tuple[int | None, int | None]:
        """Add the scale that SQLAlchemy reads a Numeric without one with."""
        precision, scale = super().numeric_size(kind)
        return precision, kind.decimal_return_scale or 10 if scale is None else scale

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
        """Compare without LIKE, which takes a for A."""
        return match(column, lookup, text)

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Let an authorizer look at each statement: what it does not know is refused."""
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        free = partial(raw.set_authorizer, allow_keeping)
        with ending(free, lambda: raw.execute("PRAGMA query_only=OFF")):
            raw.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
            raw.set_authorizer(allow_writing if writes else allow_reading)
            yield

    def has_ended(self, connection: Connection) -> bool:
        """Ask the driver: RAISE(ROLLBACK) in a trigger ends it."""
        return self.transaction_state(connection) is False

    def transaction_state(self, connection: Connection) -> object:
        """Return whether there is a transaction."""
        return getattr(connection.connection.driver_connection, "in_transaction", None)

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Go by the words: for a function the code is that of any error."""
        return self.message_of(error).startswith("not authorized")

    def message_of(self, error: DBAPIError) -> str:
        """Name the table where SQLite does not: that a foreign key failed is all that it says."""
        message = super().message_of(error)
        told = CHANGED.match(error.statement or "") if message == ORPHAN else None
        return message if told is None else f"{message}, by {told[0]}"

    def explain(self, error: DBAPIError, *, state: str) -> DbtasksError:
        """Tell SQLite's errors apart by their code."""
        error = self.first_of(error)
        message = self.message_of(error)
        name = getattr(error.orig, "sqlite_errorname", "") or ""
        if self.refuses_statement(error, writes=True):
            return Refused(f"SQLite was sent {REFUSED}", hint="leave it out", state=state)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Locked(
                f"{self.database_name} is locked by another connection: {message}",
                hint="end the other command or program that writes to it, and try again",
                state=state,
            )
        if name.startswith("SQLITE_FULL"):
            return LocalFailure(message, hint="free some disk space, and try again", state=state)
        if name.startswith("SQLITE_READONLY"):
            return LocalFailure(
                f"{self.path} cannot be written to: {message}",
                hint="look at the permissions of the file and of its folder",
                state=state,
            )
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
            return self.explain_connecting(error)
        return super().explain(error, state=state)

    def explain_connecting(self, error: DBAPIError) -> DbtasksError:
        """Say why the file cannot be opened."""
        return Unreachable(
            f"cannot open {self.path or self.database_name}: {self.message_of(error)}",
            hint=f"check the path ({command_line('settings')}), its permissions, and that it is a "
            "SQLite file",
        )

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Go by the words: SQLite has one code for all errors of a statement."""
        return re.match("no such (table|column)|table .* has no column", message) is not None


def _is_uri(url: URL) -> bool:
    return str(url.query.get("uri", "")).lower() in ("true", "1", "yes")


def _lower(value: Any) -> Any:
    return lower(value) if isinstance(value, str) else value


def _orphans(connection: Connection) -> Counter[tuple[Any, ...]]:
    rows = connection.exec_driver_sql(ORPHANS).all()
    return Counter(tuple(row) for row in rows)
