"""The note of files that are being moved: it outlives a kill, and says how the move ends."""

import json
from pathlib import Path
from typing import Any

from dbtasks.errors import Refused
from dbtasks.hints import command_line

NAME = ".rebase.json"
"""The note's file, beside env.py."""


def read_note(folder: Path) -> dict[str, Any] | None:
    """Return what the note says; None where there is none, or it was not written to its end.

    No file is moved before it is, so that such a one says that nothing has happened.
    """
    try:
        found = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def check_no_move(folder: Path) -> None:
    """Raise Refused where files are being moved, or a move of them was killed."""
    path = folder / NAME
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
