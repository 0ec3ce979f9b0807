"""Values of SQLite that stay what they are while their column gets another type.

Alembic casts them, and SQLite's CAST makes 2026 of the text 2026-01-02, and 0 of most texts. The
affinity of a column makes numbers of the texts that look like one, and leaves all else
(https://www.sqlite.org/datatype3.html).
"""

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Dialect,
    String,
    Time,
    case,
    cast,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from dbtasks.engines.sqlite.digits import affinity, check_digits, exact_text

A_DAY: ColumnElement[str] = literal_column("'____-__-__'")
"""What a day without a time is like."""

MIDNIGHT: ColumnElement[str] = literal_column("' 00:00:00.000000'")


def converted(
    value: ColumnElement[Any],
    old: TypeEngine[Any],
    new: TypeEngine[Any],
    dialect: Dialect,
    connection: Connection | None,
) -> ColumnElement[Any]:
    """Return a value as it is, but for a day and an instant, and for text and bytes.

    Raises Refused for texts that a number would not give back; without a connection it cannot tell.
    """
    own = [kind._unwrapped_dialect_impl(dialect) for kind in (old, new)]
    if _is_binary(own[0]) is not _is_binary(own[1]):
        return cast(value, new)
    text = _text_of(type_coerce(value, String), *own)
    return _with_digits(value, old, new, dialect, connection) if text is None else text


def _with_digits(
    value: ColumnElement[Any],
    old: TypeEngine[Any],
    new: TypeEngine[Any],
    dialect: Dialect,
    connection: Connection | None,
) -> ColumnElement[Any]:
    """Return a value with all its digits."""
    before, after = (affinity(kind, dialect) for kind in (old, new))
    if before == after:
        return value
    if after == "TEXT":
        return exact_text(type_coerce(value, NullType))
    if after != "BLOB" and isinstance(value, Column) and connection is not None:
        check_digits(connection, value, after)
    return value


def _is_binary(kind: TypeEngine[Any]) -> bool:
    """Whether values are bytes in Python."""
    try:
        is_binary = kind.python_type is bytes
    except NotImplementedError:
        is_binary = False
    return is_binary or (isinstance(kind, TypeDecorator) and _is_binary(kind.impl_instance))


def _text_of(
    value: ColumnElement[str], old: TypeEngine[Any], new: TypeEngine[Any]
) -> ColumnElement[str] | None:
    """Return how SQLAlchemy writes a value of the new type; None for no other than before."""
    if isinstance(new, DateTime):
        return value.concat(case((value.like(A_DAY), MIDNIGHT), else_=literal_column("''")))
    if isinstance(old, DateTime) and isinstance(new, Date):
        return func.substr(value, literal_column("1"), literal_column("10"))
    if isinstance(old, DateTime) and isinstance(new, Time):
        return func.substr(value, literal_column("12"))
    return None
