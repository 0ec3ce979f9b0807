"""What SQLite's authorizer lets SQL do that was typed: read, or all but leave the database."""

import sqlite3

from dbtasks.engines.sqlite.rollback_journal import allow_keeping

READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
OURS = frozenset(
    {
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
    }
)
GUARDED = frozenset({"dbtasks_environment", "dbtasks_journal"})
FUNCTIONS_THAT_WRITE = frozenset({"load_extension", "fts3_tokenizer", "writefile", "edit"})
PRAGMAS_OF_A_TABLE = frozenset(
    [
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "foreign_key_check",
        "integrity_check",
        "quick_check",
    ]
)
PRAGMAS_WITHOUT_VALUE = PRAGMAS_OF_A_TABLE | frozenset(
    [
        "application_id",
        "auto_vacuum",
        "cache_size",
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "foreign_keys",
        "freelist_count",
        "function_list",
        "journal_mode",
        "module_list",
        "page_count",
        "page_size",
        "pragma_list",
        "query_only",
        "schema_version",
        "synchronous",
        "user_version",
    ]
)


def allow_reading(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    """Deny all that is not known to read: an action, a function or a pragma.

    A function in the place of a table, as json_each, is asked for as an update of sqlite_master,
    which SQLite by itself does not let SQL make.
    """
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = str(second).lower() not in FUNCTIONS_THAT_WRITE
    elif action == sqlite3.SQLITE_PRAGMA:
        names = PRAGMAS_WITHOUT_VALUE if second is None else PRAGMAS_OF_A_TABLE
        allowed = str(first).lower() in names
    else:
        declares = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
        allowed = declares or action in READING
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def allow_writing(action: int, first: str | None, second: str | None, *where: str | None) -> int:
    """Deny what would end our transaction, or write to another file or to our guards.

    SQLite names the table itself, however the statement spells it; of ALTER it is the second.
    """
    guarded = {str(first).lower(), str(second).lower()} & GUARDED and action not in READING
    schema = action == sqlite3.SQLITE_PRAGMA and str(first).lower() == "writable_schema"
    denied = action in OURS or guarded or schema
    return sqlite3.SQLITE_DENY if denied else allow_keeping(action, first, second)
