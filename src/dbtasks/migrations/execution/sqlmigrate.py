"""The SQL of one revision, from the state before it, without a database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from threading import get_ident
from typing import Any, cast

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event

from dbtasks.errors import DbtasksError, UsageError
from dbtasks.migrations.environment.body import HANDOVER, Handover
from dbtasks.migrations.environment.logs import own_logs
from dbtasks.migrations.execution.env_session import ONE_AT_A_TIME
from dbtasks.migrations.history.directory import (
    applied_of,
    dependencies,
    describe,
    our_errors,
    read_config,
    read_scripts,
)
from dbtasks.migrations.history.resolve_target import check_reversible, find_revision
from dbtasks.project import Project
from dbtasks.references import project_raised


def sqlmigrate(project: Project, *, revision: str, backwards: bool = False) -> str:
    """Return the SQL of one revision, or with `backwards` the SQL that reverts it.

    The database is taken to have what the revision builds on, and nothing else. No connection
    is opened: the URL says which database the SQL is for. Raises UsageError for a revision that
    is not there or needs a live database, Refused for one that cannot be reverted.
    """
    with ONE_AT_A_TIME:
        config = read_config(project)
        scripts = read_scripts(config)
        with our_errors():
            script = find_revision(scripts, revision)
            if backwards:
                check_reversible(script)
            step = RevisionStep(scripts.revision_map, script, is_upgrade=not backwards)
            return _Rendering(project, config, scripts, step).run()


class _Rendering:
    """Run env.py so that one step is written down instead of sent."""

    def __init__(
        self, project: Project, config: Config, scripts: ScriptDirectory, step: RevisionStep
    ) -> None:
        self.project = project
        self.scripts = scripts
        self.step = step
        self.stepping = False
        self.output = StringIO()
        # There is no connection: `_redirected` has the URL in its place.
        config.attributes[HANDOVER] = Handover(project, cast(Connection, None))
        url = project.backend.url.render_as_string(hide_password=False)
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        self.environment = EnvironmentContext(
            config,
            scripts,
            fn=self._steps,
            as_sql=True,
            starting_rev=_heads_before(scripts, step) or None,
            destination_rev=step.revision.revision,
        )

    def run(self) -> str:
        """Return the SQL."""
        configure = self.environment.configure
        self.environment.configure = (  # type: ignore[method-assign]  # Alembic finds it by name
            lambda **options: configure(**self._redirected(options))
        )
        self.project.start_application()
        with self.environment, own_logs(), _no_connections():
            try:
                self.scripts.run_env()
            except DbtasksError:
                raise
            except Exception as error:
                raise self._failure(error) from error
        if not self.output.getvalue():
            raise UsageError(
                "the project's env.py runs nothing when SQL is asked for",
                hint="where context.is_offline_mode() is true, it has to call "
                "context.configure(...) and context.run_migrations()",
            )
        return f"{self.output.getvalue().strip()}\n"

    def _redirected(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return an env.py's own options, for the database of the project and our output."""
        backend = self.project.backend
        if options.get("transactional_ddl") is None:
            options["transactional_ddl"] = backend.transactional_ddl
        return {
            **options,
            "connection": None,
            "dialect_name": None,
            "url": backend.url,
            "dialect_opts": {"paramstyle": "named"},  # another would double each % in the SQL
            "literal_binds": True,
            "output_buffer": self.output,
        }

    def _steps(self, heads: object, running: object) -> Iterable[RevisionStep]:
        self.stepping = True
        yield self.step
        self.stepping = False

    def _failure(self, error: Exception) -> DbtasksError:
        revision = describe(self.step.revision)
        if not self.stepping:
            return project_raised("env.py", error)
        return UsageError(
            f"the SQL of {revision.id} cannot be shown without a live database "
            f"({type(error).__name__}: {' '.join(str(error).split())})",
            hint=f"see what it does in {revision.path}",
        )


def _heads_before(scripts: ScriptDirectory, step: RevisionStep) -> tuple[str, ...]:
    """Return where a database stands that has all that the step needs, and nothing else."""
    script = step.revision
    if step.is_downgrade:
        return (script.revision,)
    below = dict.fromkeys([*describe(script).parents, *dependencies(scripts, script)])
    beneath = {one: applied_of(scripts, (one,)) - {one} for one in below}
    return tuple(one for one in below if not any(one in ids for ids in beneath.values()))


@contextmanager
def _no_connections() -> Iterator[None]:
    """Refuse what connects: the SQL is to be had without a database."""
    ours = get_ident()

    def refuse(*arguments: object) -> None:
        if get_ident() == ours:
            raise UsageError(
                "the SQL cannot be shown without a live database: the project's env.py, or the "
                "revision, opens a connection",
                hint="env.py should open none where context.is_offline_mode() is true",
            )

    event.listen(Engine, "do_connect", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", refuse)
