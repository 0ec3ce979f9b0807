"""Text lookups of SQLite: GLOB patterns, and Python's lower case and regular expressions."""

import re
from typing import Any
from warnings import catch_warnings, simplefilter

from sqlalchemy import ColumnElement, String, collate, func, literal

from dbtasks.engines.base.text_match import ignores_case
from dbtasks.errors import UsageError

# Python alone gives İ two characters, and lets the place of a Σ in the word decide.
ONE_FOR_ONE = str.maketrans({"İ": "i", "Σ": "σ"})

GLOB_CHARACTERS = 1000  # SQLite refuses a pattern of more than 50,000 bytes


def match(column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
    """Compare without LIKE, which takes a for A, and with Python's lower case.

    The GLOB beside it lets an index be used.
    """
    if lookup == "regex":
        return column.regexp_match(check_python_regex(text))
    if lookup == "exact":
        return _equal(column, text)
    if ignores_case(lookup):
        lowered = func.dbtasks_lower(column, type_=String())
        return _found(lowered, lookup.removeprefix("i"), lower(text))
    found = _found(column, lookup, text)
    if lookup == "startswith":
        pattern = escape_glob(text[:GLOB_CHARACTERS]) + "*"
        return column.bool_op("GLOB")(literal(pattern)) & found
    return found


def _equal(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Compare by the bytes; a column with a collation of its own is indexed by that."""
    equal: ColumnElement[bool] = column == collate(literal(text), "BINARY")
    return (column == text) & equal if getattr(column.type, "collation", None) else equal


def _found(subject: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
    """Look for a text by its bytes: the result of a function has no collation."""
    if lookup == "exact":
        return subject == literal(text)
    if lookup == "contains" or not text:
        return func.instr(subject, text) > 0
    start = (1, len(text)) if lookup == "startswith" else (-len(text),)
    return func.substr(subject, *start, type_=String()) == literal(text)


def escape_glob(text: str) -> str:
    """Return a text in which the wildcards of GLOB stand for themselves."""
    return re.sub(r"[*?[]", r"[\g<0>]", text)


def lower(text: str) -> str:
    """Return the lower case as a database has it: one character for one, wherever it stands."""
    return text.translate(ONE_FOR_ONE).lower()


def check_python_regex(text: str) -> str:
    """Return the regular expression. Raises UsageError for one that Python cannot read."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what may mean another thing in a later Python
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{text!r} is no regular expression: {error}",
            hint="a backslash before . * + ? ( ) [ ] { } | ^ $ and \\ makes them plain characters",
        ) from error
    return text
