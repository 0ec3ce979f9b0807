"""Texts and JSON values as Python values of a column's type, before its limits are looked at."""

import base64
import datetime as dt
import enum
import json
import math
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, JSON, Enum, Float, Integer, Interval, Numeric, PickleType, Uuid
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines.base.wire import Document
from dbtasks.values.documents import refuse_constant
from dbtasks.values.instants import date_of, datetime_of, duration_of, time_of
from dbtasks.values.reasons import Reason, require

TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})

LONGEST_NUMBER = 200_000
"""No column has more digits, and Python would take long to write them."""

LONGEST_INTEGER = 30

HALF = re.compile("[\ud800-\udfff]")

NOT_ZERO = re.compile(r"[^e]*[1-9]")

WHOLE = re.compile(r"\s*([+-]?)0*([0-9]+)\s*")

Parser = Callable[[object, Any], Any]


def parse(value: object, kind: TypeEngine[Any], *, from_json: bool) -> Any:
    """Return the Python value of a type; `from_json` for a string that is no JSON text."""
    refuse_surrogates(value)
    for known, parser in BY_CLASS.items():
        if isinstance(kind, known):
            return parser(value, kind)
    if isinstance(kind, Document):
        return document_text_of(value)
    if isinstance(kind, JSON):
        return document_of(value, from_json=from_json)
    if isinstance(kind, ARRAY):
        return array_of(value, kind)
    if isinstance(kind, TypeDecorator):
        return _decorated(value, kind, from_json=from_json)
    by_type: Parser = BY_TYPE.get(python_type(kind), _as_it_is)
    return by_type(value, kind)


def python_type(kind: TypeEngine[Any]) -> type:
    """Return the Python type of a column type, `object` where it has none."""
    try:
        found = kind.python_type
    except NotImplementedError:
        found = object
    if found is object and isinstance(kind, TypeDecorator):
        return python_type(kind.impl_instance)
    return found


def refuse_surrogates(value: object) -> None:
    """Raise Reason for half of a character, which no database stores, at any depth."""
    for text in texts_in(value):
        require(HALF.search(text) is None, "half a character in it")


def texts_in(value: object) -> list[str]:
    """Return the strings of a JSON value, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_in(part)]
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in texts_in(part)]
    return []


def plain_numbers(value: Any) -> Any:
    """Return a JSON value with floats, as Python's JSON has them, for Decimals at any depth.

    Raises Reason for what is too large.
    """
    if isinstance(value, Decimal):
        return _float(value, None)
    if isinstance(value, dict):
        return {name: plain_numbers(part) for name, part in value.items()}
    return [plain_numbers(part) for part in value] if isinstance(value, list) else value


def document_of(value: object, *, from_json: bool) -> Any:
    """Return a JSON document; its null is JSON's, not the column's NULL."""
    if isinstance(value, str) and not from_json:
        value = json.loads(value, parse_constant=refuse_constant)
        refuse_surrogates(value)
    value = plain_numbers(value)
    json.dumps(value, allow_nan=False)
    return JSON.NULL if value is None else value


def document_text_of(value: object) -> str:
    """Return the text of a JSON document, which a text is already: it is kept as it is."""
    document_of(value, from_json=False)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def array_of(value: object, kind: ARRAY[Any]) -> Any:
    """Return a list, each item by the type of the items."""
    if isinstance(value, str):
        as_is = float if isinstance(kind.item_type, (JSON, Document)) else Decimal
        value = json.loads(value, parse_float=as_is, parse_constant=refuse_constant)
    require(isinstance(value, list), "it is no list")
    depth = kind.dimensions or _depth(value, kind.item_type)
    return _items(value, depth, kind.item_type)


def members_of(value: object, members: Collection[str]) -> set[str]:
    """Return a set of texts: a JSON list of them, or the texts with commas between them."""
    items = value
    if isinstance(value, str):
        refuse_surrogates(value)
        items = [one for one in value.split(",") if one]
        if value.startswith("["):
            with suppress(ValueError):
                items = json.loads(value)
    if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
        raise Reason("it is no list of texts")
    require(set(items) <= set(members), f"it has {', '.join(members)}")
    return set(items)


def _items(value: object, depth: int, item: TypeEngine[Any]) -> Any:
    if depth == 0:
        return None if value is None else parse(value, item, from_json=True)
    if not isinstance(value, list):
        raise Reason("its lists are not equally deep")
    found = [_items(one, depth - 1, item) for one in value]
    if depth > 1:
        require(all(found), "a list in it is empty")
        require(len({_shape(one) for one in found}) <= 1, "its lists are not equally long")
    return found


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    return (len(value), *(_shape(value[0]) if value else ()))


def _depth(value: object, item: TypeEngine[Any]) -> int:
    """Return how deep the lists are, of a column that does not say it."""
    depth = 1
    while not isinstance(item, JSON) and isinstance(value, list) and value:
        value = value[0]
        depth += isinstance(value, list)
    return depth


def _decorated(value: object, kind: TypeDecorator[Any], *, from_json: bool) -> Any:
    """Parse as the decorator's own Python type, or as the type below; the rest is its to judge."""
    require(not isinstance(kind, PickleType), "a pickled object cannot be written as text")
    below = kind.impl_instance
    if isinstance(value, (dict, list)):
        return plain_numbers(value)
    parser = BY_TYPE.get(python_type(kind)) if python_type(kind) is not python_type(below) else None
    return parser(value, below) if parser else parse(value, below, from_json=from_json)


