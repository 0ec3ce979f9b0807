"""Values from the command line, converted by the type of their column and checked."""

import datetime as dt
import enum
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import Enum
from sqlalchemy.types import TypeEngine

from dbtasks.errors import UsageError

LARGEST = 2**63
TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
SHOWN = 60


def convert(text: str, kind: TypeEngine[Any], field: str) -> Any:
    """Return the value that a text stands for in a column of this type.

    Raises UsageError that names the field, the type and the value.
    """
    python = _python_type(kind)
    try:
        if isinstance(kind, Enum):
            return _member(kind, text)
        if python not in CONVERTERS:
            raise ValueError("this type cannot be given on the command line")
        return CONVERTERS[python](text)
    except (ValueError, InvalidOperation) as error:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
        reason = str(error) if type(error) is _Reason else ""
        raise UsageError(
            f"{field}={shown!r} is not a value of type {type(kind).__name__}"
            + (f": {reason}" if reason else ""),
            hint=EXAMPLES.get(python),
        ) from error


class _Reason(ValueError):
    """Carry a reason that a person understands; other ValueErrors speak of Python."""


def _python_type(kind: TypeEngine[Any]) -> type:
    try:
        return kind.python_type
    except NotImplementedError:
        return str


def _integer(text: str) -> int:
    if len(text) > len(str(LARGEST)) + 1:
        raise _Reason("it is too large")
    value = int(text)
    if not -LARGEST <= value < LARGEST:
        raise _Reason("it does not fit 64 bits")
    return value


def _finite(value: Any) -> Any:
    if value != value:  # NaN is the one value that does not equal itself
        raise _Reason("nothing equals NaN")
    return value


def _boolean(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise ValueError(text)


def _member(kind: Enum, text: str) -> Any:
    members = kind.enums
    if text not in members:
        raise _Reason(f"it has {', '.join(members)}")
    return kind.enum_class[text] if kind.enum_class else text


CONVERTERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: _integer,
    float: lambda text: _finite(float(text)),
    Decimal: lambda text: _finite(Decimal(text)),
    bool: _boolean,
    dt.date: dt.date.fromisoformat,
    dt.datetime: dt.datetime.fromisoformat,
    dt.time: dt.time.fromisoformat,
    UUID: UUID,
}

EXAMPLES: dict[type, str] = {
    int: "write a whole number, as 42",
    float: "write a number, as 1.5",
    Decimal: "write a number, as 12.50",
    bool: "write true or false",
    dt.date: "write a date, as 2026-11-22",
    dt.datetime: "write a date and time, as 2026-11-22T09:30",
    dt.time: "write a time, as 09:30",
    UUID: "write a UUID, as 12345678-1234-5678-1234-567812345678",
    enum.Enum: "write the name of a member",
}
