"""The SQL of one revision, from the state before it, without a database."""

from collections.abc import Iterable

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory

from dbtasks.errors import DbtasksError, UsageError
from dbtasks.migrations.environment.offline import let_choose, run_offline
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
        let_choose(project, config, scripts)
        with our_errors():
            script = find_revision(scripts, revision)
            if backwards:
                check_reversible(script)
            step = RevisionStep(scripts.revision_map, script, is_upgrade=not backwards)
            under_way: list[RevisionStep] = []

            def steps(heads: object, running: object) -> Iterable[RevisionStep]:
                under_way.append(step)
                yield step
                under_way.clear()

            try:
                text = run_offline(
                    project,
                    config,
                    scripts,
                    steps,
                    starting_rev=_heads_before(scripts, step) or None,
                    destination_rev=script.revision,
                )
            except DbtasksError:
                raise
            except Exception as error:
                raise _failure(step if under_way else None, error) from error
    if not text:
        raise UsageError(
            "the project's env.py runs nothing when SQL is asked for",
            hint="where context.is_offline_mode() is true, it has to call "
            "context.configure(...) and context.run_migrations()",
        )
    return f"{text.strip()}\n"


def _failure(step: RevisionStep | None, error: Exception) -> DbtasksError:
    """Return the error for what a step raised, or env.py where none was under way."""
    if step is None:
        return project_raised("env.py", error)
    revision = describe(step.revision)
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
