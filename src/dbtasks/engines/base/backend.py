"""What differs between databases, as one documented class; the others derive from it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, Table
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SQLAlchemyError

from dbtasks.engines.base.bulk import Copying
from dbtasks.engines.base.catalogue import Catalogue
from dbtasks.engines.base.column_checks import ColumnChecks
from dbtasks.engines.base.comparison import Comparison
from dbtasks.engines.base.connection import Connecting
from dbtasks.engines.base.dependent import Dependent
from dbtasks.engines.base.expressions import Retelling
from dbtasks.engines.base.flush import Emptying
from dbtasks.engines.base.indexes import Indexing
from dbtasks.engines.base.inheritance import Inheritance
from dbtasks.engines.base.introspection import Introspection
from dbtasks.engines.base.load import Loading
from dbtasks.engines.base.lock import Locking
from dbtasks.engines.base.plan import Plan, explain
from dbtasks.engines.base.redirection import Redirection
from dbtasks.engines.base.scratch import Scratch
from dbtasks.engines.base.sockets import NoAnswerError, within
from dbtasks.engines.base.statements import Statements
from dbtasks.engines.base.triggers import Triggers
from dbtasks.errors import DbtasksError, Locked, NotInDatabase, Rejected, Unreachable, UsageError
from dbtasks.hints import command_line
from dbtasks.interrupts import ending

WRITES = "dbtasks_writes"
"""The execution option of a connection that is going to write."""

CONNECT_SECONDS = 5
"""How long a server may take for connecting, its handshake and its first reply."""

SOURCE = "; where it comes from: {settings}"
WAIT = "is the server running there? Wait for it with: {waitdb}; "
SLOW = f"{WAIT}for a slow one add {{timeout_key}}=SECONDS after ? in the URL"

MISSING_SAVEPOINT = r"no such savepoint|does not exist|never established"

URL_MISTAKES = (
    r"invalid (connection option|port|integer value|sslmode)|bad value for|unknown character set"
)

# Why no connection was made, by the drivers' words, and what fixes it. A server that speaks
# another language gets the last.
CONNECT_HINTS = (
    (
        r"password|authentication|access denied|role .* does not exist|ORA-01017",
        f"check the user and the password in the URL{SOURCE}",
    ),
    (
        r"database .* does not exist|unknown database|ORA-12514|DPY-6001",
        f"create the database, or fix its name in the URL{SOURCE}",
    ),
    (
        r"resolve|name or service not known|translate host|getaddrinfo|unknown .*host",
        f"check the host in the URL{SOURCE}",
    ),
    (r"timeout expired|timed out", SLOW),
    (r"", f"{WAIT}the URL and where it comes from: {{settings}}"),
)


def behind_hint(alias: str | None = None) -> str:
    """Return what to do about a database that lacks what the models have."""
    return f"bring the database up to date with: {command_line('migrate', database=alias)}"


def url_hint() -> str:
    """Return what to do about the options of a URL."""
    return _complete(f"fix what stands after ? in the URL{SOURCE}")


def _complete(hint: str, timeout_key: str = "") -> str:
    """Return a hint with its command lines."""
    return hint.format(
        settings=command_line("settings"),
        waitdb=command_line("waitdb", timeout=60),
        timeout_key=timeout_key,
    )


GONE = "8s2b"
"""The code of SQLAlchemy's error for a connection that was lost in a transaction before."""


def is_gone(error: BaseException) -> bool:
    """Whether the connection was lost by a statement before, whose error nobody has seen."""
    return isinstance(error, PendingRollbackError) and error.code == GONE


def closing(connection: Connection) -> AbstractContextManager[None]:
    """Close the connection at the end of the block; one that is lost is closed already."""
    return ending(connection.close, ignoring=(SQLAlchemyError,))


@dataclass(frozen=True)
class Driver:
    """Name a driver as SQLAlchemy, Python and pip know it."""

    name: str
    module: str
    package: str

    def version(self) -> str:
        """Return the driver's version; of SQLite that of the library that Python has."""
        module = import_module(self.module)
        found = getattr(module, "__version__", None) or getattr(module, "sqlite_version", "unknown")
        return str(found).partition(" ")[0]


