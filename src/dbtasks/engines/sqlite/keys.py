"""Values that SQLite stores in several spellings: keys that order as the values do.

An instant may be stored as `2021-01-01`, `2021-01-01 00:00:00.000000` or `2021-01-01T02:00+02:00`,
a truth as any number, a document with blanks. SQLite compares these as texts and numbers.
"""

import datetime as dt
import json
import math
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Float,
    Interval,
    Numeric,
    Time,
    Uuid,
    and_,
    func,
    literal,
    literal_column,
    or_,
)
from sqlalchemy.types import NullType, TypeEngine

from dbtasks.engines.base.comparison import between
from dbtasks.engines.base.spellings import Reader

Key = None | int | float | str
"""What SQLite orders by its own rules; None for a value that the type cannot read."""

SPELLED = (DateTime, Date, Time, Interval, Numeric, Float, Boolean, JSON, Uuid)
"""Types whose values SQLite may hold in several spellings."""

LARGEST = 2**63
LAST = "\U0010ffff"
"""Behind a text, the end of all texts that begin with it."""

SECOND = 1_000_000
EPOCH = dt.datetime(1970, 1, 1)
MICROSECOND = dt.timedelta(microseconds=1)

Condition = ColumnElement[bool]

OFFSETS = dt.timedelta(days=2)
"""How far apart the days may be that two spellings of an instant name, each with its offset."""

TextRange = tuple[str | None, str | None]


class Keys:
    """Make keys of stored values, by the names of their types, for a function within SQLite."""

    def __init__(self) -> None:
        self._readers: dict[str, Reader] = {}
        self._names: dict[TypeEngine[Any], str] = {}

    def name_of(self, kind: TypeEngine[Any], dialect: Dialect) -> str:
        """Return the name by which `read` knows a type."""
        if kind not in self._names:
            name = type(kind).__name__
            name = f"{name} {len(self._names)}" if name in self._readers else name
            self._names[kind] = name
            self._readers[name] = _reader_of(kind, dialect)
        return self._names[kind]

    def read(self, stored: Any, name: str) -> Key:
        """Return the key of a stored value."""
        return None if stored is None else self._readers[name](stored)


def key_of(value: Any, kind: TypeEngine[Any]) -> Key:
    """Return the key of a value of a type; an instant without an offset is UTC."""
    if isinstance(kind, JSON):
        return _document(None if value is JSON.NULL else value)
    if isinstance(kind, Boolean):
        return int(bool(value))
    if isinstance(kind, Uuid):
        return (value if isinstance(value, UUID) else UUID(value)).hex
    if isinstance(value, dt.datetime):
        return _instant(value)
    if isinstance(value, dt.date):
        return value.toordinal()
    if isinstance(value, dt.time):
        return _time(value)
    if isinstance(value, dt.timedelta):
        return value // MICROSECOND
    return _number(value)


def texts_of_days(low: dt.date | None, high: dt.date | None) -> Iterator[TextRange]:
    """Yield ranges of texts that hold each spelling of ISO 8601 of the days from low to high.

    Those are 2021-01-31, 20210131, 2021-W04-7 and 2021W047, with anything behind. Other texts may
    be in them too. None is the beginning or the end of time.
    """
    start = None if low is None else min(low.isoformat(), _week(low, "-W"))
    if low is None and high is None:
        start = ""
    if high is None:
        yield start, None
        return
    yield start, high.isoformat() + LAST
    # Those of earlier years are within the first range, as all texts are that begin with a year.
    first = high.replace(month=1, day=1)
    first = max(low, first) if low else first
    yield f"{first:%Y%m%d}".zfill(8), f"{high:%Y%m%d}".zfill(8) + LAST
    for mark in ("-W", "W"):
        yield max(_week(first, mark), f"{first.year:04}{mark}01"), _week(high, mark) + LAST


def uuid_texts(value: UUID) -> list[str]:
    """Return the spellings of a UUID that Python reads."""
    texts = [value.hex, str(value)]
    texts += [text.upper() for text in texts]
    return [shape.format(text) for shape in ("{}", "{{{}}}", "urn:uuid:{}") for text in texts]


