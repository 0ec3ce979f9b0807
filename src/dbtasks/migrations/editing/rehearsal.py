"""A new order of revisions, tried on a scratch database before any other is touched."""

from collections.abc import Sequence

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory

from dbtasks.errors import DbtasksError, Locked, Refused, Unreachable, UsageError
from dbtasks.migrations.execution.replay import play, replayed
from dbtasks.migrations.history.directory import load, put_in_place
from dbtasks.migrations.history.file_transaction import Change
from dbtasks.project import Project


def rehearse(project: Project, moves: Sequence[Change], *, reversible: bool) -> None:
    """Apply the history with the moved revisions in their new places, and revert these again.

    Raises Refused where that fails, UsageError where no scratch database can be made.
    """
    amend = put_in_place(
        {move.old for move in moves},
        lambda: (load(move.new, move.path, move.content or b"") for move in moves),
    )

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
