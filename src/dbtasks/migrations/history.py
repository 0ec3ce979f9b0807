"""The list of revisions: what each is, and whether, when and by whom a database got it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple

from dbtasks.migrations.journal import Applied
from dbtasks.migrations.opening import Heads, open_environment
from dbtasks.migrations.runner import plan
from dbtasks.migrations.scripts import Revision, applied_of, describe, exists, our_errors
from dbtasks.migrations.targets import Parents, ancestors, check_squashed
from dbtasks.project import Project


@dataclass(frozen=True)
class Entry:
    """Describe a revision as one database has it; `known` is false where no file describes it.

    `labels` are those of its branch, whichever of its files declares them; `ran` is None where
    nobody has noted it.
    """

    revision: Revision
    applied: bool
    known: bool = True
    head: bool = False
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    ran: Applied | None = None

    def __str__(self) -> str:
        return self.describe() + (f"  {_tell(self.ran)}" if self.ran else "")

    def describe(self) -> str:
        """Return its mark, its name, and what is particular to its place in the history."""
        revision = self.revision
        if not self.known:
            return f"[?] {revision.id}: only the database has it"
        words = ["[X]" if self.applied else "[ ]", revision.id]
        if revision.path.stem != revision.id:
            words += revision.message.split()
        return " ".join([*words, *self._place()])

    def _place(self) -> Iterator[str]:
        if self.labels:
            yield f"({', '.join(self.labels)})"
        if len(self.revision.parents) > 1:
            yield f"(merges {', '.join(self.revision.parents)})"
        if self.depends_on:
            yield f"(depends on {', '.join(self.depends_on)})"


def showmigrations(project: Project) -> list[Entry]:
    """Return all revisions, oldest first, and then those that only the database knows.

    What the database has is known from its version, and beyond our files from its journal.
    Raises Refused for a database in the middle of what is one revision now.
    """
    scripts, heads, times, parents = _read(project)
    reached = [one for one in ancestors(heads, parents) if exists(scripts, one)]
    applied = {have for one in reached for have in applied_of(scripts, (one,))}
    with our_errors():
        walked = reversed(list(scripts.walk_revisions()))
        entries = [_entry(scripts, script, applied, times) for script in walked]
    known = {entry.revision.id for entry in entries}
    strays = [head for head in heads if head not in known]
    return entries + [_stray(head, Path(scripts.dir), times.get(head)) for head in strays]


def _read(project: Project) -> tuple[ScriptDirectory, Heads, dict[str, Applied], Parents]:
    """Return the project's revisions, where the database stands, and what its journal knows."""
    heads: list[str] = []
    times: dict[str, Applied] = {}
    parents: dict[str, Heads] = {}
    with open_environment(project) as environment:

        def look(scripts: ScriptDirectory, found: Heads) -> None:
            heads.extend(found)
            times.update(environment.journal.applied())
            unknown = [head for head in found if not exists(scripts, head)]
            if unknown:
                check_squashed(scripts, unknown)
                parents.update(environment.journal.parents())

        environment.look(look)
        return environment.scripts, tuple(heads), times, parents


def pending(project: Project) -> list[Entry]:
    """Return the revisions that `migrate` would apply now, in its order."""
    entries = {entry.revision.id: entry for entry in showmigrations(project)}
    return [entries[step.revision.id] for step in plan(project).steps]


def dependencies(scripts: ScriptDirectory, script: Script) -> tuple[str, ...]:
    """Return the ids of what a revision depends on beside its parents."""
    named = to_tuple(script.dependencies, default=())
    return tuple(scripts.get_revision(name).revision for name in named)


def _entry(
    scripts: ScriptDirectory, script: Script, applied: set[str], times: Mapping[str, Applied]
) -> Entry:
    revision = describe(script)
    return Entry(
        revision,
        applied=revision.id in applied,
        head=script.is_head,
        labels=tuple(sorted(script.branch_labels)),
        depends_on=dependencies(scripts, script),
        ran=times.get(revision.id) if revision.id in applied else None,
    )


def _stray(head: str, folder: Path, ran: Applied | None) -> Entry:
    return Entry(Revision(head, "", (), folder), applied=True, known=False, ran=ran)


def _tell(ran: Applied) -> str:
    """Say when, in the reader's time zone, by whom, and how long it took."""
    took = "" if ran.seconds is None else f" ({ran.seconds:.2f}s)"
    return f"{ran.at.astimezone():%Y-%m-%d %H:%M} by {ran.by}{took}"
