"""Whether the history is whole: no gap in it, and no change of its files that was stopped."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from alembic.script import Script
from alembic.util import to_tuple

from dbtasks.errors import Refused
from dbtasks.migrations.history.reader import NOTE

ASIDE = ".squashed"
"""The ending of files that an earlier dbtasks moved, when its squash was killed."""


def check_whole(scripts: Sequence[Script], folders: Callable[[], Collection[Path]]) -> None:
    """Raise Refused where a revision comes after one that has no file; Alembic only stumbles."""
    known = {name for one in scripts for name in (one.revision, *one.branch_labels)}
    for script in scripts:
        for parent in to_tuple(script.down_revision, default=()):
            if parent not in known:
                raise _cut_short(folders()) or Refused(
                    f"there is no file of {parent}, which {script.revision} comes after",
                    hint=f"bring it back to {Path(script.path).parent}; what does git status say?",
                )


def _cut_short(folders: Collection[Path]) -> Refused | None:
    """Return what to do about a squash of an earlier dbtasks that was killed between its files."""
    asides = sorted(path for folder in folders for path in folder.glob(f"*.py{ASIDE}"))
    if not asides:
        return None
    return Refused(
        f"a squashmigrations of an earlier dbtasks was killed, and has left renamed revisions in "
        f"{asides[0].parent}: {', '.join(path.name for path in asides)}",
        hint=f"rename them back, without {ASIDE} at the end",
    )


def read_note(folder: Path) -> dict[str, Any] | None:
    """Return what the note says; None where there is none, or it was not written to its end.

    No file is changed before it is: such a one says that nothing has happened.
    """
    try:
        found = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_finished(folder: Path) -> None:
    """Raise Refused where revisions are being changed, or a change of them was killed."""
    path = folder / NOTE
    if not path.exists():
        return
    note = read_note(folder)
    if note is None:
        raise Refused(
            f"a change of the revisions was stopped before its first file, and left a note: {path}",
            hint=f"remove {path}",
        )
    raise unfinished(note)


def unfinished(note: Mapping[str, Any]) -> Refused:
    """Return the error for anything else that is done before a change is finished."""
    files = ", ".join(Path(change["path"]).name for change in note["changes"])
    command = note["command"]
    return Refused(
        f"{command} was stopped between its files, and not all of them are changed: {files}",
        hint=f"finish it: {command}",
    )
