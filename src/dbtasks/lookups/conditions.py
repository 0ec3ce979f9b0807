"""Conditions of the command line: FIELD[__LOOKUP]=VALUE, as in Django."""

import re
from collections.abc import Iterable, Iterator
from shlex import quote
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Integer,
    Interval,
    String,
    TypeDecorator,
    and_,
    or_,
)
from sqlalchemy.types import TypeEngine

from dbtasks.engines import Backend
from dbtasks.engines.base.comparison import ORDER
from dbtasks.engines.base.text_match import is_text, undecorated
from dbtasks.errors import UsageError
from dbtasks.lookups.fields import Field, find_field
from dbtasks.lookups.targets import Target
from dbtasks.models import suggest
from dbtasks.values import convert

Condition = ColumnElement[bool]

TEXT = (
    *("iexact", "contains", "icontains", "startswith", "istartswith"),
    *("endswith", "iendswith", "regex"),
)
LOOKUPS = ("exact", "ne", "in", "range", "isnull", *ORDER, *TEXT)

NEARLY_ALL = ("contains", "startswith", "endswith", "regex", "ne", "gt", "gte")
"""Lookups that nearly every record meets where the value is empty; with an `i` before them too."""

ITEM = re.compile(r'(?:^|,)(?:"((?:[^"]|"")*)"(?=,|\Z)|([^,]*))')


