"""Values from the command line and from files, converted by the type of their column."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines import Backend
from dbtasks.errors import UsageError
from dbtasks.values.limits import fit
from dbtasks.values.reasons import Reason, require
from dbtasks.values.texts import example_of, parse

__all__ = ["convert", "convert_stored"]

LARGEST = 2**63
SHOWN = 60


def convert(text: str, kind: TypeEngine[Any], field: str, *, infinity: bool = True) -> Any:
    """Return the value that a text stands for, to be compared with a column of this type.

    A date and time for a column with a time zone is UTC where it has no offset; `infinity` says
    that the database knows it. Raises UsageError that names the field, the type and the value.
    """

    def comparable() -> Any:
        value = parse(text, kind, from_json=False)
        if isinstance(value, (float, Decimal)) and not infinity:
            require(not Decimal(value).is_infinite(), "the database knows no infinity")
        return _comparable(value, kind)

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
        return fit(parse(value, here, from_json=from_json), here, backend)

    return _refusing(value, kind, field, stored)


def _null(kind: TypeEngine[Any]) -> Any:
    """Return NULL; the null of a JSON column is JSON's, as SQLAlchemy has it."""
    return JSON.NULL if isinstance(kind, JSON) and not kind.none_as_null else None


def _comparable(value: Any, kind: TypeEngine[Any]) -> Any:
    if isinstance(value, (float, Decimal)):
        # A signalling NaN raises when compared.
        require(not Decimal(value).is_nan(), "nothing equals NaN")
    elif isinstance(value, int):
        require(-LARGEST <= value < LARGEST, "it does not fit 64 bits")
    elif isinstance(value, dt.datetime) and not isinstance(kind, TypeDecorator):
        return _comparable_instant(value, bool(getattr(kind, "timezone", False)))
    return value


def _comparable_instant(value: dt.datetime, timezone: bool) -> dt.datetime:
    if not timezone:
        require(value.tzinfo is None, "it has an offset, the column has no time zone")
        return value
    return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _refusing(value: object, kind: TypeEngine[Any], field: str, make: Callable[[], Any]) -> Any:
    """Return what `make` makes, or raise what is wrong with the value."""
    try:
        return make()
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        reason = str(error) if isinstance(error, Reason) else ""
        raise UsageError(
            f"{field}={_shown(value)} is not a value of type {type(kind).__name__}"
            + (f": {reason}" if reason else ""),
            hint=example_of(kind),
        ) from error


def _shown(value: object) -> str:
    if isinstance(value, str):
        rest = f"… ({len(value)} characters)" if len(value) > SHOWN else ""
        return f"{value[:SHOWN] + rest!r}"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        return f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
