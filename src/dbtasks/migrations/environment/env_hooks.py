"""Running an env.py that may be anybody's: where it connects, and what it configures, is seen to.

An env.py of a project's own knows nothing of us. It has a URL, makes an engine, perhaps an
asynchronous one, and calls `context.configure` and `context.run_migrations`. While it runs, what
connects goes to the project's database, and `context.configure` adds what a run needs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from configparser import Error as BadConfiguration
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.engine import AdaptedConnection, Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dbtasks import bytecode
from dbtasks.engines import mask
from dbtasks.engines.base.backend import url_hint
from dbtasks.engines.base.connection import AUTOCOMMIT, is_autocommit
from dbtasks.errors import DbtasksError, ProjectFailed, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.environment import schemas
from dbtasks.migrations.environment.body import Handover, check_around, target_of
from dbtasks.migrations.environment.logs import own_logs
from dbtasks.project import Project

MARK = "dbtasks_redirected_from"
"""The key of a connection's `info` that says where env.py wanted to go."""

SCRATCH_SECONDS = 5.0
"""How long a statement waits for a lock in a scratch database."""

StepsOf = Callable[[Any, Any], Iterable[RevisionStep]]


def prepare(config: Config, scripts: ScriptDirectory, handover: Handover) -> None:
    """Give env.py what it looks for; what it may not do is refused before anything is written."""
    handover.project.start_application()  # Flask-Migrate's env.py needs its context
    text = Path(scripts.env_py_location).read_text(encoding="utf-8", errors="replace")
    _set_url(config, handover.project, asynchronous="sqlalchemy.ext.asyncio" in text)
    if handover.writes and "environment.run(" not in text:
        blank = Handover(handover.project, handover.connection)
        run(config, scripts, blank, lambda scripts, heads: (), dont_mutate=True)


def run(
    config: Config,
    scripts: ScriptDirectory,
    handover: Handover,
    steps_of: StepsOf,
    **options: Any,
) -> None:
    """Run env.py with `steps_of` saying what to do from the heads that it finds.

    `options` are those of Alembic's EnvironmentContext. Raises Refused for an env.py that cannot
    be kept on the project's database, DbtasksError for one that runs no migrations.
    """
    ran = []

    def steps(heads: Any, running: Any) -> Iterable[RevisionStep]:
        ran.append(True)
        return steps_of(scripts, heads)

    environment = EnvironmentContext(config, scripts, fn=steps, **options)
    with own_logs() as logs, _connections(handover, logs) as connections:
        configuring = _Configuring(environment, handover, connections)
        environment.configure = configuring.configure  # type: ignore[assignment, method-assign]  # Alembic finds it by name
        with environment, bytecode.current([scripts.env_py_location]):
            scripts.run_env()
        configuring.check_committed()
    if not ran:
        raise ProjectFailed(
            "the project's env.py runs no migrations",
            hint="it has to call context.configure(...) and context.run_migrations(), "
            "also where context.is_offline_mode() is true",
        )


