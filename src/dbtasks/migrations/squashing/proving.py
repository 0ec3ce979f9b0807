"""Both histories on scratch databases: whether a squash does what the revisions did."""

from collections.abc import Iterator
from types import ModuleType

from alembic.runtime.migration import RevisionStep
from alembic.script import Script, ScriptDirectory

from dbtasks.errors import DbtasksError, ProjectFailed, Refused, UsageError
from dbtasks.migrations.execution.replay import play, replayed
from dbtasks.migrations.history.directory import Amend
from dbtasks.migrations.squashing.ranges import Range
from dbtasks.migrations.squashing.snapshots import Snapshot, take
from dbtasks.project import Project

NOT_LOCATED = "failed to locate a name"
"""What SQLAlchemy says of the name of a class in a text."""


def script_of(text: str, path: str) -> Script:
    """Return a revision as Alembic would load it from a file that is not there yet."""
    module = ModuleType("squashed")
    module.__file__ = path
    try:
        exec(compile(text, path, "exec"), module.__dict__)
        return Script(module, module.revision, path)
    except Exception as error:
        raise Refused(
            f"the code of the revisions cannot be put together: {type(error).__name__}: {error}",
            hint="see it with --dry-run, and write what stands in its way more plainly",
        ) from error


def amend_with(text: str, path: str, inside: Range) -> Amend:
    """Return what puts a squash in the place of its revisions as a history is loaded.

    It is loaded anew each time, as its revisions are: a module may use up what it has.
    """
    gone = {one.revision for one in inside.scripts}

    def amend(scripts: Iterator[Script]) -> Iterator[Script]:
        yield from (one for one in scripts if one.revision not in gone)
        yield script_of(text, path)

    return amend


def prove(project: Project, inside: Range, text: str, path: str, *, reversible: bool) -> None:
    """Run both histories, and compare: at the heads, at the last revision, and reverted.

    Raises Refused for any difference.
    """
    ids = [one.revision for one in inside.scripts]
    old = [*_observe(project, ids, None, reversible=reversible)]
    script_of(text, path)  # what is wrong with its code is not the fault of the history
    try:
        amend = amend_with(text, path, inside)
        new = [*_observe(project, ids[-1:], amend, reversible=reversible)]
    except DbtasksError as error:
        if isinstance(error, UsageError) and not isinstance(error, ProjectFailed):
            raise
        raise Refused(
            f"the squashed history fails where the present one runs: {error.message}",
            hint=_hint(error),
        ) from error
    for (where, before), (_, after) in zip(old, new, strict=True):
        difference = before.difference(after)
        if difference is not None:
            raise Refused(
                f"the squashed history is not the same, {where}: {difference}",
                hint="what is drawn by chance, or taken from the clock, is another at each run, "
                "wherever in the history: let the revision take a fixed value",
            )


def _hint(error: DbtasksError) -> str:
    """Say what to do; a class whose name another has is called otherwise in a squash."""
    if NOT_LOCATED in error.message:
        return (
            "two revisions have a class of this name, and the text means one of them: write the "
            "class itself, as in relationship(lambda: Employee)"
        )
    return "see its code with --dry-run"


def _observe(
    project: Project, ids: list[str], amend: Amend | None, *, reversible: bool
) -> Iterator[tuple[str, Snapshot]]:
    """Yield what the databases of a history are like, and where they stand."""
    last = ids[-1]
    with replayed(project, amend=amend) as scratch:
        yield "at its heads", take(scratch)
    with replayed(project, last, amend=amend) as scratch:
        yield f"at {last}", take(scratch)
        if reversible:
            play(scratch, lambda scripts, heads: _back(scripts, ids), amend)
            yield "reverted", take(scratch)


def _back(scripts: ScriptDirectory, ids: list[str]) -> list[RevisionStep]:
    found = (scripts.get_revision(one) for one in reversed(ids))
    return [RevisionStep(scripts.revision_map, one, is_upgrade=False) for one in found if one]
