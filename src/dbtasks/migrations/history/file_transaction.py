"""Files of revisions changed together: all of them, or none, also where the process is killed.

A file says by its content which revision it is, not by its name. So each is first written in the
place where it is, in an order in which every history between is one that Alembic refuses, as a
revision is missing; then the files get their names. A note has what is to be done, from before the
first change until after the last: after a kill it is finished by it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from os.path import relpath
from pathlib import Path
from typing import Any

from dbtasks import files
from dbtasks.errors import DbtasksError, LocalFailure, Refused
from dbtasks.interrupts import clean_up
from dbtasks.migrations.history.integrity import read_note
from dbtasks.migrations.history.reader import NOTE

PART_CHANGED = "some of the files are changed"
AGAIN = "fix that, and run the same command again"


@dataclass(frozen=True)
class Change:
    """Say which revision a file has and where it stands, before and after.

    `content` is what the file says then; None where the file goes.
    """

    old: str
    new: str
    old_path: Path
    path: Path
    before: bytes
    content: bytes | None


def check_free(changes: Sequence[Change]) -> None:
    """Refuse to write over a file that is not among those that change."""
    changed = {change.old_path for change in changes}
    for change in changes:
        if change.path not in changed and change.path.exists():
            raise Refused(
                f"{change.old} would be written to {change.path}, which is there already",
                hint="give that file another name first",
            )


def change_files(
    folder: Path,
    changes: Sequence[Change],
    command: str,
    check: Callable[[], object] = lambda: None,
    **told: object,
) -> None:
    """Change the files in this order; after an error, of `check` too, all is as it was.

    The order has to be one in which each history between misses a revision. `folder` has the note
    meanwhile: the command line that finishes it after a kill, and what else that is `told`. `check`
    is called when the files are changed.
    """
    note = folder / NOTE
    packed = [_packed(folder, change) for change in changes]
    try:
        files.write(note, json.dumps({"command": command, "changes": packed, **told}).encode())
        _change(changes)
        check()
        note.unlink()
    except OSError as error:
        failed = _failed(error)
        _undo(changes, note, failed)
        raise failed from error
    except BaseException as error:
        _undo(changes, note, error)
        raise


def finish(folder: Path, changes: Sequence[Change]) -> None:
    """Do what is left of a change that was killed.

    Raises Refused where somebody has changed the files since.
    """
    note = folder / NOTE
    known = {content for change in changes for content in (change.before, change.content)}
    for path in {path for change in changes for path in (change.old_path, change.path)}:
        if path.is_file() and path.read_bytes() not in known:
            raise _changed_since(f"{path} is another than it was then", note)
    for change in changes:
        if not (change.old_path.is_file() or _stands(change, change.path)):
            raise _changed_since(f"{change.old_path} is gone", note)
    try:
        _change(changes)
        note.unlink()
    except OSError as error:
        failed = _failed(error)
        failed.state, failed.hint = PART_CHANGED, AGAIN
        raise failed from error


def begun(folder: Path) -> dict[str, Any] | None:
    """Return the note of a change that was killed; one without its end is in nobody's way."""
    note = read_note(folder)
    if note is None and (folder / NOTE).exists():
        (folder / NOTE).unlink()
    return note


def read_changes(folder: Path, note: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the changes that the note in a folder has."""
    return tuple(_unpacked(folder, change) for change in note["changes"])


def _packed(folder: Path, change: Change) -> dict[str, str | None]:
    """Return a change as JSON has it: any bytes as characters of a text."""
    return {
        "old": change.old,
        "new": change.new,
        "old_path": relpath(change.old_path, folder),
        "path": relpath(change.path, folder),
        "before": change.before.decode("latin-1"),
        "content": None if change.content is None else change.content.decode("latin-1"),
    }


def _unpacked(folder: Path, change: Mapping[str, str]) -> Change:
    content = change["content"]
    return Change(
        change["old"],
        change["new"],
        Path(os.path.normpath(folder / change["old_path"])),
        Path(os.path.normpath(folder / change["path"])),
        change["before"].encode("latin-1"),
        None if content is None else content.encode("latin-1"),
    )


def _failed(error: OSError) -> LocalFailure:
    return LocalFailure(
        f"{error.filename} cannot be written or moved: {error.strerror}", hint="fix that first"
    )


def _change(changes: Sequence[Change]) -> None:
    """Do what is left to be done: all of it, or the rest after a kill."""
    for change in changes:
        moved = change.path != change.old_path and _stands(change, change.path)
        if moved and _has(change.old_path, change.before):
            change.old_path.unlink()  # somebody has brought it back after a kill
    with ExitStack() as stack:  # all are on the disk before one of them counts
        commits = [
            stack.enter_context(_staged(change))
            for change in changes
            if not _stands(change, change.path) and not _stands(change, change.old_path)
        ]
        for commit in commits:
            commit()
    left = [change for change in changes if not _stands(change, change.path)]
    while free := [change for change in left if not change.path.exists()]:
        for change in free:
            os.rename(change.old_path, change.path)
            left.remove(change)
    # What is left now would take each other's name: the file's name means nothing, and stays.


@contextmanager
def _staged(change: Change) -> Iterator[Callable[[], object]]:
    """Give what writes the file in the place where it is, or removes it."""
    if change.content is None:
        yield change.old_path.unlink
        return
    with files.staged_file(change.old_path) as (stream, commit):
        stream.write(change.content)
        stream.flush()
        yield commit


def _stands(change: Change, path: Path) -> bool:
    """Whether a file is as the change leaves it."""
    return not path.exists() if change.content is None else _has(path, change.content)


def _undo(changes: Sequence[Change], note: Path, error: BaseException) -> None:
    """Put the files back after an error, which stays the one to report.

    Where that fails too, the note is left: by it the same command finishes the change.
    """
    before = {change.old_path: change.before for change in changes}
    new = {change.path for change in changes} - before.keys()
    for path in new:
        clean_up(partial(path.unlink, missing_ok=True), error)
    for path, content in reversed(before.items()):
        # On a full disk a file that is whole had better not be written again.
        if not _has(path, content):
            clean_up(partial(files.write, path, content), error)
    if not any(map(Path.exists, new)) and all(starmap(_has, before.items())):
        clean_up(partial(note.unlink, missing_ok=True), error)
    if note.exists() and isinstance(error, DbtasksError):
        error.state, error.hint = PART_CHANGED, AGAIN


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _changed_since(what: str, note: Path) -> DbtasksError:
    return Refused(
        f"the change of the files that was stopped cannot be finished: {what}",
        hint=f"bring back the revisions as they were before it, remove {note}, and begin anew",
    )