class Backend(
    ColumnChecks,
    Comparison,
    Connecting,
    Indexing,
    Introspection,
    Retelling,
    Statements,
    Locking,
    Redirection,
):
    """Do with SQLAlchemy alone what any database allows.

    A class of its own for a database overrides what it does differently. An instance belongs
    to one URL: `url` is the one to connect with, `root` the folder that relative paths start at.
    """

    title: ClassVar[str] = "this database"
    drivers: ClassVar[tuple[Driver, ...]] = ()
    async_drivers: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Asynchronous drivers, each with the query keys that the synchronous one calls otherwise."""

    transactional_ddl: ClassVar[bool | None] = None
    """Whether a failed migration can be rolled back; None leaves the answer to Alembic."""

    batch_migrations: ClassVar[bool] = False
    """Whether ALTER needs Alembic's batch mode: the table copied and renamed."""

    casts_columns: ClassVar[bool] = False
    """Whether a column gets a type of another kind only by a cast that is written."""

    keys_hold_types: ClassVar[bool] = False
    """Whether a column gets another type only while no foreign key is about it."""

    exact_names: ClassVar[bool] = False
    """Whether a column is told from another by the case of its name alone."""

    streams_beside: ClassVar[bool] = True
    """Whether a connection can run a statement while it streams the rows of another."""

    counts_after_rows: ClassVar[bool] = False
    """Whether the driver counts the rows of INSERT … RETURNING only when they have been read."""

    counts_merged_once: ClassVar[bool] = True
    """Whether a row that an INSERT updates instead counts as one row."""

    counts_replaced: ClassVar[bool] = True
    """Whether REPLACE counts the rows that it deletes, too."""

    explain_prefix: ClassVar[str] = "EXPLAIN"
    """What stands before a statement to get its plan instead of its rows."""

    connect_seconds: ClassVar[float | None] = None
    """How long the server may take until its first reply; None where there is none to wait for."""

    timeout_key: ClassVar[str] = "connect_timeout"
    """What the URL calls a time to connect of its own."""

    sequences_commit: ClassVar[bool] = False
    """Whether setting the sequences commits, so that it must wait until all else is."""

    emptying: ClassVar[type[Emptying]] = Emptying
    """How tables are emptied."""

    copying: ClassVar[type[Copying]] = Copying
    """How the rows of a table get in and out."""

    inheritance: ClassVar[type[Inheritance]] = Inheritance
    """Tells whose a row is that several tables show."""

    loading: ClassVar[type[Loading]] = Loading
    """What the load of several tables does around their rows."""

    triggers: ClassVar[type[Triggers]] = Triggers
    """What knows the triggers of tables, and turns them off."""

    catalogue: ClassVar[Catalogue] = Catalogue()
    """Which tables the database has."""

    scratch: ClassVar[type[Scratch]] = Scratch
    """What makes an empty database to try something in."""

    own_schema: ClassVar[str | None] = None
    """The schema of our own tables; None is where the project's are."""

    def dependents(self, connection: Connection, table: str) -> Sequence[Dependent]:
        """Return what has to be dropped while a table is made anew, and made again after it."""
        return ()

    @property
    def database_name(self) -> str:
        """Return the name by which a person knows this database, and types it to confirm."""
        return self.url.database or self.title

    @property
    def own_driver(self) -> bool:
        """Whether the driver is one of `drivers`, whose keywords we know."""
        return self.url.get_driver_name() in [one.name for one in self.drivers]

    @property
    def in_memory(self) -> bool:
        """Whether the database lives and dies with its one connection."""
        return False

    @classmethod
    def translate_async(cls, url: URL) -> URL:
        """Return the URL of an asynchronous driver as the synchronous driver wants it."""
        name, _, driver = url.drivername.partition("+")
        renamed = cls.async_drivers[driver]
        query = {renamed.get(key, key): value for key, value in url.query.items()}
        query.pop("", None)  # a key renamed to nothing has no meaning for the other driver
        return url.set(drivername=name, query=query)

    def connect_url(self, *, create: bool) -> URL:
        """Return the URL to connect with; `create` allows what is not there to be made."""
        return self.url

    def open(self, engine: Engine, *, seconds: float | None = None) -> Connection:
        """Connect, and raise Unreachable where no reply comes in time.

        The time is that of the URL, or `connect_seconds`; `seconds` may shorten it.
        """
        limits = [one for one in (self.patience, seconds) if one is not None]
        if self.connect_seconds is None or not limits:
            return engine.connect()
        try:
            return within(min(limits), engine.connect, Connection.close)
        except NoAnswerError as error:
            raise Unreachable(
                f"cannot connect to {self.title}: no answer within {min(limits):.3g} s",
                hint=_complete(SLOW, self.timeout_key),
            ) from error

    @property
    def patience(self) -> float | None:
        """Return the seconds until the first reply; each of several hosts has them."""
        given = self.url.query.get(self.timeout_key)
        try:
            seconds = self.connect_seconds if given is None else float(str(given))
        except ValueError:  # the driver says what is wrong with it
            return None
        hosts = self.url.query.get("host", self.url.host or "")
        several = ",".join([hosts] if isinstance(hosts, str) else hosts).count(",") + 1
        return seconds * several if seconds and seconds > 0 else None

    def check_reachable(self, *, create: bool) -> None:
        """Raise Unreachable for what can be known without connecting."""

    def stand_in(self) -> Engine | None:
        """Return an empty database in place of one that only `migrate` may make, or None."""
        return None

    @contextmanager
    def migration_connection(self, engine: Engine) -> Iterator[Connection]:
        """Open the connection that migrations run on, not yet in a transaction."""
        connection = self.open(engine)
        with closing(connection):
            yield connection

    @contextmanager
    def migration_checks(self, connection: Connection) -> Iterator[None]:
        """Check inside the transaction that the migrations in the block broke nothing."""
        yield

    def version(self, connection: Connection) -> str:
        """Return the server's name and version, as in `PostgreSQL 15.18`."""
        version = connection.dialect.server_version_info or ()
        return " ".join([self.title, ".".join(str(part) for part in version)]).strip()

    def begin_snapshot(self, connection: Connection) -> None:
        """Let all that this transaction reads be as it is now, whatever others write."""

    def set_sequences(self, connection: Connection, tables: Sequence[Table]) -> None:
        """Move the sequences of the tables past the keys that are there."""

    def count_on(self, table: Table) -> str | None:
        """Return the SQL that moves the sequence of a table past its rows; None without one."""
        return None

    def has_ended(self, connection: Connection) -> bool:
        """Whether the database has ended the transaction by itself, after an error."""
        return False

    def can_roll_back(self, connection: Connection, table: Table) -> bool:
        """Whether a change of the table's rows can be rolled back."""
        return True

    def plan_of(self, connection: Connection, statement: Any) -> Plan:
        """Return the engine's plan for a statement: the names of its columns, and its rows."""
        return explain(connection, self.explain_prefix, statement)

    def first_of(self, error: DBAPIError) -> DBAPIError:
        """Return the error that this one only follows from, as a savepoint that is gone does."""
        earlier: BaseException | None = error
        while earlier is not None and self.follows(error):
            earlier = earlier.__context__
            if isinstance(earlier, DBAPIError):
                error = earlier
        return error

    def follows(self, error: DBAPIError) -> bool:
        """Whether a statement failed only as an earlier error has ended its transaction."""
        message = self.message_of(error).lower()
        return "savepoint" in message and re.search(MISSING_SAVEPOINT, message) is not None

    def lost(self, message: object, *, state: str) -> Unreachable:
        """Return the error for a connection that is gone."""
        return Unreachable(
            f"the connection was lost: {message}",
            hint=f"wait for the server with: {command_line('waitdb', timeout=60)}, and try again",
            state=state,
        )

    def explain(self, error: DBAPIError, *, state: str) -> DbtasksError:
        """Say in the user's terms what the driver reported.

        `state` is what the caller knows of the database after it.
        """
        error = self.first_of(error)
        message = self.message_of(error)
        if error.connection_invalidated or self.lost_connection(error):
            return self.lost(message, state=state)
        if self.is_lock_failure(error):
            return Locked(message, hint="another transaction is in the way; try again", state=state)
        if self.is_missing_table(error, message):
            return NotInDatabase(message, hint=behind_hint(), state=state)
        return Rejected(message, hint=self.hint_of(error), state=state)

    def explain_connecting(self, error: DBAPIError) -> DbtasksError:
        """Say why no connection could be made."""
        message = self.message_of(error)
        if re.search(URL_MISTAKES, message, re.IGNORECASE):
            return UsageError(
                f"{self.title} does not take this URL: {message}",
                hint=url_hint(),
            )
        hints = (hint for words, hint in CONNECT_HINTS if re.search(words, message, re.IGNORECASE))
        return Unreachable(
            f"cannot connect to {self.title}: {message}",
            hint=_complete(next(hints), self.timeout_key),
        )

    def message_of(self, error: DBAPIError) -> str:
        """Return the driver's own words on one line, without statement and parameters."""
        return " ".join(str(error.orig).split())

    def hint_of(self, error: DBAPIError) -> str | None:
        """Return what to type next after the database refused a statement."""
        if isinstance(error, IntegrityError):
            return "fix the value, or look at what is there with: " + command_line(
                "query", where="FIELD=VALUE"
            )
        return None

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Whether a table or column is not there."""
        return False

    def is_lock_failure(self, error: DBAPIError) -> bool:
        """Whether the statement gave up on a lock, or lost a deadlock."""
        return False

    def lost_connection(self, error: DBAPIError) -> bool:
        """Whether the server is gone, where SQLAlchemy does not see it."""
        return False