def conditions(
    target: Target, backend: Backend, where: Iterable[str], name: str | None = None
) -> list[Condition]:
    """Return the conditions of `FIELD[__LOOKUP]=VALUE` texts, and of a name's beginning.

    Raises UsageError for a field that is not there, a lookup that it does not have, a value
    of another type, or an empty value that nearly every record would meet.
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
    if "\0" in value and not backend.stores_nul:
        raise UsageError(f"{left}={value!r} has a NUL in it", hint=f"{backend.title} stores none")
    field, lookup = _split(target, left)
    if lookup == "isnull":
        return _is_null(field, _flag(value, left))
    if field.column is None:
        raise UsageError(
            f"{field.name} is a relationship", hint=f"compare a column of it: {field.name}.id"
        )
    compared = _compare(backend, field, lookup, value)  # a value of another type first
    _check_empty(field, lookup, value)
    return _over(field.path, compared)


def _check_empty(field: Field, lookup: str, value: str) -> None:
    """Refuse what a shell makes of a variable that is not set, unless it means the empty text."""
    if lookup in ("in", "range"):
        if any(item == "" and not quoted for item, quoted in _items(value)):
            written = ",".join(_quoted(item) for item, _ in _items(value))
            raise UsageError(
                f"{field.name}__{lookup}={value!r} has an empty item",
                hint="write the empty text in quotes, "
                f"as in {quote(f'{field.name}__{lookup}={written}')}",
            )
    elif not value and lookup.removeprefix("i") in NEARLY_ALL:
        hint = f"leave out __{lookup} to find records with an empty text"
        if lookup in ORDER or lookup == "ne":
            hint = "give it a value, or leave out the condition"
            if field.column is not None and is_text(_plain(field.column)):
                hint = "write __regex=. to find records with a text that is not empty"
        raise UsageError(
            f"{field.name}__{lookup}= has no value, and would find nearly all records", hint=hint
        )


def _flag(text: str, field: str) -> bool:
    """Return what isnull is compared with."""
    value: bool = convert(text, Boolean(), field)
    return value


def _split(target: Target, left: str) -> tuple[Field, str]:
    """Tell the lookup from the field; a field may have __ in its own name."""
    name, mark, lookup = left.rpartition("__")
    try:
        return find_field(target, left), "exact"
    except UsageError as unknown:
        if not mark:
            raise
        if lookup in LOOKUPS:
            return find_field(target, name), lookup
        try:
            field = find_field(target, name)
        except UsageError:
            raise unknown from None
        raise _no_lookup(field, lookup) from None


def _no_lookup(field: Field, lookup: str) -> UsageError:
    hint = suggest(lookup, LOOKUPS)
    if field.column is None:
        hint = f"a path has points: {field.name}.{lookup}"
    return UsageError(f"there is no lookup {lookup!r} (after {field.name})", hint=hint)


def _over(path: tuple[Any, ...], inner: Condition) -> Condition:
    """Ask it of the objects at the end of a path: by EXISTS, so that records do not multiply."""
    for relationship in reversed(path):
        inner = _some(relationship, inner)
    return inner


def _some(relationship: Any, inner: Condition | None = None) -> Condition:
    """Ask whether there is an object, or one that meets a condition."""
    ask = relationship.any if relationship.property.uselist else relationship.has
    found: Condition = ask(inner)
    return found


def _is_null(field: Field, wanted: bool) -> Condition:
    """Ask for NULL at the end of a path, where a path that ends before it is NULL too."""
    path = field.path
    if field.column is None:
        path, there = path[:-1], _some(path[-1])
    else:
        there = field.column.is_not(None)
    if not wanted:
        return _over(path, there)
    missing = ~there
    for relationship in reversed(path):
        missing = or_(~_some(relationship), _some(relationship, missing))
    return missing


def _compare(backend: Backend, field: Field, lookup: str, text: str) -> Condition:
    assert field.column is not None
    column = _plain(backend.as_here(field.column))
    kind = column.type
    if lookup in TEXT:
        if not is_text(column):
            raise UsageError(
                f"{lookup} compares text, and {field.name} is {type(kind).__name__}",
                hint="take exact, ne, gt, gte, lt, lte, in, range or isnull",
            )
        convert_known(backend, text, String(), field.name)  # a part of what the column holds
        return backend.match(column, lookup, text)
    if lookup == "in":
        values = (convert_known(backend, one, kind, field.name) for one in split_list(text))
        return backend.among(column, list(values))
    if lookup == "range":
        return _range(backend, column, text, field.name)
    if lookup in ORDER:
        return _ordered(backend, column, lookup, text, field.name)
    value = convert_known(backend, text, column.type, field.name)
    return (backend.differs if lookup == "ne" else backend.equals)(column, value)


def convert_known(backend: Backend, text: str, kind: TypeEngine[Any], field: str) -> Any:
    """Return the value of a text; what no such column has is refused by some drivers."""
    kind = backend.resolve_type(kind)
    value = convert(text, kind, field, backend)
    if isinstance(kind, Integer):
        smallest, largest = backend.integer_range(kind)
        if not smallest <= value <= largest:
            raise UsageError(
                f"{field}={text!r} is not a value of type {type(kind).__name__}",
                hint=f"it is from {smallest} to {largest}",
            )
    if isinstance(kind, Interval) and not (backend.native_intervals and kind.native):
        try:  # it is a date, so long after 1970
            kind.epoch + value
        except OverflowError as error:
            raise UsageError(
                f"{field}={text!r} is longer than {backend.title} holds",
                hint="counted from 1970 it is in the years 1 to 9999",
            ) from error
    return value


def _range(backend: Backend, column: ColumnElement[Any], text: str, field: str) -> Condition:
    ends = split_list(text)
    if len(ends) != 2:
        raise UsageError(f"{field}__range={text!r} has no two ends", hint="write FROM,TO")
    low, high = ends
    return and_(
        _ordered(backend, column, "gte", low, field), _ordered(backend, column, "lte", high, field)
    )


def _ordered(
    backend: Backend, column: ColumnElement[Any], lookup: str, text: str, field: str
) -> Condition:
    kind = column.type
    if isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
        raise UsageError(
            f"{field} is {type(kind).__name__}, whose order the database does not know",
            hint="take exact, ne, in or isnull",
        )
    values = "documents" if isinstance(kind, JSON) else None
    if backend.set_members(kind) is not None:
        values = "sets"
    if values is not None:
        raise UsageError(
            f"{field} is {type(kind).__name__}, and {values} have no order",
            hint="take exact, ne, in or isnull",
        )
    return backend.compare(column, lookup, convert_known(backend, text, kind, field))


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a text whose type is decorated, and changes nothing, as the text that it is."""
    plain = undecorated(column)
    return plain if is_text(plain) else column


def split_list(text: str) -> list[str]:
    """Split at commas; a value with a comma is written in double quotes, as in CSV."""
    return [item for item, _ in _items(text)]


def _items(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the items of a list, and whether each is in double quotes."""
    for match in ITEM.finditer(text):
        if match[1] is None:
            yield match[2], False
        else:
            yield match[1].replace('""', '"'), True


def _quoted(item: str) -> str:
    """Return an item as it is written in a list."""
    if item and not set(item) & set('",'):
        return item
    return '"' + item.replace('"', '""') + '"'
