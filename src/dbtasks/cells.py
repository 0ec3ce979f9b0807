"""Values as they are printed: in JSON, and in a cell of a table or CSV."""

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any

Row = Sequence[Any]

NESTED = (dict, list, tuple, set, frozenset)
"""Types of values that are printed as JSON."""


class DocumentText(str):
    """Stand for a string of a JSON column: it is in quotes where another is not."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: exact, as text where JSON has no such type."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset)):
        return _sorted(value)
    return str(value)


def _sorted(values: Iterable[Any]) -> list[Any]:
    """Return the items of a set in one order, also where Python knows none of them."""
    items = [*map(_only_json, values)]
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=_encode)


def _duration(value: timedelta) -> str:
    """Return a duration as ISO 8601 has it: P1DT7200S, to the microsecond."""
    sign = "-" if value < timedelta(0) else ""
    size = abs(value)
    seconds = f"{size.seconds}.{size.microseconds:06}".rstrip("0").rstrip(".")
    days = f"{size.days}D" if size.days else ""
    return f"{sign}P{days}" + (f"T{seconds}S" if seconds != "0" or not days else "")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=plain).encode
JSON_WRITERS: dict[type, Callable[[Any], str]] = {str: _encode, int: int.__repr__}


def json_of(value: Any) -> str:
    """Return a value as JSON, whatever it holds."""
    try:
        return _encode(value.name if isinstance(value, Enum) else value)
    except (ValueError, TypeError, RecursionError):  # JSON has no such value, at some depth
        return document_of(value, indent=None)


def document_of(value: Any, *, indent: int | None = 2) -> str:
    """Return a value as a JSON document on several lines."""
    try:
        return json.dumps(_only_json(value), indent=indent, ensure_ascii=False)
    except RecursionError:  # it is deeper than Python goes
        return _encode(reprlib.repr(value))


def json_objects(columns: Sequence[str]) -> Callable[[Row], str]:
    """Return what writes a row as a JSON object.

    A writer for each value, found by its type, takes a third of the time of one for the object.
    """
    names = (_encode(name).replace("%", "%%") for name in columns)
    template = f"{{{', '.join(f'{name}: %s' for name in names)}}}"
    find = JSON_WRITERS.get
    return lambda row: template % tuple([find(type(one), json_of)(one) for one in row])


def cell_of(value: Any) -> str:
    """Return a value as a table or CSV has it; NULL is nothing."""
    if value is None:
        return ""
    if isinstance(value, (*NESTED, DocumentText)):
        return json_of(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return value.name
    return value if isinstance(value, str) else str(plain(value))


def _only_json(value: Any, inside: frozenset[int] = frozenset()) -> Any:
    """Return a value of which all parts are JSON's: NaN, the infinities and other keys as text.

    `inside` has what it is a part of: a pickled object may hold itself.
    """
    if isinstance(value, Enum):  # of texts or numbers too
        return value.name
    if isinstance(value, NESTED):
        if id(value) in inside:
            return reprlib.repr(value)
        inside |= {id(value)}
        if isinstance(value, dict):
            return {_key(name): _only_json(part, inside) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [_only_json(part, inside) for part in value]
        return _sorted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else plain(value)


def _key(name: Any) -> str:
    """Return the key of an object as a text; a tuple as JSON has it."""
    if isinstance(name, str):
        return name
    return json_of(name) if isinstance(name, (bool, *NESTED)) else cell_of(name) or "null"