def _reader_of(kind: TypeEngine[Any], dialect: Dialect) -> Reader:
    process = kind.dialect_impl(dialect).result_processor(dialect, None)

    def read(stored: Any) -> Key:
        try:
            return key_of(process(stored) if process else stored, kind)
        except Exception:  # a project's format may raise anything
            return _text_number(stored) if isinstance(kind, (Numeric, Float)) else None

    return read


def _instant(value: dt.datetime) -> int:
    # Not in UTC first: the first and the last day of Python's calendar have no other zones.
    return (value.replace(tzinfo=None) - EPOCH) // MICROSECOND - _offset(value)


def _time(value: dt.time) -> int:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return seconds * SECOND + value.microsecond - _offset(value)


def _offset(value: dt.datetime | dt.time) -> int:
    return (value.utcoffset() or dt.timedelta()) // MICROSECOND


def _text_number(stored: Any) -> Key:
    """Return the number that a text spells, which the type itself does not read."""
    try:
        return _number(stored)
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> Key:
    if isinstance(value, int) and abs(value) < LARGEST:
        return value
    number = float(value)
    return None if math.isnan(number) else number


def _document(value: Any) -> str:
    return json.dumps(_plain_numbers(value), sort_keys=True, separators=(",", ":"))


def _plain_numbers(value: Any) -> Any:
    """Return a document in which 1.0 is 1, as both are one number in JSON."""
    if isinstance(value, dict):
        return {name: _plain_numbers(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _week(day: dt.date, mark: str) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}{mark}{week:02}"


def near(
    stored: ColumnElement[Any], kind: TypeEngine[Any], lookup: str, value: Any
) -> Condition | None:
    """Return a condition that an index serves, and that all meet whose key compares so.

    It finds too much. None where no index serves one.
    """
    if isinstance(kind, (Numeric, Float)):
        return _near_number(stored, kind, lookup, float(value))
    if isinstance(kind, Boolean) and lookup == "exact":
        nothing = stored.in_([0, "", b""])
        return or_(stored < 0, stored > 0) if value else nothing
    if isinstance(kind, Uuid) and lookup == "exact":
        return stored.in_(uuid_texts(value if isinstance(value, UUID) else UUID(value)))
    if isinstance(value, dt.timedelta) and isinstance(kind, Interval):
        value = kind.epoch + value
    if not isinstance(value, dt.date):
        return None
    return or_(*(_within(stored, one) for one in texts_of_days(*_days(lookup, value))))


def _days(lookup: str, value: dt.date) -> tuple[dt.date | None, dt.date | None]:
    """Return the days that the stored texts may name; None for all before, or after."""
    slack = OFFSETS if isinstance(value, dt.datetime) else dt.timedelta()
    day = value.date() if isinstance(value, dt.datetime) else value
    low = None if lookup in ("lt", "lte") or day - dt.date.min < slack else day - slack
    high = None if lookup in ("gt", "gte") or dt.date.max - day < slack else day + slack
    return low, high


def _within(stored: ColumnElement[Any], texts: TextRange) -> Condition:
    start, end = texts
    if end is None:
        return stored >= literal(start)
    if start is None:
        return stored <= literal(end)
    return and_(_few(stored >= literal(start)), _few(stored <= literal(end)))


def _few(condition: Condition) -> Condition:
    """Tell SQLite that few rows meet a condition: of many ranges it would use no index."""
    # Not of type Boolean, which SQLAlchemy would compare with 1 here.
    return func.likelihood(condition, literal_column("0.01"), type_=NullType())


def _near_number(
    stored: ColumnElement[Any], kind: Any, lookup: str, value: float
) -> Condition | None:
    """Know that a number is read rounded to the scale, and may be stored as a text."""
    scales = [one for one in (kind.scale, kind.decimal_return_scale, 10) if one is not None]
    slack = 10.0 ** -min(scales) if kind.asdecimal else 0.0
    slack += abs(value) * 1e-15 if math.isfinite(value) else 0.0  # infinity is near itself alone
    if lookup == "exact":
        near = and_(*(_few(between(stored, one, value, slack)) for one in ("gte", "lte")))
    else:
        near = between(stored, lookup, value, slack)
    # All texts stand after all numbers.
    return near if lookup in ("gt", "gte") else or_(near, _few(stored >= literal("")))
