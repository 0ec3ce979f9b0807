"""Computed columns of SQLite, of which SQLAlchemy may find the expression of another, or more."""

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

STATEMENT = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"

TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] |
        --[^\n]* | /\*.*?\*/ | \s+ | \w+ | .""",
    re.DOTALL | re.VERBOSE,
)
IGNORED = re.compile(r"\s|--|/\*")


def read_expressions(connection: Connection, table: str) -> Mapping[str, str]:
    """Return the expressions of a table's computed columns by their names."""
    sql = connection.exec_driver_sql(STATEMENT, (table,)).scalar()
    return dict(_expressions(sql)) if sql else {}


def _expressions(sql: str) -> Iterator[tuple[str, str]]:
    depth, begin, name, last = 0, None, "", ""
    for token in TOKEN.finditer(sql):
        word = token[0]
        if IGNORED.match(word):
            continue
        if depth == 1 and last in ("(", ","):
            name = unquoted(word)
        if word == "(":
            if depth == 1 and last.upper() == "AS":
                begin = token.end()
            depth += 1
        elif word == ")":
            depth -= 1
            if depth == 1 and begin is not None:
                yield name, sql[begin : token.start()].strip()
                begin = None
        last = word


def unquoted(name: str) -> str:
    """Return a name without its quotes."""
    quote = name[0]
    if quote == "[":
        return name[1:-1]
    return name[1:-1].replace(quote * 2, quote) if quote in "\"'`" else name
