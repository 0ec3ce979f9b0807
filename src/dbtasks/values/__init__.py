"""Values from the command line and from files, converted by the type of their column."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, Interval, Time
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines import Backend
from dbtasks.errors import UsageError
from dbtasks.values.decorators import RoundTrip, decorated_value
from dbtasks.values.documents import parts_of
from dbtasks.values.instants import is_long_time
from dbtasks.values.limits import fit
from dbtasks.values.reasons import Reason, require
from dbtasks.values.texts import example_of, members_of, parse, plain_numbers, refuse_surrogates

__all__ = ["check_document", "convert", "convert_stored"]

LARGEST = 2**63
SHOWN = 60


def convert(
    text: str,
    kind: TypeEngine[Any],
    field: str,
    backend: Backend | None = None,
) -> Any:
    """Return the value that a text stands for, to be compared with a column of this type.

    A date and time for a column with a time zone is UTC where it has no offset. Without a backend
    nothing is known of the database. Raises UsageError that names the field, the type and the
    value.
    """

    def comparable() -> Any:
        if backend is None:
            return _comparable(parse(text, kind, from_json=False), kind)
        value = _parsed(text, kind, backend, from_json=False)
        if isinstance(value, (float, Decimal)) and not backend.stores_infinity:
            require(not Decimal(value).is_infinite(), "the database knows no infinity")
        if isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
            RoundTrip(kind, backend).require_steady(value)
        # A text may have an offset that its column does not know.
        return _comparable(value, kind, offset=not backend.typed_columns)

    return _refusing(text, kind, field, comparable)


def convert_stored(
    value: object,
    kind: TypeEngine[Any],
    field: str,
    backend: Backend,
    *,
    from_json: bool = False,
) -> Any:
    """Return a text, or a value of JSON, as it is stored in a column of this type.

    `from_json` says that the value was read from JSON: a string for a JSON column is then that
    string, and not a JSON text. Raises UsageError for what the column would not give back.
    """

    def stored() -> Any:
        if value is None:
            return _null(kind)
        here = backend.resolve_type(kind)
        return fit(_parsed(value, here, backend, from_json=from_json), here, backend)

    return _refusing(value, kind, field, stored)


def check_document(text: str, kind: TypeEngine[Any], field: str, backend: Backend) -> None:
    """Raise UsageError for the text of a JSON document that a column would not give back.

    Of a large one no value is made as a whole.
    """

    def check() -> None:
        for part in parts_of(text):
            fit(_parsed(part, kind, backend, from_json=True), kind, backend)

    _refusing(text, kind, field, check)


def _parsed(value: object, kind: TypeEngine[Any], backend: Backend, *, from_json: bool) -> Any:
    if isinstance(kind, TypeDecorator):
        refuse_surrogates(value)
        return decorated_value(value, kind, backend, from_json=from_json)
    members = backend.set_members(kind)
    if members is not None:
        return members_of(value, members)
    bits = backend.bits_of(kind)
    if bits is not None:
        number = parse(value, BigInteger(), from_json=from_json)
        require(0 <= number < 2**bits, f"it is not from 0 to {2**bits - 1}")
        return number
    is_time = backend.long_times and isinstance(kind, Time) and isinstance(value, str)
    if is_time and is_long_time(str(value)):
        return value
    return parse(value, kind, from_json=from_json)


def _null(kind: TypeEngine[Any]) -> Any:
    """Return NULL; the null of a JSON column is JSON's, as SQLAlchemy has it."""
    return JSON.NULL if isinstance(kind, JSON) and not kind.none_as_null else None


def _comparable(value: Any, kind: TypeEngine[Any], *, offset: bool = False) -> Any:
    if isinstance(value, (float, Decimal)):
        # A signalling NaN raises when compared.
        require(not Decimal(value).is_nan(), "nothing equals NaN")
    elif isinstance(value, int):
        require(-LARGEST <= value < LARGEST, "it does not fit 64 bits")
    elif isinstance(value, dt.datetime) and not isinstance(kind, TypeDecorator):
        timezone = bool(getattr(kind, "timezone", False))
        return _comparable_instant(value, timezone=timezone, offset=offset)
    return value


def _comparable_instant(value: dt.datetime, *, timezone: bool, offset: bool) -> dt.datetime:
    if offset:  # it is compared by a key of ours
        return value
    if not timezone:
        require(value.tzinfo is None, "it has an offset, the column has no time zone")
        return value
    return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _refusing(value: object, kind: TypeEngine[Any], field: str, make: Callable[[], Any]) -> Any:
    """Return what `make` makes, or raise what is wrong with the value."""
    try:
        return make()
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        reason, hint = (str(error), error.hint) if isinstance(error, Reason) else ("", None)
        raise UsageError(
            f"{field}={_shown(value)} is not a value of type {type(kind).__name__}"
            + (f": {reason}" if reason else ""),
            hint=hint or example_of(kind),
        ) from error


def _shown(value: object) -> str:
    if isinstance(value, str):
        rest = f"… ({len(value)} characters)" if len(value) > SHOWN else ""
        return f"{value[:SHOWN] + rest!r}"
    try:
        text = str(value) if isinstance(value, Decimal) else repr(plain_numbers(value))
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        return f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
