"""Whether the history is whole: no gap in it, and no change of its files that was stopped."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic.script import Script
from alembic.util import to_tuple

from dbtasks.errors import Refused
from dbtasks.hints import command_line
from dbtasks.migrations.history.reader import read_file

DRAFT, ASIDE = ".draft", ".squashed"
"""Endings of files that Alembic does not take for revisions."""

NOTE = ".rebase.json"
"""The file, beside env.py, that says how a move of files ends: it outlives a kill."""


def check_whole(scripts: Sequence[Script], folders: Callable[[], Collection[Path]]) -> None:
    """Raise Refused where a revision comes after one that has no file; Alembic only stumbles."""
    known = {name for one in scripts for name in (one.revision, *one._orig_branch_labels)}
    for script in scripts:
        for parent in to_tuple(script.down_revision, default=()):
            if parent not in known:
                raise _cut_short(scripts, folders()) or Refused(
                    f"there is no file of {parent}, which {script.revision} comes after",
                    hint=f"bring it back to {Path(script.path).parent}; what does git status say?",
                )


def find_left(folders: Collection[Path], ending: str) -> list[Path]:
    """Return the files that a squash has left, or has about, in these folders."""
    return sorted(path for folder in folders for path in folder.glob(f"*.py{ending}"))


def _cut_short(scripts: Sequence[Script], folders: Collection[Path]) -> Refused | None:
    """Return what to do about a squash that was killed before its own file was in place."""
    asides = find_left(folders, ASIDE)
    if not asides:
        return None
    files = {one.id: one for one in map(read_file, asides) if one}
    parents = {one.revision: to_tuple(one.down_revision, default=()) for one in scripts}
    parents |= {one.id: one.parents for one in files.values()}
    firsts = [one for one in files if files.keys().isdisjoint(_before(one, parents))]
    drafts = {path.with_suffix("") for path in find_left(folders, DRAFT)}
    lasts = [one.revision for one in scripts if Path(one.path) in drafts]
    by_hand = f"rename them back, without {ASIDE} at the end"
    again = ""
    if firsts and lasts:
        again = command_line("squashmigrations", from_=firsts[0], to=lasts[0])
    return Refused(
        f"a squashmigrations has put revisions aside in {asides[0].parent}, and not come to its "
        f"end: {', '.join(path.name for path in asides)}",
        hint=f"if none runs any more: {by_hand}"
        + (f"; or let it do so, and begin again: {again}" if again else ""),
    )


def _before(revision: str, parents: Mapping[str, Collection[str]]) -> set[str]:
    """Return all that a revision comes after."""
    found: set[str] = set()
    todo = [*parents[revision]]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += parents.get(one, ())
    return found


def read_note(folder: Path) -> dict[str, Any] | None:
    """Return what the note says; None where there is none, or it was not written to its end.

    No file is moved before it is, so that such a one says that nothing has happened.
    """
    try:
        found = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_no_move(folder: Path) -> None:
    """Raise Refused where files are being moved, or a move of them was killed."""
    path = folder / NOTE
    if not path.exists():
        return
    note = read_note(folder)
    if note is None:
        raise Refused(
            f"a --rebase was stopped before it changed a file; its note is left: {path}",
            hint=f"remove {path}",
        )
    raise unfinished(note)


def unfinished(note: dict[str, Any]) -> Refused:
    """Return the error for anything else that is done before a move is finished."""
    files = ", ".join(Path(one["path"]).name for one in note["moves"])
    database = note["database"] if note["applied"] else None
    command = command_line("makemigrations", rebase=note["revision"], database=database)
    return Refused(
        f"--rebase {note['revision']} was stopped between its files: {files} are to come after "
        f"{note['onto']}, and not all do",
        hint=f"finish it: {command}",
    )
