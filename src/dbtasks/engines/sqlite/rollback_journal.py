"""The rollback journal of SQLite: without one on the disk, a rollback or a kill spoils the file.

https://www.sqlite.org/pragma.html#pragma_journal_mode
"""

import sqlite3

KEPT = frozenset({"delete", "truncate", "persist", "wal"})
"""The modes with a journal on the disk; SQLite takes the beginning of a mode's name too."""

REFUSED = "PRAGMA journal_mode=OFF or MEMORY, which would leave nothing to roll back to"


def allow_keeping(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    """Deny a PRAGMA that could take the journal from the disk."""
    is_mode = action == sqlite3.SQLITE_PRAGMA and str(first).lower() == "journal_mode"
    denied = is_mode and second is not None and second.lower() not in KEPT
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def keep_journal(raw: object) -> None:
    """Give the files of a connection their journals, and let nothing that it is sent take them.

    A project may connect without one; a driver of its own is left to it.
    """
    if not isinstance(raw, sqlite3.Connection):
        return
    for _, name, path in raw.execute("PRAGMA database_list").fetchall():
        quoted = name.replace('"', '""')
        asked = raw.execute(f'PRAGMA "{quoted}".journal_mode') if path else None
        if asked is not None and asked.fetchone()[0] not in KEPT:
            raw.execute(f'PRAGMA "{quoted}".journal_mode=DELETE')
    raw.set_authorizer(allow_keeping)
