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

from sqlalchemy import URL, Connection, Engine, MetaData, NullPool
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Mapper, Session

from dbtasks import application
from dbtasks.aliases import ALL
from dbtasks.engines import Backend, backend_for, mask, mask_text, parse, secret_of_text, secrets_of
from dbtasks.engines.base.backend import WRITES, closing, is_gone, url_hint
from dbtasks.engines.base.urls import MASK, SHORT_SECRET
from dbtasks.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    ROLLED_BACK,
    UNKNOWN,
    DbtasksError,
    OutcomeUnknown,
    Unreachable,
    UsageError,
)
from dbtasks.interrupts import clean_up, held
from dbtasks.models import find_mapper, mappers_of, metadata_of, reflect
from dbtasks.references import (
    is_of_reading,
    listener_raised,
    load,
    place_in_project,
    project_raised,
    put_on_path,
    type_refused,
    unreadable,
)
from dbtasks.settings import PROGRAM, Options, Settings, resolve


class Project:
    """Open connections and sessions on one database of a project.

    Every connection and session is a new one, in one transaction of its own, so that threads
    may share a Project; in memory they wait for each other. Errors of the driver leave as
    DbtasksError. `outcome` says what became of the last write.
    """

    def __init__(self, settings: Settings, *, metadata: MetaData | None = None) -> None:
        if settings.database == ALL:
            raise UsageError(
                "'all' names every database, and one is needed here",
                hint=f"name one of {', '.join(settings.databases)}",
            )
        self.settings = settings
        self.echo = False
        self.is_scratch = False
        self._outcome: str | Callable[[], str] = NOTHING_CHANGED
        self._lock = RLock()
        self._given_metadata = metadata
        self._engines: dict[bool, Engine] = {}
        put_on_path(settings.root)

    @classmethod
    def configure(
        cls, root: str | Path, *, database: str | None = None, **options: Any
    ) -> "Project":
        """Return the project in the folder `root`, with the options of `collection(...)`.

        An option that is passed here wins over the environment and .env: `url` or `engine` is the
        database, and DBTASKS_DATABASE names no other. `default_url` stays a default. Raises
        UsageError for a `url` or `engine` of None, as from a variable that is not set.
        """
        for name, what in (("url", "a URL"), ("engine", "a function")):
            if name in options and options[name] is None:
                raise UsageError(
                    f"Project.configure({name}=None) names no database",
                    hint=f"pass {what}, or leave out {name}= to take the environment's URL",
                )
        settings = resolve(
            Options(**options),
            Path(root).resolve(),
            environ=os.environ,
            database=database,
            origin=PROGRAM,
        )
        return cls(settings)

    @cached_property
    def backend(self) -> Backend:
        """Return what is particular to this kind of database."""
        settings, alias = self.settings, self.settings.database
        text = self.current_url().render_as_string(hide_password=False)
        backend = backend_for(text, settings.url_of(alias)[1], settings.root)
        backend.renewed = self.current_url if settings.is_renewed(alias) else None
        backend.engine = settings.engine_of(alias)
        return backend

    def current_url(self) -> URL:
        """Return the URL as it is now: a function, or a file with the password, may renew it."""
        url = parse(*self.settings.url_of(self.settings.database))
        password = self.settings.password_of(self.settings.database)
        return url if url.password or password is None else url.set(password=password)

    def elsewhere(self, url: URL) -> "Project":
        """Return the project on another database of the same kind, which it does not declare."""
        other = Project(self.settings, metadata=self._given_metadata)
        other.backend = self.backend.at(url)
        return other

    @contextmanager
    def scratch(self) -> Iterator["Project"]:
        """Open the project on a scratch database: a new one, or that of scratch_url, emptied."""
        settings = self.settings.scratch_of(self.settings.database)
        with ExitStack() as stack:
            if settings is None:
                own = self.backend.scratch(self.backend)
                scratch = self.elsewhere(stack.enter_context(own.opened()))
            else:
                scratch = Project(settings, metadata=self._given_metadata)
                named = scratch.backend.scratch(scratch.backend)
                stack.enter_context(named.emptied(self.backend))
            scratch.echo = self.echo
            scratch.is_scratch = True
            yield stack.enter_context(scratch)

    def on(self, alias: str) -> "Project":
        """Return the project on another of the databases that it declares."""
        return Project(replace(self.settings, database=alias), metadata=self._given_metadata)

    @property
    def outcome(self) -> str:
        """Return what became of the last write, at any moment of it."""
        return self._outcome if isinstance(self._outcome, str) else self._outcome()

    @outcome.setter
    def outcome(self, outcome: str | Callable[[], str]) -> None:
        self._outcome = outcome

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
        """Return a text without the database's passwords, and those of all URLs in it."""
        secrets = {secret_of_text(one) for one in self.settings.url_texts()} - {None}
        with suppress(DbtasksError):  # a URL that cannot be read
            secrets.update(secrets_of(self.backend.url))
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            # A short one is hidden as a word only: hiding every e would spell it out.
            edge = r"\b" if len(secret) < SHORT_SECRET else ""
            text = re.sub(f"{edge}{re.escape(secret)}{edge}", MASK, text)
        return mask_text(text)

    # -- the project's own code --------------------------------------------------------------

    @cached_property
    def metadata(self) -> tuple[MetaData, ...]:
        """Return the tables of the project."""
        return tuple(dict.fromkeys(metadata_of(one) for one in self._bases))

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
        """Return the mapper of a class, or of the default model; see `models.find_mapper`."""
        return find_mapper(self.mappers, name or self.settings.default_model)

    @cached_property
    def _bases(self) -> tuple[Any, ...]:
        if self._given_metadata is not None:
            return (self._given_metadata,)
        if self.settings.reflect and not self.settings.metadata:
            with self.connect() as connection:
                return (reflect(connection),)
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
            application.enter(self.settings.app)

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
        try:
            return self.backend.make_engine(url)
        except ImportError as error:
            raise UsageError(
                f"the driver of {url.drivername} cannot be imported: {error}",
                hint="pip install "
                + (" or ".join(f'"{one.package}"' for one in self.backend.drivers) or "its driver"),
            ) from error

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
    def connect(
        self,
        *,
        writes: bool = False,
        dry_run: bool = False,
        beside: bool = False,
        then: Callable[[], object] = lambda: None,
        seconds: float | None = None,
    ) -> Iterator[Connection]:
        """Open a connection in one transaction: committed at the end, rolled back on an error.

        With `dry_run` it is rolled back at the end too. `beside` is for a transaction beside the
        command's own: it does not change the outcome. `then` is called when the database has
        answered COMMIT, before an interrupt is let through. `seconds` may shorten the time in
        which the server has to answer.
        """
        state = self.outcome if beside else ROLLED_BACK if writes else NOTHING_CHANGED
        with self.opened(seconds=seconds) as connection, self.explained(state):
            connection = connection.execution_options(**{WRITES: writes})
            transaction = connection.begin()
            if writes:
                self.outcome = state
            try:
                yield connection
            except BaseException as error:
                clean_up(transaction.rollback, error)  # the connection may be gone
                raise
            if dry_run or not writes:
                with suppress(SQLAlchemyError):  # there is nothing to keep: gone is rolled back
                    transaction.rollback()
            else:
                with held():
                    self._commit(transaction.commit, beside=beside)
                    then()

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
            except BaseException as error:
                clean_up(session.close, error)  # its savepoint may be gone
                raise
            session.close()

    @contextmanager
    def opened(self, *, create: bool = False, seconds: float | None = None) -> Iterator[Connection]:
        """Open a connection, not yet in a transaction; say why where none can be had."""
        self.backend.check_reachable(create=create)
        with self._alone(), ExitStack() as stack:
            with self._connecting():
                engine = self.engine(create=create)
                connection = self.backend.open(engine, seconds=seconds)
            stack.enter_context(closing(connection))
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
        engine = self.backend.make_engine(isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with ExitStack() as stack, self.explained(NOTHING_CHANGED):
            with self._connecting():
                connection = self.backend.open(engine)
            stack.enter_context(closing(connection))
            yield connection

    @contextmanager
    def explained(self, state: str) -> Iterator[None]:
        """Turn errors of the driver into ours; `state` says what the database is left in."""
        try:
            yield
        except DBAPIError as error:
            raise self.backend.explain(error, state=state) from error
        except PendingRollbackError as error:
            raise (self.backend.lost(error, state=state) if is_gone(error) else error) from None
        except StatementError as error:  # a type refused its value before it was sent
            raise type_refused(error.orig, state) from error
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            if not is_of_reading(error):
                raise
            raise unreadable(error, state) from error

    def _alone(self) -> AbstractContextManager[object]:
        """Let one thread at a time have the one connection of a database in memory."""
        return self._lock if self.backend.in_memory else nullcontext()

    @contextmanager
    def _connecting(self) -> Iterator[None]:
        try:
            yield
        except Unreachable:
            self._engines.clear()  # a thread that still waits may have one locked
            raise
        except DBAPIError as error:
            if not self.backend.lost_connection(error) and (raised := listener_raised(error)):
                raise raised from error
            explained = self.backend.explain_connecting(error)
            explained.message = self.scrub(explained.message)  # some drivers quote the URL
            raise explained from error
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            if place_in_project(error):
                raise (listener_raised(error) or project_raised("connecting", error)) from error
            raise UsageError(
                self.scrub(f"the driver does not take this URL: {error}"),
                hint=url_hint(),
            ) from error

    def _commit(self, commit: Callable[[], None], *, beside: bool) -> None:
        """Commit, and know the outcome at each moment of it."""
        before = self.outcome
        self.outcome = before if beside else UNKNOWN
        try:
            commit()
        except DBAPIError as error:
            if not error.connection_invalidated and not self.backend.lost_connection(error):
                self.outcome = before
                raise
            raise OutcomeUnknown(
                f"the connection was lost while committing: {self.backend.message_of(error)}",
                hint="look whether the change is there before you run the command again",
                state=UNKNOWN,
            ) from error
        self.outcome = before if beside else COMMITTED