class _Configuring:
    """Stand for `context.configure`: what env.py says, and what a run of ours needs."""

    def __init__(
        self, environment: EnvironmentContext, handover: Handover, connections: "_Connections"
    ) -> None:
        self.environment = environment
        self.handover = handover
        self.connections = connections
        self.plain = environment.configure
        self.commits = False
        self.uncommitted = False

    def configure(
        self, connection: Connection | None = None, url: str | URL | None = None, **options: Any
    ) -> None:
        """Configure Alembic."""
        handover = self.handover
        backend = handover.project.backend
        self.connections.logs()
        options["output_buffer"] = handover.output
        if options.get("target_metadata") is None and handover.compares:  # Alembic's own template
            options["target_metadata"] = target_of(None, handover.project)
        options |= schemas.included(options)
        # Before env.py's own callbacks: one of these may commit.
        options["on_version_apply"] = [self._note, *_listed(options.get("on_version_apply"))]
        by_env = options.get("transaction_per_migration", False)
        options["transaction_per_migration"] = by_env or handover.per_revision
        if backend.transactional_ddl is not None:
            options["transactional_ddl"] = backend.transactional_ddl
        if connection is not None:
            self.connections.check(connection)
        if self.environment.is_offline_mode():
            # By the URL, not the connection: a driver's own parameters would stand in the SQL,
            # and each % twice.
            connection, url = None, self._our_url(url, options)
            options |= {"literal_binds": True, "dialect_opts": {"paramstyle": "named"}}
        elif connection is None:
            url = self._our_url(url, options)
        self.plain(connection=connection, url=url, **options)
        running = self.environment.get_context()
        handover.transactional = running.impl.transactional_ddl
        autocommit = connection is not None and is_autocommit(connection)
        handover.shortened = _shortened(running, autocommit, handover.per_revision, by_env)
        handover.per_revision = options["transaction_per_migration"]
        if connection is not None and not running.as_sql:
            self.commits = not autocommit
            handover.transactional &= self.commits
            self._take(connection)
            # Alembic has no public place for what must stand around all steps and inside their
            # transaction.
            running._migrations_fn = check_around(running._migrations_fn, backend, connection)
            handover.on_configured(running)

    def _our_url(self, url: str | URL | None, options: dict[str, Any]) -> URL:
        """Return our URL in place of theirs, which must be of the same kind of database."""
        backend = self.handover.project.backend
        name = options.pop("dialect_name", None)
        with suppress(ArgumentError):  # where it cannot be read, ours can
            name = make_url(url).get_backend_name() if url else name
        if name and not backend.is_spoken(name):
            raise _another(self.handover.project, URL.create(name))
        return backend.url

    def _take(self, connection: Connection) -> None:
        if not (self.handover.taken and self.handover.connection is connection):
            event.listen(connection, "commit", self._note_commit)
            if self.handover.project.is_scratch:
                event.listen(connection, "begin", self._bound)
        self.handover.connection = connection
        self.handover.taken = True

    def _note(self, **applied: Any) -> None:
        self.uncommitted = self.commits
        self.handover.on_applied(frozenset(applied["heads"]))

    def _note_commit(self, connection: Connection) -> None:
        self.uncommitted = False

    def _bound(self, connection: Connection) -> None:
        """Do not wait for ever: no other program is there, and env.py may hold a lock itself."""
        self.handover.project.backend.limit_lock_wait(connection, SCRATCH_SECONDS)

    def check_committed(self) -> None:
        """Raise ProjectFailed where env.py has let the last step's transaction go.

        Alembic leaves a transaction that has begun before `configure` to env.py.
        """
        if self.uncommitted:
            raise ProjectFailed(
                "the project's env.py has not committed: its connection was in a transaction "
                "before context.configure(...), and Alembic leaves that one to env.py",
                hint="let env.py call connection.commit() before it calls context.configure(...)",
            )


