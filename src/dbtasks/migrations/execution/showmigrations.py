"""The list of revisions: what each is, and whether, when and by whom a database got it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from dbtasks.migrations.execution.commands import plan
from dbtasks.migrations.execution.env_session import Heads, open_environment
from dbtasks.migrations.history.directory import (
    applied_of,
    dependencies,
    describe,
    exists,
    our_errors,
)
from dbtasks.migrations.history.resolve_target import (
    Parents,
    ancestors,
    check_squashed,
    replaced_by,
)
from dbtasks.migrations.history.revision import Applied, Entry, Revision
from dbtasks.project import Project


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


def changed(project: Project) -> list[Entry]:
    """Return the applied revisions whose file has changed since.

    Left out are those that were applied before checksums were kept, those without a file, and
    squashes of which the database has the revisions that they replace.
    """
    return [entry for entry in showmigrations(project) if entry.changed]


def pending(project: Project) -> list[Entry]:
    """Return the revisions that `migrate` would apply now, in its order."""
    entries = {entry.revision.id: entry for entry in showmigrations(project)}
    return [entries[step.revision.id] for step in plan(project).steps]


def _entry(
    scripts: ScriptDirectory, script: Script, applied: set[str], times: Mapping[str, Applied]
) -> Entry:
    revision = describe(script)
    ran = times.get(revision.id)
    if ran and times.keys() & {*replaced_by(script)} - {revision.id}:  # by the files before
        ran = replace(ran, checksum=None)
    return Entry(
        revision,
        applied=revision.id in applied,
        head=script.is_head,
        labels=tuple(sorted(script.branch_labels)),
        depends_on=dependencies(scripts, script),
        ran=ran if revision.id in applied else None,
    )


def _stray(head: str, folder: Path, ran: Applied | None) -> Entry:
    return Entry(Revision(head, "", (), folder), applied=True, known=False, ran=ran)
