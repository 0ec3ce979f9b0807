"""The words of an expression in SQL, told apart: columns, and what only looks like one."""

import re
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