def _integer(value: object, kind: Any) -> int:
    if isinstance(value, str):
        match = WHOLE.fullmatch(value)
        if match is None:
            raise Reason("")
        require(len(match[2]) <= LONGEST_INTEGER, "it is too large")
        return int(match[1] + match[2])
    if isinstance(value, (float, Decimal)):  # JSON's 7.0
        number = Decimal(repr_of(value))
        require(number.is_finite() and number.adjusted() < LONGEST_INTEGER, "it is too large")
        require(number == number.to_integral_value(), "it is no whole number")
        return int(number)
    require(isinstance(value, int) and not isinstance(value, bool), "it is no whole number")
    return value  # type: ignore[return-value]  # the line above made sure


def _decimal(value: object, kind: Any) -> Decimal:
    require(_is_number(value) or isinstance(value, str), "it is no number")
    number = Decimal(_ascii(value) if isinstance(value, str) else repr_of(value))
    small = (
        abs(number.adjusted()) < LONGEST_NUMBER and len(number.as_tuple().digits) < LONGEST_NUMBER
    )
    require(small or not number.is_finite() or not number, "no column has so many digits")
    return number


def _float(value: object, kind: Any) -> float | Decimal:
    require(_is_number(value) or isinstance(value, str), "it is no number")
    number = float(_ascii(value)) if isinstance(value, str) else float(value)  # type: ignore[arg-type]  # a number, see above
    written = str(value).lower()
    require(math.isfinite(number) or "in" in written or "n" in written, "it is too large")
    require(number or not NOT_ZERO.match(written), "it is too small")
    return Decimal(repr(number)) if getattr(kind, "asdecimal", False) else number


def _boolean(value: object, kind: Any) -> bool:
    text = str(value).lower() if isinstance(value, (str, bool, int)) else ""
    require(text in TRUE | FALSE, "")
    return text in TRUE


def _member(value: object, kind: Enum) -> Any:
    """Find a member by its name, then by its value, then by what the column holds for it."""
    if kind.enum_class is None:
        require(value in kind.enums, f"it has {', '.join(kind.enums)}")
        return value
    members = kind.enum_class.__members__
    value = plain_numbers(value)
    if isinstance(value, str) and value in members:
        return members[value]
    for member in kind.enum_class:
        if type(member.value) is type(value) and member.value == value:
            return member
    for member, held in zip(kind.enum_class, kind.enums, strict=False):
        if value in (str(member.value), held):
            return member
    raise Reason(f"it has {', '.join(members)}")


def _uuid(value: object, kind: Any) -> UUID | str:
    found = UUID(_text(value, kind))
    return found if getattr(kind, "as_uuid", True) else str(found)


def _text(value: object, kind: Any) -> str:
    if not isinstance(value, str):
        raise Reason("it has to be a text")
    return value


def _bytes(value: object, kind: Any) -> bytes:
    return base64.b64decode(_text(value, kind), validate=True)


def _as_it_is(value: object, kind: Any) -> object:
    """Return a value for a type that Python has not; a number only if a float keeps its digits."""
    found = plain_numbers(value)
    kept = not isinstance(value, Decimal) or Decimal(repr(found)) == value
    require(kept, "a floating-point number has fewer digits: write it as a text")
    return found


def _ascii(text: str) -> str:
    """Refuse what only Python reads as a number: 1_000, other scripts' digits."""
    require(text.isascii() and "_" not in text, "")
    return text.strip()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def repr_of(number: object) -> str:
    """Return a number's digits, a float's as short as they can be."""
    return repr(number) if isinstance(number, float) else str(number)


BY_CLASS: dict[type, Parser] = {
    Enum: _member,
    Uuid: _uuid,
    Interval: duration_of,
    Float: _float,
    Numeric: _decimal,
    Integer: _integer,
}
"""Types that are more than their Python type; Float stands before Numeric, its base once."""

BY_TYPE: dict[type, Parser] = {
    str: _text,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    bool: _boolean,
    bytes: _bytes,
    dt.date: date_of,
    dt.datetime: datetime_of,
    dt.time: time_of,
    dt.timedelta: duration_of,
    UUID: _uuid,
}

EXAMPLES: dict[type, str] = {
    str: "write a text",
    int: "write a whole number, as 42",
    float: "write a number, as 1.5",
    Decimal: "write a number, as 12.50",
    bool: "write true or false",
    bytes: "write base64, as AP8=",
    list: "write a JSON list, as [1, 2]",
    dict: 'write JSON, as {"a": 1}',
    dt.date: "write a date, as 2026-11-22, today or now-90d",
    dt.datetime: "write a date and time, as 2026-11-22T09:30, or now-90d",
    dt.time: "write a time, as 09:30",
    dt.timedelta: "write a duration, as 1d 2h, 90m or P1DT2H",
    UUID: "write a UUID, as 12345678-1234-5678-1234-567812345678",
    enum.Enum: "write the name of a member",
}


def example_of(kind: TypeEngine[Any]) -> str | None:
    """Return what a value of this type looks like."""
    if isinstance(kind, JSON):
        return EXAMPLES[dict]
    if isinstance(kind, Enum):
        return EXAMPLES[enum.Enum]
    if getattr(kind, "timezone", False) and python_type(kind) in (dt.datetime, dt.time):
        return f"{EXAMPLES[python_type(kind)]}, with its offset from UTC, as 09:30Z"
    return EXAMPLES.get(python_type(kind))
