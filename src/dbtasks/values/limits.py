"""The limits of a column's type: what its database would cut, round, replace or refuse."""

import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, JSON, Enum, Float, Integer, Interval, Numeric, Time
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines import Backend
from dbtasks.engines.base.singles import nearest_single, shortest_single
from dbtasks.engines.base.wire import BinaryNumeric, Document
from dbtasks.values.reasons import Reason, require
from dbtasks.values.texts import texts_in

FLOAT_DIGITS = 15
"""Digits that any number keeps on its way through a double."""

WRITTEN_DECIMALS = range(-15, 60)
"""Sizes of a Decimal that MySQL reads as it is: drivers write all zeros, of which it cuts some."""

WIDEST_OFFSET = dt.timedelta(hours=15, minutes=59)


def fit(value: Any, kind: TypeEngine[Any], backend: Backend) -> Any:
    """Return the value as it is stored; raise Reason for what the column would not keep."""
    refuse_nul(json.loads(value) if isinstance(kind, Document) else value, backend)
    if isinstance(kind, JSON):
        return _document(value, backend)
    if isinstance(kind, ARRAY):
        return _each(value, kind.item_type, backend)
    if isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
        return _decorated(value, kind, backend)
    if isinstance(kind, Enum):
        return value
    for known, check in CHECKS.items():
        if isinstance(value, known):
            return check(value, kind, backend)
    return value


def refuse_nul(value: object, backend: Backend) -> None:
    """Raise Reason for a NUL where text cannot have one."""
    if not backend.stores_nul:
        require(
            not any("\0" in text for text in texts_in(value)),
            f"{backend.title} stores no NUL in text",
        )


