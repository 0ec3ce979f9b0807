"""Revisions by new names and in new places: their files, moved all together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbtasks.errors import LocalFailure, Refused
from dbtasks.migrations import rewriting


@dataclass(frozen=True)
class Move:
    """Say what a revision is called now, which file it stands in, and what that says."""

    old: str
    new: str
    old_path: Path
    path: Path
    source: str


def check_free(moves: Sequence[Move]) -> None:
    """Refuse to write over a file that does not move itself."""
    moved = {one.old_path for one in moves}
    for one in moves:
        if one.path not in moved and one.path.exists():
            raise Refused(
                f"{one.old} would be written to {one.path}, which is there already",
                hint="give that file another name first",
            )


def move_files(moves: Sequence[Move]) -> None:
    """Write each file by its new name and remove the old ones; after an error all is as it was."""
    before = {one.old_path: one.old_path.read_bytes() for one in moves}
    written = {one.path for one in moves}
    try:
        for one in moves:
            rewriting.write(one.path, one.source, like=one.old_path)
        for path in before.keys() - written:
            path.unlink()
    except OSError as error:
        _put_back(before, written)
        raise LocalFailure(
            f"{error.filename} cannot be removed: {error.strerror}", hint="mend that first"
        ) from error
    except BaseException:
        _put_back(before, written)
        raise


def _put_back(before: dict[Path, bytes], written: set[Path]) -> None:
    for path in written - before.keys():
        path.unlink(missing_ok=True)
    for path, content in before.items():
        # On a full disk a file that is whole had better not be written again.
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
