"""What differs between databases, as one documented class; the others derive from it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, func
from sqlalchemy.exc import DBAPIError, IntegrityError

from dbtasks.engines.attached import Attached
from dbtasks.engines.column_checks import ColumnChecks
from dbtasks.engines.copying import Copying, Loading
from dbtasks.engines.created import Created
from dbtasks.engines.emptying import Emptying
from dbtasks.engines.indexing import Indexing
from dbtasks.engines.inheritance import Inheritance
from dbtasks.engines.locking import Locking
from dbtasks.engines.matching import ESCAPE, ignores_case, is_text, like_pattern
from dbtasks.engines.plans import Plan, explain
from dbtasks.engines.rebuilding import Dependent
from dbtasks.engines.redirection import Redirection
from dbtasks.engines.retelling import Retelling
from dbtasks.engines.scratch import Scratch
from dbtasks.engines.statements import Statements
from dbtasks.engines.storage import Storage
from dbtasks.errors import DbtasksError, Locked, Rejected, Unreachable, UsageError

WRITES = "dbtasks_writes"
"""The execution option of a connection that is going to write."""

CONNECT_SECONDS = 10

URL_MISTAKES = r"invalid (connection option|port|integer value|sslmode)|unknown character set"

# Why no connection was made, by the drivers' words, and what mends it. A server that speaks
# another language gets the last.
CONNECT_HINTS = (
    (
        r"password|authentication|access denied|role .* does not exist|ORA-01017",
        "check the user and the password in the URL; where it comes from: inv settings",
    ),
    (
        r"database .* does not exist|unknown database|ORA-12514|DPY-6001",
        "create the database, or mend its name in the URL; where it comes from: inv settings",
    ),
    (
        r"resolve|name or service not known|translate host|getaddrinfo|unknown .*host",
        "check the host in the URL; where it comes from: inv settings",
    ),
    (
        r"",
        "is the server running there? Wait for it with: inv waitdb --timeout 60; "
        "the URL and where it comes from: inv settings",
    ),
)


@dataclass(frozen=True)
class Driver:
    """Name a driver as SQLAlchemy, Python and pip know it."""

    name: str
    module: str
    package: str


class Backend(
    Attached, ColumnChecks, Indexing, Retelling, Storage, Statements, Locking, Redirection
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

    explain_prefix: ClassVar[str] = "EXPLAIN"
    """What stands before a statement to get its plan instead of its rows."""

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

    scratch: ClassVar[type[Scratch]] = Scratch
    """What makes an empty database to try something in."""

    own_schema: ClassVar[str | None] = None
    """The schema of our own tables; None is where the project's are."""

    def __init__(self, url: URL, root: Path) -> None:
        self.root = root
        self.url = url

    def dependents(self, connection: Connection, table: str) -> Sequence[Dependent]:
        """Return what has to be dropped while a table is made anew, and made again after it."""
        return ()

    def created(self, connection: Connection, table: str) -> Created:
        """Return what a table says that SQLAlchemy does not reflect."""
        return Created()

    def computed(self, connection: Connection, table: str) -> Mapping[str, str]:
        """Return the expressions of computed columns that SQLAlchemy may tell wrongly."""
        return {}

    @contextmanager
    def rebuilding(self, connection: Connection) -> Iterator[None]:
        """Keep in the block what a table has that is made anew, also what no revision knows of."""
        yield

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

    def engine_options(self) -> dict[str, Any]:
        """Return the keywords for `create_engine`."""
        return {}

    def prepare_engine(self, engine: Engine) -> None:
        """Hang what each new connection needs on the engine's events."""

    def check_reachable(self, *, create: bool) -> None:
        """Raise Unreachable for what can be known without connecting."""

    def stand_in(self) -> Engine | None:
        """Return an empty database in place of one that only `migrate` may make, or None."""
        return None

    @contextmanager
    def migration_connection(self, engine: Engine) -> Iterator[Connection]:
        """Open the connection that migrations run on, not yet in a transaction."""
        with engine.connect() as connection:
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

    def equals(self, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
        """Compare a column; text by its characters, as `match` does."""
        if isinstance(value, str) and is_text(column):
            return self.match(column, "exact", value)
        equal: ColumnElement[bool] = column == value
        return equal

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
        """Compare a text column by a lookup: exact, contains, startswith, endswith or regex.

        Case, accents and spaces count; with an `i` before its name (not regex) case does not.
        What stands in the text stands for itself, but in a regex. NULL never matches.
        """
        if lookup == "regex":
            return column.regexp_match(text)
        if lookup == "exact":
            equal: ColumnElement[bool] = column == text
            return equal
        pattern = like_pattern(lookup, text)
        if ignores_case(lookup):
            return func.lower(column).like(func.lower(pattern), escape=ESCAPE)
        return column.like(pattern, escape=ESCAPE)

    def has_ended(self, connection: Connection) -> bool:
        """Whether the database has ended the transaction by itself, after an error."""
        return False

    def can_roll_back(self, connection: Connection, table: Table) -> bool:
        """Whether a change of the table's rows can be rolled back."""
        return True

    def plan_of(self, connection: Connection, statement: Any) -> Plan:
        """Return the engine's plan for a statement: the names of its columns, and its rows."""
        return explain(connection, self.explain_prefix, statement)

    def explain(self, error: DBAPIError, *, state: str) -> DbtasksError:
        """Say in the user's terms what the driver reported.

        `state` is what the caller knows of the database after it.
        """
        message = self.message_of(error)
        if error.connection_invalidated or self.lost_connection(error):
            return Unreachable(
                f"the connection was lost: {message}",
                hint="wait for the server with: inv waitdb --timeout 60, and try again",
                state=state,
            )
        if self.is_lock_failure(error):
            return Locked(message, hint="another transaction is in the way; try again", state=state)
        return Rejected(message, hint=self.hint_of(error, message), state=state)

    def explain_connecting(self, error: DBAPIError) -> DbtasksError:
        """Say why no connection could be made."""
        message = self.message_of(error)
        if re.search(URL_MISTAKES, message, re.IGNORECASE):
            return UsageError(
                f"{self.title} does not take this URL: {message}",
                hint="mend what stands after ? in the URL; where it comes from: inv settings",
            )
        hints = (hint for words, hint in CONNECT_HINTS if re.search(words, message, re.IGNORECASE))
        return Unreachable(f"cannot connect to {self.title}: {message}", hint=next(hints))

    def message_of(self, error: DBAPIError) -> str:
        """Return the driver's own words on one line, without statement and parameters."""
        return " ".join(str(error.orig).split())

    def hint_of(self, error: DBAPIError, message: str) -> str | None:
        """Return what to type next after the database refused a statement."""
        if self.is_missing_table(error, message):
            return "bring the database up to date with: inv migrate"
        if isinstance(error, IntegrityError):
            return "mend the value, or look at what is there with: inv query --where FIELD=VALUE"
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
