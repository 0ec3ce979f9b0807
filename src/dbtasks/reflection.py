"""Which tables are dbtasks' own, and how SQLAlchemy's reflection is kept from seeing them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

from sqlalchemy import Connection, Inspector

SCHEMA, PREFIX = "dbtasks", "dbtasks_"

SCHEMAS = ("get_schema_names",)
NAMES = ("get_table_names", "get_view_names", "get_sequence_names")
MULTIPLE = (
    "get_multi_columns",
    "get_multi_pk_constraint",
    "get_multi_foreign_keys",
    "get_multi_unique_constraints",
    "get_multi_check_constraints",
    "get_multi_indexes",
    "get_multi_table_comment",
    "get_multi_table_options",
)
"""The methods of an Inspector that list what nobody named; `has_table` and the like see all."""


def is_ours(name: str | None, schema: str | None = None) -> bool:
    """Whether a table, a sequence, or a schema without a name, belongs to dbtasks."""
    return schema == SCHEMA or (name is not None and name.startswith(PREFIX))


@contextmanager
def hidden(connection: Connection) -> Iterator[None]:
    """Leave our tables out of what SQLAlchemy reflects with the connection's engine in the block.

    No event of SQLAlchemy filters names. A dialect may name an Inspector of its own, though, which
    `inspect()` and `MetaData.reflect()` take (the docstring of `Inspector`).
    """
    dialect: Any = connection.dialect  # its class does not declare the attribute
    before = vars(dialect).get("inspector")
    dialect.inspector = _hiding(getattr(dialect, "inspector", Inspector))
    try:
        yield
    finally:
        if before is None:
            del dialect.inspector
        else:
            dialect.inspector = before


@cache
def _hiding(base: type[Inspector]) -> type[Inspector]:
    """Return a dialect's Inspector without what is ours."""
    methods: dict[str, Any] = {}
    for name in SCHEMAS:
        methods[name] = _without(getattr(base, name), lambda listed, schema: listed != SCHEMA)
    for name in NAMES:
        methods[name] = _without(
            getattr(base, name), lambda listed, schema: not is_ours(listed, schema)
        )
    for name in MULTIPLE:
        methods[name] = _without_keys(getattr(base, name))
    return type(base.__name__, (base,), methods)


def _without(
    method: Callable[..., list[str]], keep: Callable[[str, str | None], bool]
) -> Callable[..., list[str]]:
    @wraps(method)
    def names(inspector: Inspector, schema: str | None = None, **options: Any) -> list[str]:
        given = options if schema is None else {"schema": schema, **options}
        return [name for name in method(inspector, **given) if keep(name, schema)]

    return names


def _without_keys(method: Callable[..., dict[Any, Any]]) -> Callable[..., dict[Any, Any]]:
    @wraps(method)  # Alembic looks up its name in the dialect
    def items(inspector: Inspector, *arguments: Any, **options: Any) -> dict[Any, Any]:
        listed = method(inspector, *arguments, **options)
        return {
            (schema, name): item
            for (schema, name), item in listed.items()
            if not is_ours(name, schema)
        }

    return items
