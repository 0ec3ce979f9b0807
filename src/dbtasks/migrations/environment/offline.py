"""Run env.py without a database: for the SQL of revisions, and for the folders that it chooses."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, cast

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event

from dbtasks.errors import DbtasksError, UsageError
from dbtasks.migrations.environment.body import HANDOVER, Handover, replace_configure
from dbtasks.migrations.environment.logs import own_logs
from dbtasks.migrations.environment.workers import Workers
from dbtasks.project import Project
from dbtasks.references import project_raised


def run_offline(
    project: Project,
    config: Config,
    scripts: ScriptDirectory,
    steps_of: Callable[[Any, Any], Iterable[Any]],
    **options: Any,
) -> str:
    """Run env.py as for `alembic upgrade --sql`, and return what it writes.

    `options` are those of Alembic's EnvironmentContext. Raises what env.py raises, and UsageError
    where it connects.
    """
    # There is no connection: env.py gets the URL in its place.
    config.attributes[HANDOVER] = Handover(project, cast(Connection, None))
    url = project.backend.url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    output = StringIO()
    environment = EnvironmentContext(config, scripts, fn=steps_of, as_sql=True, **options)
    configure = environment.configure

    def configure_offline(**given: Any) -> None:
        configure(**{**given, **_offline(project, given), "output_buffer": output})

    replace_configure(environment, configure_offline)
    project.start_application()
    with environment, own_logs(), _no_connections():
        scripts.run_env()
    return output.getvalue()


def let_choose(project: Project, config: Config, scripts: ScriptDirectory) -> None:
    """Let an env.py that chooses the folders of the revisions do so, as by the dialect."""
    text = Path(scripts.env_py_location).read_text(encoding="utf-8", errors="replace")
    if "version_locations" not in text:
        return
    try:
        run_offline(project, config, scripts, lambda heads, running: (), dont_mutate=True)
    except Exception as error:
        told = error if isinstance(error, DbtasksError) else project_raised("env.py", error)
        raise UsageError(
            f"the project's env.py chooses the folders of its revisions, and cannot be run "
            f"without a database: {told.message}",
            hint="let it set context.script.version_locations where context.is_offline_mode() is "
            "true, too; or write version_locations into alembic.ini",
        ) from error


def _offline(project: Project, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that write SQL for the project's database, whatever env.py says."""
    by_env = given.get("transactional_ddl")
    return {
        "transactional_ddl": project.backend.transactional_ddl if by_env is None else by_env,
        "connection": None,
        "dialect_name": None,
        "url": project.backend.url,
        "dialect_opts": {"paramstyle": "named"},  # another would double each % in the SQL
        "literal_binds": True,
    }


@contextmanager
def _no_connections() -> Iterator[None]:
    """Refuse what connects: the SQL is to be had without a database."""
    workers = Workers()

    def refuse(*arguments: object) -> None:
        if workers.is_at_work:
            raise UsageError(
                "the SQL cannot be shown without a live database: the project's env.py, or the "
                "revision, opens a connection",
                hint="env.py should open none where context.is_offline_mode() is true",
            )

    event.listen(Engine, "do_connect", refuse)
    try:
        with workers.following():
            yield
    finally:
        event.remove(Engine, "do_connect", refuse)
