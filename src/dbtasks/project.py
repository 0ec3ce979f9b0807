"""A project: its settings, its models and one of its databases, with connections to it."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Literal, Self

from sqlalchemy import URL, Connection, Engine, MetaData, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Mapper, Session

from dbtasks.engines import Backend, backend_for, mask, secrets_of
from dbtasks.engines.base import WRITES
from dbtasks.engines.urls import MASK
from dbtasks.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    ROLLED_BACK,
    UNKNOWN,
    DbtasksError,
    OutcomeUnknown,
    UsageError,
)
from dbtasks.models import mappers_of, metadata_of, suggest
from dbtasks.references import load, project_raised, put_on_path
from dbtasks.settings import Options, Settings, resolve

SHORT_SECRET = 6


class Project:
    """Open connections and sessions on one database of a project.

    Every connection and session is a new one, in one transaction of its own, so that threads
    may share a Project; in memory they wait for each other. Errors of the driver leave as
    DbtasksError. `outcome` says what became of the last write.
    """

    def __init__(self, settings: Settings, *, metadata: MetaData | None = None) -> None:
        self.settings = settings
        self.echo = False
        self.outcome = NOTHING_CHANGED
        self._lock = RLock()
        self._given_metadata = metadata
        self._engines: dict[bool, Engine] = {}
        put_on_path(settings.root)

    @classmethod
    def configure(
        cls, root: str | Path, *, database: str | None = None, **options: Any
    ) -> "Project":
        """Return the project in the folder `root`, with the options of `collection(...)`."""
        path = Path(root).resolve()
        return cls(resolve(Options(**options), path, environ=os.environ, database=database))

    @cached_property
    def backend(self) -> Backend:
        """Return what is particular to this kind of database."""
        text, source = self.settings.url_of(self.settings.database)
        return backend_for(text, source, self.settings.root)

    def elsewhere(self, url: URL) -> "Project":
        """Return the project on another database of the same kind, which it does not declare."""
        other = Project(self.settings, metadata=self._given_metadata)
        other.backend = type(self.backend)(url, self.settings.root)
        return other

    def on(self, alias: str) -> "Project":
        """Return the project on another of the databases that it declares."""
        settings = replace(self.settings, database=alias)
        return Project(settings, metadata=self._given_metadata)

    @property
    def name(self) -> str:
        """Return the database's name, as a person types it to confirm."""
        return self.backend.database_name

    @property
    def read_only(self) -> bool:
        """Whether the project declared this database as one not to be written to."""
        return self.settings.databases[self.settings.database].read_only

    def describe(self) -> str:
        """Return one line that says which database this is, without secrets."""
        settings = self.settings
        return f"{settings.database}, {mask(self.backend.url)}, {settings.environment}"

    def scrub(self, text: str) -> str:
        """Return a text without the database's passwords."""
        with suppress(DbtasksError):  # without a URL there is no secret either
            for secret in sorted(secrets_of(self.backend.url), key=len, reverse=True):
                # A short one is hidden as a word only: hiding every e would spell it out.
                edge = r"\b" if len(secret) < SHORT_SECRET else ""
                text = re.sub(f"{edge}{re.escape(secret)}{edge}", MASK, text)
        return text

    # -- the project's own code --------------------------------------------------------------

    @cached_property
    def metadata(self) -> tuple[MetaData, ...]:
        """Return the tables of the project."""
        return tuple(metadata_of(one) for one in self._bases)

    @cached_property
    def mappers(self) -> Mapping[str, list[Mapper[Any]]]:
        """Return the mapped classes by name; a list, as two modules may share a name."""
        found: dict[str, list[Mapper[Any]]] = {}
        for base in self._bases:
            for mapper in mappers_of(base):
                if mapper not in found.setdefault(mapper.class_.__name__, []):
                    found[mapper.class_.__name__].append(mapper)
        return found

    def find_mapper(self, name: str | None = None) -> Mapper[Any]:
        """Return the mapper of a class by its name, or by its module and name.

        Without a name it is the project's default model. Raises UsageError where none, or
        more than one, has the name.
        """
        name = name or self.settings.default_model
        if name is None:
            raise UsageError(
                "no model is named, and the project has no default_model",
                hint=f"add --model; {suggest('', self.mappers)}",
            )
        module, _, short = name.rpartition(".")
        found = [
            mapper
            for mapper in self.mappers.get(short, [])
            if module in ("", mapper.class_.__module__)
        ]
        if not found:
            raise UsageError(f"there is no model {name!r}", hint=suggest(name, self.mappers))
        if len(found) > 1:
            full = (f"{mapper.class_.__module__}.{short}" for mapper in found)
            raise UsageError(f"several models are named {name!r}", hint=f"name {' or '.join(full)}")
        return found[0]

    @cached_property
    def _bases(self) -> tuple[Any, ...]:
        if self._given_metadata is not None:
            return (self._given_metadata,)
        if not self.settings.metadata:
            raise UsageError(
                "the project names no models",
                hint='add metadata="module:Base" to collection(...) in tasks.py',
            )
        self.start_application()
        return tuple(load(one, "metadata") for one in self.settings.metadata)

    def start_application(self) -> None:
        """Call the application factory, once, and enter its context where it has one."""
        if self.settings.app and not self._application_started:
            self._application_started = True
            application = load(self.settings.app, "app")
            if callable(application) and not hasattr(application, "app_context"):
                application = _call(application, f"app={self.settings.app!r}")
            if hasattr(application, "app_context"):
                application.app_context().push()

    _application_started = False

    # -- connections -------------------------------------------------------------------------

    def engine(self, *, create: bool = False) -> Engine:
        """Return the engine; `create` allows a SQLite file that is not there to be made."""
        create = create or self.backend.in_memory
        with self._lock:
            if create not in self._engines:
                self._engines[create] = self._make_engine(create)
        engine = self._engines[create]
        engine.hide_parameters = not self.echo
        return engine

    def _make_engine(self, create: bool) -> Engine:
        url = self.backend.connect_url(create=create)
        options = self.backend.engine_options()
        try:
            engine = create_engine(url, **options)
        except ImportError as error:
            raise UsageError(
                f"the driver of {url.drivername} cannot be imported: {error}",
                hint="pip install "
                + (" or ".join(f'"{one.package}"' for one in self.backend.drivers) or "its driver"),
            ) from error
        self.backend.prepare_engine(engine)
        return engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept; a database in memory is gone with its own."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    @contextmanager
    def connect(self, *, writes: bool = False, dry_run: bool = False) -> Iterator[Connection]:
        """Open a connection in one transaction: committed at the end, rolled back on an error.

        With `dry_run` it is rolled back at the end too.
        """
        state = ROLLED_BACK if writes else NOTHING_CHANGED
        with self.opened() as connection, self.explained(state):
            connection = connection.execution_options(**{WRITES: writes})
            transaction = connection.begin()
            if writes:
                self.outcome = ROLLED_BACK
            try:
                yield connection
            except BaseException:
                with suppress(DBAPIError):  # the connection may be gone, and the error is known
                    transaction.rollback()
                raise
            if dry_run or not writes:
                transaction.rollback()
            else:
                self.outcome = UNKNOWN  # an interrupt may come after the database's last word
                self._commit(transaction.commit)
                self.outcome = COMMITTED

    @contextmanager
    def session(self, *, writes: bool = False, dry_run: bool = False) -> Iterator[Session]:
        """Open a session in one transaction, as `connect` does.

        What the code inside commits by itself is only released: the transaction is ours.
        """
        with self.connect(writes=writes, dry_run=dry_run) as connection:
            mode: Literal["create_savepoint", "rollback_only"]
            mode = "create_savepoint" if writes else "rollback_only"
            session = Session(connection, join_transaction_mode=mode)
            try:
                yield session
                if writes:
                    session.commit()
            except BaseException:
                with suppress(DBAPIError):  # its savepoint may be gone, and the error is known
                    session.close()
                raise
            session.close()

    @contextmanager
    def opened(self, *, create: bool = False) -> Iterator[Connection]:
        """Open a connection, not yet in a transaction; say why where none can be had."""
        self.backend.check_reachable(create=create)
        with self._alone(), ExitStack() as stack:
            with self._connecting():
                connection = stack.enter_context(self.engine(create=create).connect())
            yield connection

    @contextmanager
    def migrating(self, *, writes: bool) -> Iterator[Connection]:
        """Open the connection for migrations, not yet in a transaction.

        With `writes` a SQLite file that is not there is made; without, an empty database in
        memory stands in for it.
        """
        engine = None if writes else self.backend.stand_in()
        if engine is None:
            self.backend.check_reachable(create=writes)
            engine = self.engine(create=writes)
        with self._alone(), ExitStack() as stack, self.explained(NOTHING_CHANGED):
            with self._connecting():
                connection = stack.enter_context(self.backend.migration_connection(engine))
            yield connection.execution_options(**{WRITES: writes})

    @contextmanager
    def autocommitting(self) -> Iterator[Connection]:
        """Open a connection outside of the pool, on which each statement commits by itself."""
        self.backend.check_reachable(create=False)
        options = {**self.backend.engine_options(), "isolation_level": "AUTOCOMMIT"}
        engine = create_engine(self.backend.url, **options, poolclass=NullPool)
        self.backend.prepare_engine(engine)
        with ExitStack() as stack, self.explained(NOTHING_CHANGED):
            with self._connecting():
                connection = stack.enter_context(engine.connect())
            yield connection

    @contextmanager
    def explained(self, state: str) -> Iterator[None]:
        """Turn errors of the driver into ours; `state` says what the database is left in."""
        try:
            yield
        except DBAPIError as error:
            raise self.backend.explain(error, state=state) from error
        except StatementError as error:  # a type refused its value before it was sent
            raise UsageError(
                f"a value does not fit its column: {error.orig}",
                hint="the whole traceback: the same command with --traceback",
                state=state,
            ) from error

    def _alone(self) -> AbstractContextManager[object]:
        """Let one thread at a time have the one connection of a database in memory."""
        return self._lock if self.backend.in_memory else nullcontext()

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self.backend.explain_connecting(error) from error
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise UsageError(
                f"the driver does not take this URL: {error}",
                hint="mend what stands after ? in the URL; where it comes from: inv settings",
            ) from error

    def _commit(self, commit: Callable[[], None]) -> None:
        try:
            commit()
        except DBAPIError as error:
            if not error.connection_invalidated and not self.backend.lost_connection(error):
                self.outcome = ROLLED_BACK
                raise
            raise OutcomeUnknown(
                f"the connection was lost while committing: {self.backend.message_of(error)}",
                hint="look whether the change is there before you run the command again",
                state=UNKNOWN,
            ) from error


def _call(function: Callable[[], Any], what: str) -> Any:
    try:
        return function()
    except Exception as error:
        raise project_raised(what, error) from error
