"""The words of an expression in SQL, told apart: columns, and what only looks like one."""

import re
from collections.abc import Mapping
from functools import cache

from sqlalchemy import Dialect

BARE = r"[\w$\#]+"
QUOTED = r""" "(?:[^"]|"")+" | `(?:[^`]|``)+` | \[[\w\ ]+\] """
NAME = rf"(?: {QUOTED} | {BARE} )"
TYPE = rf"""
    (?: (?: character | bit ) \s+ varying | double \s+ precision
    | (?: timestamp | time ) \s* (?: \(\d+\) )? \s+ with (?: out )? \s+ time \s+ zone
    | {NAME} (?: \. {NAME} )? )
"""
LIST = re.compile(r"\W*\w+\W*\s+IN\s*\(", re.IGNORECASE)
DOT = re.compile(r"\s*\.\s*")
STRING, ESCAPED = r" '(?:[^']|'')*' ", r" '(?:[^'\\]|''|\\.)*' "
WORDS = rf"""
    %s
    | :: \s* {TYPE}
    | \b as \b [^()]*                       # CAST(name AS char charset utf8mb4)
    | \b collate \s+ {NAME}
    | \b extract \s* \( \s* {BARE} \s+ from \b
    | \b interval \s+ \d+ \s+ {BARE}
    | {NAME} (?= \s* \( )                   # a function, which PostgreSQL may quote
    | {BARE} (?= \s* ' )                    # DATE '2020-01-01'
    | (?P<quoted> {QUOTED} )
    | (?P<bare> {BARE} )
"""
"""What is tried in turn where a word begins; the last two are columns, or words of SQL."""


def mentions(dialect: Dialect, sql: str, column: str, *, exact: bool = False) -> bool:
    """Whether an expression, as a database tells it, is about a column.

    Where names are `exact`, those in quotes are told apart by their case, too.
    """
    words = _words(getattr(dialect, "_backslash_escapes", False)).finditer(sql)
    if exact:
        return any(_name(one) == column for one in words)
    return any(_name(one).lower() == column.lower() for one in words)


def is_list(sql: str) -> bool:
    """Whether a check is that of a list of values, as an enum or a Boolean has it."""
    return LIST.match(sql) is not None


def renamed(dialect: Dialect, sql: str, names: Mapping[str, str], table: str) -> str:
    """Return an expression with other names of columns, and without the table's before them.

    `names` has the old ones in lower case.
    """
    quote = dialect.identifier_preparer.quote
    parts: list[str] = []
    at = 0
    for word in _words(getattr(dialect, "_backslash_escapes", False)).finditer(sql):
        name = _name(word).lower()
        dot = DOT.match(sql, word.end())
        if dot is not None and name == table.lower():
            parts.append(sql[at : word.start()])
            at = dot.end()
        elif name in names:
            parts += [sql[at : word.start()], quote(names[name])]
            at = word.end()
    return "".join([*parts, sql[at:]])


@cache
def _words(escapes: bool) -> re.Pattern[str]:
    """Return what finds words, where a backslash in a text may escape its end or not."""
    strings = ESCAPED if escapes else STRING
    return re.compile(WORDS % strings, re.VERBOSE | re.IGNORECASE | re.DOTALL)


def _name(word: re.Match[str]) -> str:
    """Return the column that a word may be, without quotes in lower case; empty for none."""
    quoted = word["quoted"]
    if quoted:
        return str(quoted[1:-1]).replace(quoted[-1] * 2, quoted[-1])
    return (word["bare"] or "").lower()
