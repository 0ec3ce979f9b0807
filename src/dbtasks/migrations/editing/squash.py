"""Put one revision in the place of several that follow each other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory

from dbtasks.errors import Refused
from dbtasks.hints import command_line
from dbtasks.migrations.execution.applied_elsewhere import check_squashable
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.history import fingerprint, source_edit
from dbtasks.migrations.history.directory import describe, folder_of, read_config
from dbtasks.migrations.history.file_transaction import (
    Change,
    begun,
    change_files,
    finish,
    read_changes,
)
from dbtasks.migrations.history.integrity import unfinished
from dbtasks.migrations.history.reader import FILE
from dbtasks.migrations.history.resolve_target import is_reversible
from dbtasks.migrations.history.revision import Revision
from dbtasks.migrations.history.template import check_message, path_of
from dbtasks.migrations.history.turns import taking_turns
from dbtasks.migrations.squashing.folding import fold
from dbtasks.migrations.squashing.merging import Head, merge
from dbtasks.migrations.squashing.proving import prove
from dbtasks.migrations.squashing.ranges import Range, find_range
from dbtasks.migrations.squashing.sources import read_source
from dbtasks.project import Project


@dataclass(frozen=True)
class Squashed:
    """Hold the revision that stands in the place of others, its file, and what it replaces.

    `folded` says what is done at once that was done one after the other, `barriers` which
    functions have statements that nothing was moved past, and `unseen` why which of the project's
    databases could not be looked at.
    """

    text: str
    path: Path
    replaced: tuple[Revision, ...]
    folded: tuple[str, ...] = ()
    barriers: tuple[str, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)


def squashmigrations(
    project: Project,
    *,
    first: str,
    last: str,
    name: str | None = None,
    optimize: bool = False,
    dry_run: bool = False,
) -> Squashed:
    """Put one revision in the place of those from `first` to `last`, and remove their files.

    It has the id of the last, so that databases there or beyond need nothing. Before it is
    written, both histories are run on scratch databases; with `dry_run` it is only returned. With
    `optimize` what is made and then changed or dropped is made so, or not at all, where that is
    clear from the code.
    Raises Refused for any difference, and where something else hangs, or a database that the
    project declares stands, inside the range.
    """
    check_message(name)
    with taking_turns(project, writes=not dry_run):
        folder = folder_of(read_config(project))
        command = command_line("squashmigrations", from_=first, to=last)
        if not dry_run and (note := begun(folder)) is not None:
            return _finished(folder, note, command)
        scripts = read_history(project)
        inside = find_range(scripts, first, last)
        fixed = [one.revision for one in inside.scripts if not is_reversible(one)]
        sources = [read_source(one) for one in inside.scripts]
        message = name.replace("_", " ") if name else inside.last.doc
        text = merge(sources, _head(inside), message, fixed[-1] if fixed else None)
        if line := fingerprint.found_in(source_edit.read(Path(inside.last.path))):
            text = source_edit.note(text, line)
        path = _path(scripts, inside, message) if name else Path(inside.last.path)
        squashed = Squashed(text, path, tuple(describe(one) for one in inside.scripts))
        if optimize:
            squashed = replace(squashed, **asdict(fold(text)))
        if not dry_run:
            unseen = check_squashable(project, inside.ids, inside.last.revision)
            squashed = replace(squashed, unseen=unseen)
            _prove(project, inside, squashed, reversible=not fixed)
            heads = scripts.get_heads()
            change_files(
                folder,
                _changes(inside, squashed),
                command,
                lambda: _check(project, squashed, heads),
            )
        return squashed


def _finished(folder: Path, note: Mapping[str, Any], command: str) -> Squashed:
    """Finish the same squash, which a kill has stopped between its files; refuse another."""
    if note["command"] != command:
        raise unfinished(note)
    changes = read_changes(folder, note)
    finish(folder, changes)
    last = changes[-1]
    replaced = (Revision(change.old, "", (), change.old_path) for change in changes)
    return Squashed((last.content or b"").decode(), last.path, tuple(replaced))


def _changes(inside: Range, squashed: Squashed) -> list[Change]:
    """Return what becomes of each file, in the order of the history.

    The first goes first, and the last is there until the new one, which has its id, takes its
    place in one step: a history between has a revision that comes after one without a file.
    """
    *others, last = inside.scripts
    new, path = last.revision, Path(last.path)
    gone = ((script.revision, Path(script.path)) for script in others)
    return [
        *(Change(old, new, file, file, file.read_bytes(), None) for old, file in gone),
        Change(new, new, path, squashed.path, path.read_bytes(), squashed.text.encode()),
    ]


def _prove(project: Project, inside: Range, squashed: Squashed, *, reversible: bool) -> None:
    try:
        prove(project, inside, squashed.text, str(squashed.path), reversible=reversible)
    except Refused as error:
        if squashed.folded:
            error.hint = "leave out --optimize: the code as it was may come out the same"
        raise


def _head(inside: Range) -> Head:
    parents = inside.parents
    return Head(
        inside.last.revision,
        parents if len(parents) > 1 else next(iter(parents), None),
        inside.labels or None,
        inside.depends_on or None,
        [*inside.ids],
    )


def _path(scripts: ScriptDirectory, inside: Range, message: str) -> Path:
    """Return the path that the project's template gives to a revision of this name."""
    folder = Path(inside.last.path).parent
    path = path_of(scripts, folder, inside.last.revision, message)
    if path.exists() and str(path) not in {one.path for one in inside.scripts}:
        raise Refused(f"there is a {path} already", hint="take another --name")
    outside = path.parent != folder and not scripts.recursive_version_locations
    if outside or not FILE.match(path.name):
        raise _not_found(path)
    return path


def _not_found(path: Path) -> Refused:
    return Refused(
        f"{path} is not found in the history",
        hint="which folders and names has it? See version_locations and file_template in "
        "alembic.ini",
    )


def _check(project: Project, squashed: Squashed, heads: Sequence[str]) -> None:
    """Raise Refused unless the history ends where it did, with the file in it."""
    found = read_history(project, changing=True)
    paths = {Path(one.path) for one in found.walk_revisions()}
    if squashed.path not in paths or {*found.get_heads()} != {*heads}:
        raise _not_found(squashed.path)
