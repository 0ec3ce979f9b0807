"""Running an env.py that may be anybody's: where it connects, and what it configures, is seen to.

An env.py of a project's own knows nothing of us. It has a URL, makes an engine, perhaps an
asynchronous one, and calls `context.configure` and `context.run_migrations`. While it runs, what
connects goes to the project's database, and `context.configure` adds what a run needs.
"""

from collections.abc import Callable, Iterable
from configparser import Error as BadConfiguration
from contextlib import suppress
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from dbtasks import bytecode
from dbtasks.engines.base.connection import is_autocommit
from dbtasks.errors import ProjectFailed
from dbtasks.migrations.environment import schemas
from dbtasks.migrations.environment.body import (
    Handover,
    check_around,
    replace_configure,
    target_of,
)
from dbtasks.migrations.environment.logs import own_logs
from dbtasks.migrations.environment.redirection import Connections, another_kind, redirected
from dbtasks.project import Project

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
        found = steps_of(scripts, heads)
        if running.as_sql:
            return found
        return check_around(found, handover.project.backend, running.connection)

    with own_logs() as logs, redirected(handover, logs) as connections:
        environment = EnvironmentContext(config, scripts, fn=steps, **options)
        configuring = _Configuring(environment, handover, connections)
        replace_configure(environment, configuring.configure)
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
        self, environment: EnvironmentContext, handover: Handover, connections: Connections
    ) -> None:
        self.environment = environment
        self.handover = handover
        self.connections = connections
        self.plain = environment.configure
        self.commits = False
        self.uncommitted = False
        self.written = 0

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
            handover.on_configured(running)

    def _our_url(self, url: str | URL | None, options: dict[str, Any]) -> URL:
        """Return our URL in place of theirs, which must be of the same kind of database."""
        backend = self.handover.project.backend
        name = options.pop("dialect_name", None)
        with suppress(ArgumentError):  # where it cannot be read, ours can
            name = make_url(url).get_backend_name() if url else name
        if name and not backend.is_spoken(name):
            raise another_kind(self.handover.project, URL.create(name))
        return backend.url

    def _take(self, connection: Connection) -> None:
        if not (self.handover.taken and self.handover.connection is connection):
            event.listen(connection, "commit", self._note_commit)
            if self.handover.project.is_scratch:
                event.listen(connection, "begin", self._bound)
        self.handover.connection = connection
        self.handover.taken = True

    def _note(self, **applied: Any) -> None:
        if applied["ctx"].as_sql and not self.handover.per_revision:
            self._commit_script(applied["ctx"])
        self.uncommitted = self.commits
        self.handover.on_applied(frozenset(applied["heads"]))

    def _commit_script(self, running: MigrationContext) -> None:
        """Commit the version in a script, too, where an autocommit block has committed the rest."""
        output = self.handover.output
        if "\nCOMMIT;\n" in output.getvalue()[self.written :]:
            with running.autocommit_block():
                pass
        self.written = len(output.getvalue())

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
