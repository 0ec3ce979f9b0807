"""What text lookups on SQLite need of Python: GLOB patterns, lower case, regular expressions."""

import re
from warnings import catch_warnings, simplefilter

from dbtasks.errors import UsageError

# Python alone gives İ two characters, and lets the place of a Σ in the word decide.
ONE_FOR_ONE = str.maketrans({"İ": "i", "Σ": "σ"})


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
