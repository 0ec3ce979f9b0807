"""The files of a squash: one put in the place of several, with no gap that anybody runs across."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from alembic.script import ScriptDirectory

from dbtasks import files
from dbtasks.errors import DbtasksError, LocalFailure, Refused
from dbtasks.interrupts import clean_up
from dbtasks.migrations.history.directory import folders_of, load_files
from dbtasks.migrations.history.integrity import ASIDE, DRAFT, find_left
from dbtasks.migrations.history.reader import read_file
from dbtasks.migrations.history.resolve_target import replaced_by


def replace_files(old: Sequence[Path], new: Path, text: str, check: Callable[[], None]) -> None:
    """Put a file in the place of others, which have to be in the order of the history.

    A kill leaves the old history, the new one, or one in which a revision comes after another that
    has no file: the first goes first, and the last is there until the new one, which has its id,
    takes its place in one step. After an error, of `check` too, all is as it was.
    """
    *others, last = old
    try:
        files.write(_beside(last, DRAFT), text.encode(), like=last)
        files.write(_beside(last, ASIDE), last.read_bytes(), like=last)
        for path in others:
            path.rename(_beside(path, ASIDE))
        _beside(last, DRAFT).replace(last)
        if new != last:
            last.rename(new)
        check()
    except OSError as error:
        failed = LocalFailure(
            f"cannot write {new}: {error.strerror or error}", hint="fix that first"
        )
        _undo(old, new, failed)
        raise failed from error
    except BaseException as error:
        _undo(old, new, error)
        raise
    for path in old:
        with suppress(OSError):  # it is no revision any more
            _beside(path, ASIDE).unlink()


def _undo(old: Sequence[Path], new: Path, error: BaseException) -> None:
    """Take back what was done before an error, which stays the one to report."""
    *others, last = old
    clean_up(lambda: _take_back(others, last, new), error)
    left = any(_beside(one, ending).exists() for one in old for ending in (ASIDE, DRAFT))
    if left and isinstance(error, DbtasksError):
        error.state = "some revisions are put aside"
        error.hint = "fix that, and run the same command again"


def _take_back(others: Sequence[Path], last: Path, new: Path) -> None:
    """Undo it from wherever it has come to: the last first, so that a gap stays to the end."""
    draft, kept = _beside(last, DRAFT), _beside(last, ASIDE)
    if not last.exists():
        new.rename(last)
    if draft.exists():  # the copy may not be whole, and nothing is in the place of the last
        kept.unlink(missing_ok=True)
    elif kept.exists():
        kept.replace(last)
    for path in reversed(others):
        if _beside(path, ASIDE).exists():
            _beside(path, ASIDE).rename(path)
    draft.unlink(missing_ok=True)


def recover(scripts: ScriptDirectory) -> None:
    """Put back what a squash that was killed has put aside, and remove what it left at its end."""
    loaded = load_files(scripts)
    folders = folders_of(scripts, loaded)
    there = {name for one in loaded for name in (one.revision, *replaced_by(one))}
    for path in find_left(folders, ASIDE):
        found = read_file(path)
        # That of the last is a copy.
        if path.with_suffix("").exists() or (found and found.id in there):
            path.unlink()
        elif found:
            path.rename(path.with_suffix(""))
        else:
            raise Refused(
                f"{path} was put aside by a squashmigrations that has not come to its end",
                hint=f"rename it back, without {ASIDE}, unless another file has its revision, or "
                "names it in replaces: then remove it",
            )
    for path in find_left(folders, DRAFT):
        if "\nreplaces = [" in path.read_text(encoding="utf-8", errors="replace"):
            path.unlink()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
