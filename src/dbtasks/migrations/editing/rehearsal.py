"""A new order of revisions, tried on a scratch database before any other is touched."""

from collections.abc import Iterator, Sequence
from types import ModuleType

from alembic.runtime.migration import RevisionStep
from alembic.script import Script, ScriptDirectory

from dbtasks.errors import DbtasksError, Locked, Refused, Unreachable, UsageError
from dbtasks.migrations.execution.replay import play, replayed
from dbtasks.migrations.history.file_transaction import Change
from dbtasks.project import Project
from dbtasks.references import project_raised


def rehearse(project: Project, moves: Sequence[Change], *, reversible: bool) -> None:
    """Apply the history with the moved revisions in their new places, and revert these again.

    Raises Refused where that fails, UsageError where no scratch database can be made.
    """
    gone = {one.old for one in moves}

    def amend(scripts: Iterator[Script]) -> Iterator[Script]:
        yield from (one for one in scripts if one.revision not in gone)
        yield from map(_load, moves)  # anew each time: a module may use up what it has

    def back(scripts: ScriptDirectory, heads: tuple[str, ...]) -> list[RevisionStep]:
        moved = [scripts.get_revision(one.new) for one in moves]
        return [
            RevisionStep(scripts.revision_map, one, is_upgrade=False) for one in reversed(moved)
        ]

    try:
        with replayed(project, amend=amend) as scratch:
            if reversible:
                play(scratch, back, amend)
    except (UsageError, Unreachable, Locked):
        raise
    except DbtasksError as error:
        raise Refused(
            f"the new order does not run: {error.message}",
            hint="fix the revision, or join the heads with --merge",
        ) from error


def _load(move: Change) -> Script:
    """Return a revision as Alembic would load it from the file that is not there yet."""
    module = ModuleType(move.path.stem)
    module.__file__ = str(move.path)
    try:
        exec(compile(move.content or b"", str(move.path), "exec"), module.__dict__)
    except Exception as error:
        raise project_raised(move.old, error) from error
    return Script(module, move.new, str(move.path))
