"""Conditions of the command line: FIELD[__LOOKUP]=VALUE, as in Django."""

import csv
from collections.abc import Callable, Iterable
from operator import ge, gt, le, lt
from typing import Any

from sqlalchemy import Boolean, ColumnElement, and_, or_

from dbtasks.engines import Backend
from dbtasks.engines.matching import is_text, undecorated
from dbtasks.errors import UsageError
from dbtasks.models import suggest
from dbtasks.records.fields import Field, find_field
from dbtasks.records.targets import Target
from dbtasks.records.values import convert

Condition = ColumnElement[bool]

TEXT = (
    *("iexact", "contains", "icontains", "startswith", "istartswith"),
    *("endswith", "iendswith", "regex"),
)
ORDER: dict[str, Callable[[Any, Any], Any]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
LOOKUPS = ("exact", "ne", "in", "range", "isnull", *ORDER, *TEXT)


def conditions(
    target: Target, backend: Backend, where: Iterable[str], name: str | None = None
) -> list[Condition]:
    """Return the conditions of `FIELD[__LOOKUP]=VALUE` texts, and of a name's beginning.

    Raises UsageError for a field that is not there, a lookup that it does not have, or a value
    of another type.
    """
    texts = list(where)
    if name is not None:
        texts.append(f"name__startswith={name}")
    return [condition(target, backend, text) for text in texts]


def condition(target: Target, backend: Backend, text: str) -> Condition:
    """Return the condition of one `FIELD[__LOOKUP]=VALUE`."""
    left, mark, value = text.partition("=")
    if not mark or not left:
        raise UsageError(
            f"--where {text!r} is no condition", hint="write FIELD=VALUE, or FIELD__LOOKUP=VALUE"
        )
    field, lookup = _split(target, left)
    if lookup == "isnull":
        return _is_null(field, _flag(value, left))
    if field.column is None:
        raise UsageError(
            f"{field.name} is a relationship", hint=f"compare a column of it: {field.name}.id"
        )
    return _over(field.path, _compare(backend, field, lookup, value))


def _flag(text: str, field: str) -> bool:
    """Return what isnull is compared with."""
    value: bool = convert(text, Boolean(), field)
    return value


def _split(target: Target, left: str) -> tuple[Field, str]:
    """Tell the lookup from the field; a field may have __ in its own name."""
    name, mark, lookup = left.rpartition("__")
    if mark and lookup in LOOKUPS and lookup not in target.columns and left not in target.columns:
        return find_field(target, name), lookup
    try:
        return find_field(target, left), "exact"
    except UsageError:
        if mark and name in target.columns:
            raise UsageError(
                f"there is no lookup {lookup!r}", hint=suggest(lookup, LOOKUPS)
            ) from None
        raise


def _over(path: tuple[Any, ...], inner: Condition) -> Condition:
    """Ask it of the objects at the end of a path: by EXISTS, so that records do not multiply."""
    for relationship in reversed(path):
        inner = (
            relationship.any(inner) if relationship.property.uselist else relationship.has(inner)
        )
    return inner


def _is_null(field: Field, wanted: bool) -> Condition:
    if field.column is None:
        *path, last = field.path
        there = last.any() if last.property.uselist else last.has()
        return _over(tuple(path), ~there if wanted else there)
    column = field.column
    return _over(field.path, column.is_(None) if wanted else column.is_not(None))


def _compare(backend: Backend, field: Field, lookup: str, text: str) -> Condition:
    assert field.column is not None
    column = undecorated(field.column)
    kind = column.type
    if lookup in TEXT:
        if not is_text(column):
            raise UsageError(
                f"{lookup} compares text, and {field.name} is {type(kind).__name__}",
                hint="take exact, ne, gt, gte, lt, lte, in, range or isnull",
            )
        convert(text, kind, field.name)
        return backend.match(column, lookup, text)
    if lookup == "in":
        return or_(*(_equals(backend, column, one, field.name) for one in split_list(text)))
    if lookup == "range":
        return _range(column, text, field.name)
    if lookup in ORDER:
        found: Condition = ORDER[lookup](column, convert(text, kind, field.name))
        return found
    equal = _equals(backend, column, text, field.name)
    return ~equal if lookup == "ne" else equal


def _equals(backend: Backend, column: ColumnElement[Any], text: str, field: str) -> Condition:
    return backend.equals(column, convert(text, column.type, field))


def _range(column: ColumnElement[Any], text: str, field: str) -> Condition:
    ends = split_list(text)
    if len(ends) != 2:
        raise UsageError(f"{field}__range={text!r} has no two ends", hint="write FROM,TO")
    low, high = (convert(one, column.type, field) for one in ends)
    return and_(column >= low, column <= high)


def split_list(text: str) -> list[str]:
    """Split at commas; a value with a comma is written in double quotes, as in CSV."""
    return next(csv.reader([text]), [""])
