"""The rollback journal of SQLite: without one on the disk, a rollback or a kill spoils the file.

https://www.sqlite.org/pragma.html#pragma_journal_mode
"""

import sqlite3

REFUSED = "PRAGMA journal_mode=OFF or MEMORY, which would leave nothing to roll back to"
VOLATILE = frozenset({"off", "memory"})


def allow_keeping(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    """Deny a PRAGMA that would take the journal from the disk."""
    is_mode = action == sqlite3.SQLITE_PRAGMA and str(first).lower() == "journal_mode"
    volatile = is_mode and str(second).strip("'\"").lower() in VOLATILE
    return sqlite3.SQLITE_DENY if volatile else sqlite3.SQLITE_OK


def keep_journal(raw: object) -> None:
    """Give a connection its journal, and let nothing that it is sent take it away.

    A project may connect without one; a driver of its own is left to it.
    """
    if not isinstance(raw, sqlite3.Connection):
        return
    is_file = any(name == "main" and path for _, name, path in raw.execute("PRAGMA database_list"))
    if is_file and raw.execute("PRAGMA main.journal_mode").fetchone()[0] in VOLATILE:
        raw.execute("PRAGMA main.journal_mode=DELETE")
    raw.set_authorizer(allow_keeping)