class _Connections:
    """Send what connects in this thread to the project's database, and remember it."""

    def __init__(self, handover: Handover, logs: Callable[[], None]) -> None:
        self.handover = handover
        self.logs = logs
        self.project = handover.project
        self.thread = get_ident()
        self.own = {handover.connection.dialect}
        self.own |= {self.project.engine(create=one).dialect for one in (False, True)}
        self.given = self.project.current_url()
        self.records: list[ConnectionPoolEntry] = []
        self.configured: tuple[object, ...] | None = None

    def connect(
        self,
        dialect: Dialect,
        record: ConnectionPoolEntry,
        positional: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Connect to the project's database, whatever the engine's URL is."""
        if get_ident() != self.thread or dialect in self.own:
            return None
        self.logs()
        self._check(dialect, positional, keywords)
        backend = self.project.backend
        at, arguments = backend.redirect(dialect, keywords, self.given, create=self.handover.writes)
        record.info[MARK] = self._place(positional, keywords)
        self.records.append(record)
        with self._explained(dialect):
            connection = dialect.connect(*at, **arguments)
            if backend.commits:
                dialect.set_isolation_level(connection, AUTOCOMMIT)
            return connection

    def is_redirected(self, connection: Connection) -> bool:
        """Whether a connection is one that env.py made, and that was sent to our database."""
        return MARK in connection.info

    def check(self, connection: Connection) -> None:
        """Refuse to migrate on a connection that leads we do not know where."""
        if connection.dialect in self.own:
            return
        if MARK not in connection.info:
            raise Refused(
                "the project's env.py connects in a way that cannot be followed, and may lead to "
                "another database: by a function of its own (creator=), in another thread, or "
                "before it was run",
                hint="let it make its engine from config's sqlalchemy.url, or end with: from "
                "dbtasks.migrations import environment; environment.run(Base.metadata)",
            )
        if self.configured not in (None, connection.info[MARK]):
            raise self._several()
        self.configured = connection.info[MARK]

    def forget(self) -> None:
        """Let no engine that lives on keep a connection of ours.

        One that is in use, or needs the event loop that it is of, ends when its engine finds it.
        """
        for record in self.records:
            waits = record.in_use or isinstance(record.dbapi_connection, AdaptedConnection)
            record.info.pop(MARK, None)
            record.invalidate(soft=waits)

    def _check(
        self, dialect: Dialect, positional: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """Refuse what cannot be sent to the project's database."""
        if not self.project.backend.is_spoken(dialect.name):
            raise _another(self.project, _url_of(dialect, positional, keywords))
        if self.project.backend.in_memory:
            raise Refused(
                "the project's env.py opens a connection of its own, and a database in memory "
                "has one only, which is ours",
                hint="take a file, as in sqlite:///app.db; or let env.py end with: from "
                "dbtasks.migrations import environment; environment.run(Base.metadata)",
            )
        place = self._place(positional, keywords)
        if any(one.in_use and one.info.get(MARK, place) != place for one in self.records):
            raise self._several()

    def _place(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[object, ...]:
        location = self.project.backend.location
        return (*positional, *sorted((k, str(v)) for k, v in keywords.items() if k in location))

    def _several(self) -> Refused:
        return Refused(
            "the project's env.py migrates several databases in one run, and a command has one: "
            f"{self.project.describe()}",
            hint="give each database a collection(...) with an alembic.ini and an env.py of its "
            "own; docs/migrations.md",
        )

    @contextmanager
    def _explained(self, dialect: Dialect) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, DbtasksError):
            raise
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise UsageError(
                f"the driver {dialect.driver} of the project's env.py does not take this URL: "
                f"{error}",
                hint=url_hint(),
            ) from error
        except Exception as error:  # each driver has its own, and asyncio adds some
            failed = error if str(error) else OSError(type(error).__name__)
            raise self.project.backend.explain_connecting(DBAPIError(None, None, failed)) from error


@contextmanager
def _connections(handover: Handover, logs: Callable[[], None]) -> Iterator[_Connections]:
    """Watch what connects, of any engine, while the block runs."""
    connections = _Connections(handover, logs)
    transactions = handover.project.backend.real_transactions(
        connections.is_redirected, writes=handover.writes
    )
    with ExitStack() as stack:
        stack.callback(connections.forget)
        stack.enter_context(transactions)
        event.listen(Engine, "do_connect", connections.connect)
        stack.callback(event.remove, Engine, "do_connect", connections.connect)
        yield connections


def _another(project: Project, url: URL) -> Refused:
    return Refused(
        f"the project's env.py goes to {mask(url)}, which is another kind of database than the "
        f"project's: {project.describe()}",
        hint="let it take its URL from config's sqlalchemy.url, which is the project's; or fix "
        f"the project's ({command_line('settings')})",
    )


def _url_of(dialect: Dialect, positional: Sequence[Any], keywords: Mapping[str, Any]) -> URL:
    """Return where a connection was to lead, without who and by which password."""
    named = [keywords.get(key) for key in ("database", "dbname", "db", "dsn", "service_name")]
    # A driver's own connection string, as ODBC's, has the password too.
    database = next(
        (str(one) for one in (*named, *positional) if one and "=" not in str(one)), None
    )
    host = keywords.get("host") if isinstance(keywords.get("host"), str) else None
    return URL.create(dialect.name, host=host, database=database)


def _set_url(config: Config, project: Project, *, asynchronous: bool) -> None:
    """Let env.py find the project's URL where it looks for its own."""
    theirs = None
    with suppress(BadConfiguration, ArgumentError):
        theirs = make_url(config.get_main_option("sqlalchemy.url", ""))
    text = _url_for(theirs, project, asynchronous).render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", text.replace("%", "%%"))


def _url_for(theirs: URL | None, project: Project, asynchronous: bool) -> URL:
    """Return the project's URL with the driver of theirs, or one of the sort that env.py needs."""
    backend = project.backend
    given = project.current_url()
    if theirs and "+" in theirs.drivername and backend.is_spoken(theirs.get_backend_name()):
        name, _, driver = theirs.drivername.partition("+")
        return backend.url_for(name, driver, given, create=True)
    if asynchronous:
        name = backend.url.get_backend_name()
        for driver in (given.drivername.partition("+")[2], *backend.async_drivers):
            url = backend.url_for(name, driver, given, create=True)
            if _is_async(url):
                return url
    return backend.url


def _is_async(url: URL) -> bool:
    """Whether the driver is an asynchronous one, and installed."""
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (NoSuchModuleError, ImportError):
        return False
    return dialect.is_async


def _shortened(running: MigrationContext, autocommit: bool, by_command: bool, by_env: bool) -> str:
    """Say how env.py makes the transactions of a run shorter; nothing where it does not."""
    if not type(running.impl).transactional_ddl and not running.impl.transactional_ddl:
        return ""  # as everywhere on this database
    at_once = "each statement is committed at once, and a failure leaves a revision partly applied"
    if autocommit:
        return f"env.py connects in AUTOCOMMIT: {at_once}"
    if not running.impl.transactional_ddl:
        return f"env.py sets transactional_ddl=False: {at_once}"
    if by_command or not by_env:
        return ""
    return (
        "env.py sets transaction_per_migration: each revision is a transaction of its own, and a "
        "failure keeps the revisions before it"
    )


def _listed(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return [callbacks] if callable(callbacks) else list(callbacks)
