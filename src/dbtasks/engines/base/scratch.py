"""Empty databases that exist for as long as a command wants to try something in them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from time import time
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from sqlalchemy import URL, Connection, NullPool, inspect, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dbtasks.engines.base.definitions import TABLE, VIEW, Definition, Key
from dbtasks.errors import DbtasksError, Locked, NoScratch, UsageError
from dbtasks.hints import command_line
from dbtasks.interrupts import ending, held

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend


PREFIX = "dbtasks_scratch_"
NAME = re.compile(rf"{PREFIX}(\d+)_[0-9a-f]+\Z")
MARK = "dbtasks_scratch"
"""The table that says that all beside it in a database of scratch_url was made by dbtasks."""

NEW_SECONDS, LEFT_SECONDS = 60, 3600
"""The age from which an unlocked scratch database is abandoned; where no lock can be trusted."""


def by_hand() -> str:
    """Return what can be done where none can be made: --from-database needs one too."""
    return f"write the revision by hand: {command_line('makemigrations', empty=True, name='NAME')}"


class Scratch:
    """Make an empty database of an engine's kind, and drop it at the end."""

    is_file: ClassVar[bool] = False
    """Whether it is one file, which can be copied while nobody has it open."""

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of an empty database. Raises NoScratch where none can be made."""
        raise NoScratch(
            f"no scratch database can be made on {self.backend.title}",
            hint=by_hand(),
        )
        yield self.backend.url  # what makes it a generator

    @contextmanager
    def emptied(self, own: "Backend") -> Iterator[None]:
        """Let the block fill this backend's database, which scratch_url names; empty it at the end.

        `own` is the project's database. Raises UsageError where that is the same one, or for one
        that has tables which no command has made there as scratch; Locked while another uses it.
        """
        raise UsageError(
            f"scratch_url is not supported on {self.backend.title}", hint="leave out scratch_url"
        )
        yield

    conditions: ClassVar[str] = ""
    """The query for what decides how the server reads a definition; no row: it is not known."""

    @contextmanager
    def reached(self) -> Iterator[Connection]:
        """Connect to the server that would make a database, in autocommit."""
        raise NoScratch(f"no scratch database can be made on {self.backend.title}", hint=by_hand())
        yield  # what makes it a generator

    def clear(self, connection: Connection, since: int = 0) -> None:
        """Drop all that was made in a scratch database, by a connection in autocommit.

        `since` is the number of the object that was there before, where the server counts them.
        """

    def mark(self, connection: Connection) -> int:
        """Return `since` for what is made from now on."""
        return 0

    def make_schemas(self, connection: Connection, names: Sequence[str]) -> None:
        """Make the schemas that tables of such a database are in."""

    def statements(self, definitions: Mapping[Key, Definition], dialect: Dialect) -> Iterator[str]:
        """Yield what makes the objects of a database, in an order in which most can be made."""
        return iter(())

    extensions: ClassVar[str] = ""
    """The query for the statements that make what tables may need of the server."""

    def needed(self, connection: Connection) -> Sequence[str]:
        """Return what makes the extensions of such a database."""
        return (
            connection.exec_driver_sql(self.extensions).scalars().all() if self.extensions else ()
        )


class ServerScratch(Scratch):
    """Make a database on the project's server, whose user may do so."""

    entrances: ClassVar[Sequence[str]] = ()
    """Databases of the server that one can connect to in order to make another."""

    names: ClassVar[str] = ""
    """The statement that lists the server's databases."""

    grant: ClassVar[str] = ""
    """The query for the statement by which an administrator lets the user make one."""

    sessions: ClassVar[str] = ""
    """The query for the statements that end the connections to a database."""

    identity: ClassVar[str] = ""
    """The query for what is the same for two connections to one database, and for no others."""

    marked: ClassVar[str] = "SELECT 0"
    """The query for the number of the table MARK, where objects that are newer have a higher."""

    objects: ClassVar[str] = ""
    """The query for the statements that drop all objects with a higher number than `since`."""

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database, which is locked so that no other command drops it."""
        name = f"{PREFIX}{int(time())}_{uuid4().hex[:8]}"
        with ExitStack() as stack:
            with self.reached() as connection:
                self._drop_abandoned(connection)
                drop = ending(lambda: self._drop(name), ignoring=(DbtasksError, DBAPIError))
                stack.enter_context(drop)
                self._make(connection, name)
            stack.enter_context(self._locked(name))
            yield self.backend.url.set(database=name)

    def _make(self, connection: Connection, name: str) -> None:
        try:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        except DBAPIError as error:
            raise NoScratch(
                f"no scratch database can be made: {self.backend.message_of(error)}",
                hint=f"let an administrator run {connection.scalar(text(self.grant))}; or name an "
                "empty database: scratch_url in tasks.py",
            ) from error

    def _drop(self, name: str) -> None:
        with held(), self.reached() as connection:
            self._drop_by(connection, name)

    def _drop_by(self, connection: Connection, name: str) -> None:
        self._end_sessions(connection, name)
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")

    def _end_sessions(self, connection: Connection, name: str) -> None:
        """End the other connections to a database: env.py may have left one in a transaction."""
        for statement in connection.execute(text(self.sessions), {"name": name}).scalars().all():
            with suppress(DBAPIError):  # it has just ended by itself
                connection.exec_driver_sql(statement)

    @contextmanager
    def emptied(self, own: "Backend") -> Iterator[None]:
        """Lock it, and mark it for the time in which its objects are those of dbtasks."""
        if not own.is_spoken(self.backend.url.get_backend_name()):
            raise UsageError(
                f"scratch_url leads to {self.backend.title}, and the project's URL to {own.title}",
                hint=f"name an empty database of {own.title}, or leave out scratch_url",
            )
        name = str(self.backend.url.database)
        with self._locked(name) as (connection, lock):
            if lock is False:
                raise Locked(
                    f"another command uses the scratch database {name}",
                    hint="run it again when that is done",
                )
            self._check_other(connection, own)
            since = self._claim(connection)
            with ending(lambda: self._leave(connection, since), ignoring=(SQLAlchemyError,)):
                yield

    def _check_other(self, connection: Connection, own: "Backend") -> None:
        """Refuse the project's own database, by whatever host or user its URL leads to it."""
        same = self.backend.url.set(username=None, password=None) == own.url.set(
            username=None, password=None
        )
        with suppress(DBAPIError, DbtasksError):  # one that cannot be reached is another
            scratch = own.scratch(own)
            assert isinstance(scratch, ServerScratch)
            with scratch._connected(str(own.url.database)) as beside:
                here, there = (each.scalar(text(self.identity)) for each in (connection, beside))
                same = same or here == there
        if same:
            raise UsageError(
                f"the scratch database is the project's own, {own.url.database}",
                hint="name an empty database for this alone in scratch_url",
            )

    def _claim(self, connection: Connection) -> int:
        """Mark an empty database as scratch, and empty one that a killed command has left."""
        if inspect(connection).has_table(MARK):
            since = self.mark(connection)
            self.clear(connection, since)
            return since
        kinds = {key.kind for key, _ in self.backend.definitions(connection)}
        if kinds & {TABLE, VIEW}:
            raise UsageError(
                f"the scratch database is not empty: {self.backend.url.database} has tables",
                hint="name an empty database for this alone in scratch_url",
            )
        return self.mark(connection)

    def mark(self, connection: Connection) -> int:
        """Make the table MARK, and return its number where the server counts objects."""
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {MARK} (id INTEGER)")
        return int(connection.scalar(text(self.marked)) or 0)

    def _leave(self, connection: Connection, since: int) -> None:
        with held():
            self._end_sessions(connection, str(self.backend.url.database))
            self.clear(connection, since)
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {MARK}")

    def clear(self, connection: Connection, since: int = 0) -> None:
        """Drop it statement by statement: one transaction could exhaust the server's locks."""
        statements = connection.execute(text(self.objects), {"since": since}).scalars().all()
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    @contextmanager
    def reached(self) -> Iterator[Connection]:
        """Connect to whatever database of the server can be connected to."""
        with self._connected(self.backend.url.database, *self.entrances) as connection:
            yield connection

    @contextmanager
    def _connected(self, *databases: str | None) -> Iterator[Connection]:
        """Connect to the first of these databases that can be connected to, in autocommit."""
        for database in databases:
            engine = self.backend.make_engine(
                self.backend.url.set(database=database),
                isolation_level="AUTOCOMMIT",
                poolclass=NullPool,
            )
            try:
                connection = self.backend.open(engine)
                break
            except DBAPIError as error:
                refused = error
        else:
            failed = self.backend.explain_connecting(refused)
            failed.hint = f"{failed.hint}; the history is replayed there, in a scratch database"
            raise failed from refused
        with ending(connection.close, ignoring=(SQLAlchemyError,)):
            yield connection

    @contextmanager
    def _locked(self, name: str) -> Iterator[tuple[Connection, bool | None]]:
        """Hold the lock of a database; False is another's, None that none can be trusted."""
        with self._connected(name) as connection:
            lock = self.backend.session_lock(connection)
            yield connection, None if lock is None else lock.take()

    def _drop_abandoned(self, connection: Connection) -> None:
        """Drop what killed commands have left, and nothing that another one has locked."""
        for name in connection.exec_driver_sql(self.names).scalars().all():
            age = time() - int(match[1]) if (match := NAME.match(name)) else 0.0
            with suppress(DBAPIError, DbtasksError):  # another command drops it, or it is not ours
                if age > NEW_SECONDS and self._is_left(name, age):
                    self._drop_by(connection, name)

    def _is_left(self, name: str, age: float) -> bool:
        with self._locked(name) as (_, lock):
            return age > LEFT_SECONDS if lock is None else lock
