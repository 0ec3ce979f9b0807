"""Revisions by new names and in new places: their files, moved all together or not at all.

A file says by its content which revision it is, not by its name. So each is first written in the
place where it is, in an order in which every history between is one that Alembic refuses, as a
revision is missing; then the files get their names. A note has what is to be done, from before the
first until after the last: after a kill it is finished by it.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import starmap
from os.path import relpath
from pathlib import Path
from typing import Any

from dbtasks import files
from dbtasks.errors import DbtasksError, LocalFailure, Refused
from dbtasks.interrupts import clean_up
from dbtasks.migrations.history.integrity import NOTE
from dbtasks.migrations.history.revision_ids import number_of

PART_MOVED = "some of the files are moved"
AGAIN = "fix that, and run the same command again"


@dataclass(frozen=True)
class Move:
    """Say what a revision is called now, which file it stands in, and what that says.

    `before` is the digest of what the file said.
    """

    old: str
    new: str
    old_path: Path
    path: Path
    content: bytes
    before: str


def digest(content: bytes) -> str:
    """Return by what a content is known again."""
    return sha256(content).hexdigest()


def check_free(moves: Sequence[Move]) -> None:
    """Refuse to write over a file that does not move itself."""
    moved = {one.old_path for one in moves}
    for one in moves:
        if one.path not in moved and one.path.exists():
            raise Refused(
                f"{one.old} would be written to {one.path}, which is there already",
                hint="give that file another name first",
            )


def move_files(folder: Path, moves: Sequence[Move], **told: object) -> None:
    """Write each file and give it its new name; after an error all is as it was.

    `folder` has the note meanwhile, and `told` is what else it says, for who finishes it.
    """
    before = {one.old_path: one.old_path.read_bytes() for one in moves}
    note = folder / NOTE
    try:
        _write_note(note, {**told, "moves": [_packed(folder, one) for one in moves]})
        _move(moves)
        note.unlink()
    except OSError as error:
        failed = _failed(error)
        _undo(before, moves, note, failed)
        raise failed from error
    except BaseException as error:
        _undo(before, moves, note, error)
        raise


def finish(folder: Path, moves: Sequence[Move]) -> None:
    """Do what is left of a move that was killed; refuse where somebody changed its files since."""
    note = folder / NOTE
    known = {one.before for one in moves} | {digest(one.content) for one in moves}
    for path in {path for one in moves for path in (one.old_path, one.path)}:
        if path.is_file() and digest(path.read_bytes()) not in known:
            raise _changed(f"{path} is another than it was then", note)
    for one in moves:
        if not (one.old_path.is_file() or _stands(one, one.path)):
            raise _changed(f"{one.old_path} is gone", note)
    try:
        _move(moves)
        note.unlink()
    except OSError as error:
        failed = _failed(error)
        failed.state, failed.hint = PART_MOVED, AGAIN
        raise failed from error


def _failed(error: OSError) -> LocalFailure:
    return LocalFailure(
        f"{error.filename} cannot be written or moved: {error.strerror}", hint="fix that first"
    )


def unpacked(folder: Path, note: dict[str, Any]) -> tuple[Move, ...]:
    """Return the moves that a note has."""
    return tuple(
        Move(
            one["old"],
            one["new"],
            Path(os.path.normpath(folder / one["old_path"])),
            Path(os.path.normpath(folder / one["path"])),
            one["content"].encode("latin-1"),
            one["before"],
        )
        for one in note["moves"]
    )


def _packed(folder: Path, move: Move) -> dict[str, str]:
    return {
        "old": move.old,
        "new": move.new,
        "old_path": relpath(move.old_path, folder),
        "path": relpath(move.path, folder),
        "content": move.content.decode("latin-1"),  # any bytes, as characters of a text
        "before": move.before,
    }


def _write_note(path: Path, note: dict[str, object]) -> None:
    """Write the note, and be sure that it is there before any file is not as it was."""
    files.write(path, json.dumps(note, indent=1).encode())


def _move(moves: Sequence[Move]) -> None:
    """Do what is left to be done: all of it, or the rest after a kill."""
    for one in moves:
        if one.path != one.old_path and _stands(one, one.path) and _is_as_before(one):
            one.old_path.unlink()  # somebody has brought it back after a kill
    with ExitStack() as stack:  # all are on the disk before one of them counts
        commits = [
            stack.enter_context(_staged(one.old_path, one.content))
            for one in _ordered(moves)
            if not _stands(one, one.path) and not _stands(one, one.old_path)
        ]
        for commit in commits:
            commit()
    left = [one for one in moves if not _stands(one, one.path)]
    while free := [one for one in left if not one.path.exists()]:
        for one in free:
            os.rename(one.old_path, one.path)
            left.remove(one)
    # What is left now would take each other's name: the file's name means nothing, and stays.


@contextmanager
def _staged(path: Path, content: bytes) -> Iterator[Callable[[], None]]:
    with files.staged_file(path) as (stream, commit):
        stream.write(content)
        stream.flush()
        yield commit


def _ordered(moves: Sequence[Move]) -> Iterator[Move]:
    """Yield the moves in an order in which each history between misses a revision.

    Where the numbers rise the last comes first: the name that it comes after is not there yet.
    Where they fall the name of the first, which is gone, is taken by none.
    """
    first = moves[0]
    rises = number_of(first.new) >= number_of(first.old)
    yield from reversed(moves) if rises else moves


def _stands(move: Move, path: Path) -> bool:
    return _has(path, move.content)


def _is_as_before(move: Move) -> bool:
    return move.old_path.is_file() and digest(move.old_path.read_bytes()) == move.before


def _undo(
    before: dict[Path, bytes], moves: Sequence[Move], note: Path, error: BaseException
) -> None:
    """Put the files back after an error, which stays the one to report.

    Where that fails too, the note is left: by it the same command finishes the move.
    """
    new = {one.path for one in moves} - before.keys()
    for path in new:
        clean_up(partial(path.unlink, missing_ok=True), error)
    for path, content in before.items():
        # On a full disk a file that is whole had better not be written again.
        if not _has(path, content):
            clean_up(partial(files.write, path, content), error)
    if not any(map(Path.exists, new)) and all(starmap(_has, before.items())):
        clean_up(partial(note.unlink, missing_ok=True), error)
    if note.exists() and isinstance(error, DbtasksError):
        error.state, error.hint = PART_MOVED, AGAIN


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _changed(what: str, note: Path) -> DbtasksError:
    return Refused(
        f"the --rebase that was stopped cannot be finished: {what}",
        hint=f"bring back the revisions as they were before it, remove {note}, and begin anew",
    )
