"""Values as they travel between databases and files: the same form whatever the engine.

A value is None, a bool, an int, bytes, or text. Text stands for all else, exactly: Decimal as
12.50, a float as its shortest digits, dates and times in ISO 8601 with all digits and the offset,
an interval as P1DT7200S, bytes in base64 where a file has none, an enum by the label that its
column stores, JSON and arrays as JSON text, so that JSON's null is not SQL's NULL; an array of JSON
is a list of such texts.
"""

import base64
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum as PythonEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, JSON, Enum, Float, Interval, Numeric, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from dbtasks.engines.base.storage import Storage

Wire = None | bool | int | str | bytes
Row = Sequence[Wire]
Buffer = bytearray | memoryview

DURATION = re.compile(r"P(?=.)(?:(-?[0-9]{1,7})D)?(?:T(-?)([0-9]{1,5})(?:\.([0-9]{1,6}))?S)?\Z")
"""A duration as it travels, of days that Python's dates have."""

DIGITS = 6
"""Digits of a second's fraction that travel; some columns round some of them away."""

NAIVE = re.compile(r"(?:\A|T)\d\d:\d\d(:\d\d(\.\d+)?)?\Z")


class Document(Text):
    """Stand for a JSON column whose documents travel as the text that is stored."""


class BinaryNumeric(Numeric[Any]):
    """Stand for a Numeric that is stored as a binary number: it keeps the shortest text of each."""


BinaryNumeric.__name__ = Numeric.__name__  # messages speak of the model's type


class Stray(str):
    """Stand for a stored value that its column's type cannot have: what it looks like."""

    def __new__(cls, stored: object) -> "Stray":
        """Keep how a person would write it in Python, short."""
        return super().__new__(cls, reprlib.repr(stored))


class Spelled(str):
    """Stand for a stored text that the column's type itself would spell otherwise.

    `plain` is the value as all others travel.
    """

    plain: Wire

    def __new__(cls, text: str, plain: "Wire") -> "Spelled":
        """Keep both."""
        found = super().__new__(cls, text)
        found.plain = plain
        return found


class Kept(NamedTuple):
    """Hold what is to be stored as it is, and the value that the column's type reads of it."""

    stored: Any
    value: Any

    def __repr__(self) -> str:
        """Return what is stored, for messages."""
        return repr(self.stored)


LARGE = 1 << 20
"""Bytes, or characters, of a value that is moved in pieces: a copy of all of it costs memory."""

PIECE = 3 << 16
"""Bytes, or characters, of a piece: a multiple of 3, so that base64 fills none up."""

PLAIN = frozenset((type(None), bool, int, str, bytes, Stray, Spelled))
"""Types of values that travel as they are."""


def stored_type(kind: TypeEngine[Any], storage: "Storage") -> TypeEngine[Any]:
    """Return the type of what a column itself holds: of an enum its label, below a decorator.

    A decorator that stores other things in each kind of database is left on: what it gives and
    takes is the same everywhere, and what it stores is not.
    """
    kind = storage.resolve_type(kind)
    if isinstance(kind, Enum):
        return String(kind.length)
    if isinstance(kind, Float) and kind.asdecimal:  # SQLAlchemy would read ten decimals of it
        return kind.adapt(type(kind), asdecimal=False)
    if isinstance(kind, ARRAY):
        documents = isinstance(stored_type(kind.item_type, storage), Document)
        return ARRAY(Document(), dimensions=kind.dimensions) if documents else kind
    if isinstance(kind, JSON):
        return Document()
    if isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
        if type(kind).load_dialect_impl is not TypeDecorator.load_dialect_impl:
            return kind
        return stored_type(kind.impl_instance, storage)
    return kind


def holds_bytes(kind: TypeEngine[Any]) -> bool:
    """Whether a column of this type holds bytes: BINARY and MySQL's LONGBLOB are no LargeBinary."""
    try:
        return not isinstance(kind, TypeDecorator) and kind.python_type is bytes
    except NotImplementedError:
        return False


def may_be_large(kind: TypeEngine[Any]) -> bool:
    """Whether a column of this type has values of any length."""
    if isinstance(kind, String) or holds_bytes(kind):
        length: int | None = getattr(kind, "length", None)
        return length is None or length > LARGE
    return isinstance(kind, (ARRAY, JSON)) or (
        isinstance(kind, TypeDecorator) and not isinstance(kind, Interval)
    )


def encode(value: Any) -> Wire:
    """Return a Python value as it travels."""
    encoder = ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    for known, encoder in ENCODERS.items():
        if isinstance(value, known):
            return encoder(value)
    return str(value)


def encode_rows(rows: Sequence[Sequence[Any]]) -> Sequence[Row]:
    """Return rows of Python values as they travel, a column at a time where it needs it."""
    if PLAIN.issuperset(map(type, chain.from_iterable(rows))):
        return rows
    columns = [
        column if PLAIN.issuperset(map(type, column)) else tuple(map(encode, column))
        for column in zip(*rows, strict=True)
    ]
    return list(zip(*columns, strict=True))


def is_large(values: Sequence[Any]) -> bool:
    """Whether values of a column are so large that they are moved in pieces."""
    kinds = {*map(type, values)}
    if not kinds & {str, bytes}:
        return False
    if kinds <= {str, bytes}:
        return sum(map(len, values)) > LARGE
    return sum(len(one) for one in values if isinstance(one, (str, bytes))) > LARGE


def pieces_of(value: str) -> Iterator[str]:
    """Yield a text in pieces."""
    for start in range(0, len(value), PIECE):
        yield value[start : start + PIECE]


def base64_pieces(value: bytes) -> Iterator[bytes]:
    """Yield bytes in base64, in pieces."""
    view = memoryview(value)
    for start in range(0, len(view), PIECE):
        yield base64.b64encode(view[start : start + PIECE])


def in_utc(value: Wire) -> Wire:
    """Return the text of an instant that has no offset with that of UTC."""
    if isinstance(value, Spelled):
        return Spelled(value, in_utc(value.plain))
    return f"{value}+00:00" if isinstance(value, str) and NAIVE.search(value) else value


def duration(value: timedelta) -> str:
    """Return a duration as ISO 8601 has it, to the microsecond.

    Each part has its sign: PostgreSQL takes none before the P.
    """
    sign = "-" if value < timedelta(0) else ""
    size = abs(value)
    seconds = f"{size.seconds}.{size.microseconds:06}".rstrip("0").rstrip(".")
    days = f"{sign}{size.days}D" if size.days else ""
    return f"P{days}" + (f"T{sign}{seconds}S" if seconds != "0" or not days else "")


def duration_of(text: str) -> timedelta:
    """Return the duration that such a text is of. Raises ValueError for another text."""
    found = DURATION.match(text)
    if found is None:
        raise ValueError(text)
    days, sign, seconds, fraction = found.groups()
    time = timedelta(seconds=int(seconds or 0), microseconds=int((fraction or "").ljust(6, "0")))
    return timedelta(days=int(days or 0)) + (-time if sign else time)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=encode)


ENCODERS: dict[type, Callable[[Any], Wire]] = {
    type(None): lambda value: None,
    bool: bool,
    int: int,
    Spelled: lambda value: value,
    str: str,
    float: _float,
    Decimal: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: duration,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    UUID: str,
    PythonEnum: lambda value: value.name,
    dict: _document,
    list: _document,
}
"""By the type of the value; bool stands before int, Spelled before str, datetime before date."""
