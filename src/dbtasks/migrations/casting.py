"""Values of SQLite that stay what they are while their table is made anew with another type.

Alembic casts them, and SQLite's CAST makes 2026 of the text 2026-01-02, and 0 of most texts. The
affinity of a column makes numbers of the texts that look like one, and leaves all else
(https://www.sqlite.org/datatype3.html).
"""

from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    DateTime,
    String,
    Time,
    case,
    cast,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from dbtasks.migrations.digits import affinity, check_digits, exact_text
from dbtasks.values.texts import python_type

A_DAY: ColumnElement[str] = literal_column("'____-__-__'")
"""What a day without a time is like."""

MIDNIGHT: ColumnElement[str] = literal_column("' 00:00:00.000000'")


class KeepingSQLite(SQLiteImpl):
    """Take the place of Alembic's own for SQLite."""

    __dialect__ = "sqlite"

    def cast_for_batch_migrate(
        self,
        existing: Column[Any],
        existing_transfer: dict[str, Any],
        new_type: TypeEngine[Any],
    ) -> None:
        """Copy a value as it is, but for a day and an instant, and for text and bytes."""
        value = existing_transfer["expr"]
        old, new = (one._unwrapped_dialect_impl(self.dialect) for one in (existing.type, new_type))
        if (python_type(old) is bytes) is not (python_type(new) is bytes):
            existing_transfer["expr"] = cast(value, new_type)
        elif (text := _text_of(type_coerce(value, String), old, new)) is not None:
            existing_transfer["expr"] = text
        else:
            existing_transfer["expr"] = self._with_digits(value, existing.type, new_type)

    def _with_digits(
        self, value: ColumnElement[Any], old: TypeEngine[Any], new: TypeEngine[Any]
    ) -> ColumnElement[Any]:
        """Return a value with all its digits. Raises Refused where it cannot have them."""
        before, after = (affinity(one, self.dialect) for one in (old, new))
        if before == after:
            return value
        if after == "TEXT":
            return exact_text(type_coerce(value, NullType))
        if after != "BLOB" and isinstance(value, Column) and self.connection is not None:
            check_digits(self.connection, value, after)
        return value


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
