"""Empty databases that exist for as long as a command wants to try something in them."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from time import time
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from dbtasks.errors import UsageError

if TYPE_CHECKING:
    from dbtasks.engines.base import Backend

PREFIX = "dbtasks_scratch_"
NAME = re.compile(rf"{PREFIX}(\d+)_[0-9a-f]+\Z")
ABANDONED_SECONDS = 3600
"""How old a scratch database is that a killed command has left, and the next one drops."""

BY_HAND = "write the revision by hand: inv makemigrations --empty --name NAME"
"""What can be done where none can be made: --from-database needs one too."""

STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*'")
ELSEWHERE = re.compile(
    r"""
    (?: \b (?:TABLE | VIEW | TRIGGER | SEQUENCE | INTO | UPDATE | DELETE\s+FROM | REFERENCES |
           INDEX\s+\S+\s+ON)
        \s+ (?:IF\s+(?:NOT\s+)?EXISTS\s+)? `?(?P<schema>[\w$]+)`? \s*\.\s* [`\w]
    ) | ^\s* (?:USE | (?:CREATE | ALTER | DROP)\s+(?:DATABASE | SCHEMA))
        \s+ (?:IF\s+(?:NOT\s+)?EXISTS\s+)? `?(?P<database>[\w$]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What of MySQL names the database that a statement writes to."""

MADE = """
SELECT tbl_name, sql FROM sqlite_master
WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT GLOB 'sqlite_*'
ORDER BY sql NOT LIKE 'CREATE VIRTUAL %', type = 'index', rowid
"""
"""What makes the tables and indexes of SQLite, virtual ones before those that they make."""


class Scratch:
    """Make an empty database of an engine's kind, and drop it at the end."""

    is_file: ClassVar[bool] = False
    """Whether it is one file, which can be copied while nobody has it open."""

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of an empty database. Raises UsageError where none can be made."""
        raise UsageError(
            f"no scratch database can be made on {self.backend.title}",
            hint=BY_HAND,
        )
        yield self.backend.url  # what makes it a generator

    def schemas(self, connection: Connection) -> Sequence[str | None]:
        """Return the schemas that hold tables of such a database; None is its default one."""
        return (None,)

    def make_schemas(self, connection: Connection, names: Sequence[str]) -> None:
        """Make the schemas that tables of such a database are in."""

    def statements(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """Return tables with what makes them and their indexes, where a database keeps that."""
        return ()

    extensions: ClassVar[str] = ""
    """The query for the statements that make what tables may need of the server."""

    def needed(self, connection: Connection) -> Sequence[str]:
        """Return what makes the extensions of such a database."""
        return (
            connection.exec_driver_sql(self.extensions).scalars().all() if self.extensions else ()
        )

    types: ClassVar[str] = ""
    """The query for the columns of a table, each with its type, as a statement names it."""

    def types_of(self, connection: Connection, table: str, schema: str | None) -> dict[str, str]:
        """Return the types of a table's columns by their names."""
        if not self.types:
            return {}
        found = connection.execute(text(self.types), {"table": table, "schema": schema})
        return {str(name): str(kind) for name, kind in found}

    definitions: ClassVar[str] = ""
    """The query for triggers and functions: their kind, name and code."""

    def programs(self, connection: Connection) -> Sequence[tuple[str, str, str]]:
        """Return the triggers and functions of such a database."""
        if not self.definitions:
            return ()
        return [(*map(str, row),) for row in connection.exec_driver_sql(self.definitions)]  # type: ignore[misc]  # the query has three columns


class FileScratch(Scratch):
    """Make a file in a temporary folder."""

    is_file = True

    definitions = "SELECT type, name, sql FROM sqlite_master WHERE type = 'trigger'"

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a file that is not there yet."""
        with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
            yield URL.create(self.backend.url.drivername, database=str(Path(folder) / "scratch.db"))

    def statements(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """Return them as they were sent; a virtual table makes more, which are there then."""
        return [
            (table, sql.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1))
            for table, sql in connection.exec_driver_sql(MADE)
        ]


class ServerScratch(Scratch):
    """Make a database on the project's server, whose user may do so."""

    entrances: ClassVar[Sequence[str]] = ()
    """Databases of the server that one can connect to in order to make another."""

    names: ClassVar[str] = ""
    """The statement that lists the server's databases."""

    grant: ClassVar[str] = ""
    """What the user lacks, where it may not make one."""

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database."""
        name = f"{PREFIX}{int(time())}_{uuid4().hex[:8]}"
        with self._administering() as connection:
            self._drop_abandoned(connection)
            try:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            except DBAPIError as error:
                raise UsageError(
                    f"no scratch database can be made: {self.backend.message_of(error)}",
                    hint=f"{self.grant}; or name another server in DATABASE_URL",
                ) from error
        try:
            yield self.backend.url.set(database=name)
        finally:
            with self._administering() as connection:
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")

    @contextmanager
    def _administering(self) -> Iterator[Connection]:
        """Connect to whatever database of the server can be connected to."""
        for database in (self.backend.url.database, *self.entrances):
            engine = create_engine(
                self.backend.url.set(database=database),
                **{**self.backend.engine_options(), "isolation_level": "AUTOCOMMIT"},
                poolclass=NullPool,
            )
            try:
                connection = engine.connect()
                break
            except DBAPIError as error:
                refused = error
        else:
            failed = self.backend.explain_connecting(refused)
            failed.hint = f"{failed.hint}; the history is replayed there, in a scratch database"
            raise failed from refused
        with connection:
            yield connection

    def _drop_abandoned(self, connection: Connection) -> None:
        for (name,) in connection.exec_driver_sql(self.names).all():
            found = NAME.match(name)
            if found and time() - int(found[1]) > ABANDONED_SECONDS:
                with suppress(DBAPIError):  # somebody may be in it still
                    connection.exec_driver_sql(f"DROP DATABASE {name}")


class PostgreSQLScratch(ServerScratch):
    """Make a database of a PostgreSQL server."""

    entrances = ("postgres", "template1")
    names = "SELECT datname FROM pg_database"
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
    definitions = """
        SELECT 'trigger', t.tgrelid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid)
        FROM pg_trigger t WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, p.prosrc
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
        UNION ALL
        SELECT 'type', e.enumtypid::regtype::text,
               string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e GROUP BY e.enumtypid
        UNION ALL
        SELECT 'sequence', c.oid::regclass::text, '' FROM pg_class c WHERE c.relkind = 'S'
    """

    def schemas(self, connection: Connection) -> Sequence[str | None]:
        """Return all but the server's own."""
        found: list[str] = inspect(connection).get_schema_names()
        own = ("information_schema", connection.dialect.default_schema_name)
        return [None, *(one for one in found if one not in own)]

    def make_schemas(self, connection: Connection, names: Sequence[str]) -> None:
        """Make those that are not there."""
        for one in names:
            connection.execute(CreateSchema(one, if_not_exists=True))


class MySQLScratch(ServerScratch):
    """Make a database of a MySQL or MariaDB server."""

    entrances = ("information_schema",)
    names = "SHOW DATABASES"
    types = """
        SELECT column_name, column_type FROM information_schema.columns
        WHERE table_schema = COALESCE(:schema, database()) AND table_name = :table
    """
    definitions = """
        SELECT 'trigger', trigger_name, action_statement FROM information_schema.triggers
        WHERE trigger_schema = database()
        UNION ALL
        SELECT routine_type, routine_name, routine_definition FROM information_schema.routines
        WHERE routine_schema = database()
    """
    grant = "GRANT ALL ON `dbtasks\\_scratch\\_%`.* TO … lets the user make such databases"

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database; while it is open, no statement may name another.

        A schema is a database here: the project's own would be written to.
        """
        with super().opened() as url, _kept_within(str(url.database)):
            yield url


@contextmanager
def _kept_within(database: str) -> Iterator[None]:
    """Raise UsageError in the block for what this thread would write to another database."""
    thread = get_ident()

    def check(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if get_ident() != thread:
            return
        for found in ELSEWHERE.finditer(STRINGS.sub("''", statement)):
            name = found["database"] or found["schema"]
            if name.lower() not in (database, "information_schema"):
                raise UsageError(
                    f"the history, or a model, writes to another database ({name}), which no "
                    "scratch database can stand for",
                    hint=BY_HAND,
                )

    event.listen(Engine, "before_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", check)
