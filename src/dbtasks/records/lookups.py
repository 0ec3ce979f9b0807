"""Conditions from the command line, resolved against the mapper: no text reaches the SQL."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import ColumnProperty, Mapper

from dbtasks.engines import Backend
from dbtasks.errors import UsageError
from dbtasks.models import suggest
from dbtasks.records.values import convert


def conditions(
    mapper: Mapper[Any], backend: Backend, where: Iterable[str], name: str | None
) -> list[ColumnElement[bool]]:
    """Return the conditions of `FIELD=VALUE` texts, and of a name's beginning.

    Raises UsageError for a field that the class does not have, or a value of another type.
    """
    found = [_equals(mapper, backend, condition) for condition in where]
    if name is not None:
        column = column_of(mapper, "name")
        convert(name, column.type, "name")
        found.append(backend.starts_with(column, name))
    return found


def column_of(mapper: Mapper[Any], field: str) -> ColumnElement[Any]:
    """Return the column of a mapped attribute."""
    attribute = mapper.attrs.get(field)
    if not isinstance(attribute, ColumnProperty):
        raise UsageError(
            f"{mapper.class_.__name__} has no field {field!r}",
            hint=suggest(field, (one.key for one in mapper.column_attrs)),
        )
    column: ColumnElement[Any] = attribute.class_attribute.expression
    return column


def _equals(mapper: Mapper[Any], backend: Backend, condition: str) -> ColumnElement[bool]:
    field, mark, text = condition.partition("=")
    if not mark or not field:
        raise UsageError(f"--where {condition!r} is no condition", hint="write FIELD=VALUE")
    column = column_of(mapper, field)
    return backend.equals(column, convert(text, column.type, field))