def _document(value: Any, backend: Backend) -> Any:
    bits = backend.json_number_bits
    if bits is not None and isinstance(value, int):
        _between(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits is not None and isinstance(value, float):
        require(not value.is_integer(), "alone it becomes a whole number")
    return value


def _each(value: Any, item: TypeEngine[Any], backend: Backend) -> Any:
    if isinstance(value, list):
        return [_each(one, item, backend) for one in value]
    return None if value is None else fit(value, backend.resolve_type(item), backend)


def _decorated(value: Any, kind: TypeDecorator[Any], backend: Backend) -> Any:
    """Look at what the decorator would send, and leave the value to it."""
    try:
        below = backend.resolve_type(kind.load_dialect_impl(backend.dialect))
        sent = kind.process_bind_param(value, backend.dialect)
    except NotImplementedError:  # a decorator that only reads, or only names a type
        below, sent = kind.impl_instance, value
    except Exception as error:
        raise Reason(f"{type(kind).__name__} refuses it: {error}") from error
    fit(sent, below, backend)
    return value


def _same(value: Any, kind: TypeEngine[Any], backend: Backend) -> Any:
    return value


def _text(value: str, kind: TypeEngine[Any], backend: Backend) -> str:
    if isinstance(kind, Time):  # one that is no time of a day
        _whole(int(value.partition(".")[2].ljust(6, "0")), kind, backend)
    length = getattr(kind, "length", None)
    if length is not None:
        require(len(value) <= length, f"it has {len(value)} characters, the column {length}")
    elif (most := backend.byte_limit(kind)) is not None:
        size = len(value.encode())
        require(size <= most, f"it has {size} bytes, the column {most}")
    require(backend.keeps_end(kind, value), "a column of CHAR does not keep the blanks at its end")
    return value


def _bytes(value: bytes, kind: TypeEngine[Any], backend: Backend) -> bytes:
    length = getattr(kind, "length", None)
    most = backend.byte_limit(kind) if length is None else length
    require(most is None or len(value) <= most, f"it has {len(value)} bytes, the column {most}")
    filled = f"it has {len(value)} bytes, which the column of BINARY fills up"
    require(backend.keeps_end(kind, value), filled)
    return value


def _integer(value: int, kind: TypeEngine[Any], backend: Backend) -> int:
    if isinstance(kind, Integer):
        _between(value, *backend.integer_range(kind))
    return value


def _between(value: int, smallest: int, largest: int) -> None:
    require(smallest <= value <= largest, f"it is not from {smallest} to {largest}")


def _decimal(value: Decimal, kind: TypeEngine[Any], backend: Backend) -> Decimal | float:
    if isinstance(kind, Float):
        number = _float(float(value), kind, backend)
        return value if not value or value.adjusted() in WRITTEN_DECIMALS else number
    if not isinstance(kind, Numeric):
        return value
    if value.is_nan():
        require(backend.stores_nan, f"{backend.title} stores no NaN there")
        value = Decimal("NaN")  # another may raise where it is compared
    elif value.is_infinite():
        require(backend.stores_infinity, f"{backend.title} stores no infinity there")
        require(kind.precision is None, "a column with a precision has no infinity")
    elif kind.asdecimal or backend.exact_digits is None:
        _digits(value, kind, backend)
    else:
        require(Decimal(repr(float(value))) == value, "a floating-point number has fewer digits")
    return value if kind.asdecimal else float(value)


def _digits(value: Decimal, kind: Numeric[Any], backend: Backend) -> None:
    """Count the digits on both sides of the point; zeros at the end are none."""
    precision, scale = backend.numeric_size(kind)
    whole, fraction = _sides(value)
    require(scale is None or fraction <= scale, f"its scale is {fraction}, the column's {scale}")
    require(
        precision is None or whole <= precision - (scale or 0),
        f"it has {whole} digits before the point, the column {(precision or 0) - (scale or 0)}",
    )
    exact = backend.exact_digits if kind.asdecimal else FLOAT_DIGITS
    digits = whole + fraction if whole else fraction + value.adjusted() + 1
    require(
        exact is None or digits <= exact or _is_shortest(value, kind),
        f"it has {digits} digits, {exact} are kept exactly",
    )


def _is_shortest(value: Decimal, kind: Numeric[Any]) -> bool:
    """Whether a column of binary numbers has a value as one, of which it is the shortest text."""
    return isinstance(kind, BinaryNumeric) and Decimal(repr(float(value))) == value


def _sides(value: Decimal) -> tuple[int, int]:
    if not value:
        return 0, 0
    _, digits, exponent = value.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    places = int(exponent) + len(digits) - len(significant)
    return max(len(significant.lstrip("0")) + places, 0), max(-places, 0)


def _float(value: float, kind: TypeEngine[Any], backend: Backend) -> float:
    if math.isnan(value):
        require(backend.stores_nan, f"{backend.title} stores no NaN")
    elif math.isinf(value):
        require(backend.stores_infinity, f"{backend.title} stores no infinity")
    elif backend.single_precision(kind):
        _single(value)
    scale = getattr(kind, "scale", None)  # of MySQL's FLOAT(7, 4)
    require(scale is None or round(value, scale) == value, f"the column has {scale} decimals")
    return value


def _single(value: float) -> None:
    """Refuse what is neither a number of single precision, nor the shortest text of one."""
    try:
        kept, shortest = nearest_single(value), shortest_single(value)
    except OverflowError as error:
        raise Reason("it is too large for a column of single precision") from error
    require(kept or not value, "it is too small for a column of single precision")
    require(
        value in (kept, shortest), f"a column of single precision keeps {shortest!r}: a Double all"
    )


def _instant(value: dt.datetime, kind: TypeEngine[Any], backend: Backend) -> dt.datetime:
    _whole(value.microsecond, kind, backend)
    if not getattr(kind, "timezone", False):
        require(value.tzinfo is None, "it has an offset, the column has no time zone")
        return value
    if backend.keeps_offset:
        require(value.tzinfo is not None, "it has no offset, the column has a time zone")
        return value.astimezone(dt.UTC)
    _require_utc(value, backend)
    return value.replace(tzinfo=None)


def _time(value: dt.time, kind: TypeEngine[Any], backend: Backend) -> dt.time:
    _whole(value.microsecond, kind, backend)
    offset = value.utcoffset()
    if not getattr(kind, "timezone", False):
        require(offset is None, "it has an offset, the column has no time zone")
        return value
    if backend.keeps_offset:
        if offset is None:
            raise Reason("it has no offset, the column has a time zone")
        whole = not offset % dt.timedelta(minutes=1) and abs(offset) <= WIDEST_OFFSET
        require(whole, "its offset is not in whole minutes within 15:59")
        return value
    _require_utc(value, backend)
    return value.replace(tzinfo=None)


def _require_utc(value: dt.datetime | dt.time, backend: Backend) -> None:
    require(not value.utcoffset(), f"{backend.title} keeps no offset; write it in UTC, with a Z")


def _whole(microsecond: int, kind: TypeEngine[Any], backend: Backend) -> None:
    digits = backend.fraction_digits(kind)
    kept = f"{digits} digits" if digits else "no fraction"
    require(not microsecond % 10 ** (6 - digits), f"the column keeps {kept} of a second")


def _duration(value: dt.timedelta, kind: TypeEngine[Any], backend: Backend) -> dt.timedelta:
    _whole(value.microseconds, kind, backend)
    if isinstance(kind, Interval) and not (backend.native_intervals and kind.native):
        try:
            kind.epoch + value
        except OverflowError as error:
            raise Reason("counted from 1970 it is not in the years 1 to 9999") from error
    return value


CHECKS: dict[type, Callable[[Any, TypeEngine[Any], Backend], Any]] = {
    bool: _same,
    str: _text,
    bytes: _bytes,
    int: _integer,
    Decimal: _decimal,
    float: _float,
    dt.datetime: _instant,
    dt.time: _time,
    dt.timedelta: _duration,
}
"""By the Python type of the value; bool stands before int, its base."""
