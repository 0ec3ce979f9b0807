"""What the text lookups mean on every database: their patterns, and one case for all."""

import re
from typing import Any

from sqlalchemy import ColumnElement, Enum, String, TypeDecorator, type_coerce

ESCAPE = "/"  # not the backslash, which MySQL takes for an escape of its own

SHAPES = {"exact": "{}", "contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}


def is_text(column: ColumnElement[object]) -> bool:
    """Whether a column holds text as it is, not an enum's or a decorated type's."""
    return isinstance(column.type, String) and not isinstance(column.type, Enum)


def undecorated(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as its plain type, where a TypeDecorator changes no value on its way in.

    SQLModel's strings are such.
    """
    kind = column.type
    own = type(kind).process_bind_param if isinstance(kind, TypeDecorator) else None
    if own is not TypeDecorator.process_bind_param:
        return column
    return type_coerce(column, kind.impl_instance)  # type: ignore[attr-defined]  # it is a TypeDecorator


def ignores_case(lookup: str) -> bool:
    """Whether upper and lower case are the same for a lookup."""
    return lookup.startswith("i")


def like_pattern(lookup: str, text: str) -> str:
    """Return what LIKE compares with, for a lookup with or without its `i`."""
    return SHAPES[lookup.removeprefix("i")].format(escape_like(text))


def escape_like(text: str) -> str:
    """Return a text in which the wildcards of LIKE stand for themselves."""
    return re.sub("[/%_]", r"/\g<0>", text)
