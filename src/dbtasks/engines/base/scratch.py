"""Empty databases that exist for as long as a command wants to try something in them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from time import time
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from sqlalchemy import URL, Connection, NullPool, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dbtasks.errors import DbtasksError, UsageError
from dbtasks.hints import command_line
from dbtasks.interrupts import ending, held

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend


PREFIX = "dbtasks_scratch_"
NAME = re.compile(rf"{PREFIX}(\d+)_[0-9a-f]+\Z")
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
        """Yield the URL of an empty database. Raises UsageError where none can be made."""
        raise UsageError(
            f"no scratch database can be made on {self.backend.title}",
            hint=by_hand(),
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


class ServerScratch(Scratch):
    """Make a database on the project's server, whose user may do so."""

    entrances: ClassVar[Sequence[str]] = ()
    """Databases of the server that one can connect to in order to make another."""

    names: ClassVar[str] = ""
    """The statement that lists the server's databases."""

    grant: ClassVar[str] = ""
    """What the user lacks, where it may not make one."""

    sessions: ClassVar[str] = ""
    """The query for the statements that end the connections to a database."""

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database, which is locked so that no other command drops it."""
        name = f"{PREFIX}{int(time())}_{uuid4().hex[:8]}"
        url = self.backend.url.set(database=name)
        with ExitStack() as stack:
            with self._administering() as connection:
                self._drop_abandoned(connection)
                drop = ending(lambda: self._drop(name), ignoring=(DbtasksError, DBAPIError))
                stack.enter_context(drop)
                self._make(connection, name)
            stack.enter_context(self._locked(url))
            yield url

    def _make(self, connection: Connection, name: str) -> None:
        try:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        except DBAPIError as error:
            raise UsageError(
                f"no scratch database can be made: {self.backend.message_of(error)}",
                hint=f"{self.grant}; or name another server in DATABASE_URL",
            ) from error

    def _drop(self, name: str) -> None:
        with held(), self._administering() as connection:
            self._drop_by(connection, name)

    def _drop_by(self, connection: Connection, name: str) -> None:
        """Drop a database, whoever is still connected: env.py may have an engine with a pool."""
        for statement in connection.execute(text(self.sessions), {"name": name}).scalars().all():
            with suppress(DBAPIError):  # it has just ended by itself
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")

    @contextmanager
    def _administering(self) -> Iterator[Connection]:
        """Connect to whatever database of the server can be connected to."""
        for database in (self.backend.url.database, *self.entrances):
            try:
                connection = self._connect(self.backend.url.set(database=database))
                break
            except DBAPIError as error:
                refused = error
        else:
            failed = self.backend.explain_connecting(refused)
            failed.hint = f"{failed.hint}; the history is replayed there, in a scratch database"
            raise failed from refused
        with connection:
            yield connection

    def _connect(self, url: URL) -> Connection:
        engine = self.backend.make_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        return self.backend.open(engine)

    @contextmanager
    def _locked(self, url: URL) -> Iterator[bool | None]:
        """Hold the lock of a database; False is another's, None that none can be trusted."""
        connection = self._connect(url)
        with ending(connection.close, ignoring=(SQLAlchemyError,)):
            lock = self.backend.session_lock(connection)
            yield None if lock is None else lock.take()

    def _drop_abandoned(self, connection: Connection) -> None:
        """Drop what killed commands have left, and nothing that another one has locked."""
        for name in connection.exec_driver_sql(self.names).scalars().all():
            age = time() - int(match[1]) if (match := NAME.match(name)) else 0.0
            with suppress(DBAPIError, DbtasksError):  # another command drops it, or it is not ours
                if age > NEW_SECONDS and self._is_left(name, age):
                    self._drop_by(connection, name)

    def _is_left(self, name: str, age: float) -> bool:
        with self._locked(self.backend.url.set(database=name)) as lock:
            return age > LEFT_SECONDS if lock is None else lock
