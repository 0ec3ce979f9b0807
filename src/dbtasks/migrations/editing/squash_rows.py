"""The rows that a range leaves in an empty database, as the code of bulk inserts."""

import datetime
import enum
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Connection, Enum, Interval, MetaData, Table, column, select, table
from sqlalchemy.schema import sort_tables_and_constraints
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.migrations.autogenerate.code import Needs, laid_out
from dbtasks.migrations.autogenerate.rendering import render_type
from dbtasks.migrations.editing.folded_schema import Unfoldable
from dbtasks.migrations.history.source_edit import Code

Row = Mapping[str, Any]

MODULES = ("datetime", "decimal", "uuid")
"""Those whose values are written by their repr."""


def read_rows(connection: Connection, metadata: MetaData) -> Sequence[tuple[Table, list[Row]]]:
    """Return the rows of tables, those that others refer to first."""
    stored = []
    for known in metadata.sorted_tables:
        columns = [item for item in known.columns if item.computed is None]
        plain = table(
            known.name,
            *(column(item.name, plain_type(item.type)) for item in columns),
            schema=known.schema,
        )
        keys = [plain.c[item.name] for item in known.primary_key if item.name in plain.c]
        if columns:
            documents = [item for item in plain.c if isinstance(item.type, JSON)]
            absent = [item.is_(None).label(f"{item.name} is absent") for item in documents]
            rows = connection.execute(select(plain, *absent).order_by(*keys)).mappings()
            values = [_values(dict(row), [item.name for item in documents]) for row in rows]
            stored.append((known, values))
    return [(known, rows) for known, rows in stored if rows]


def _values(row: dict[str, Any], documents: Sequence[str]) -> Row:
    """Return a row in which the null of JSON, which is None as that of SQL is, is JSON.NULL."""
    for name in documents:
        if not row.pop(f"{name} is absent") and row[name] is None:
            row[name] = JSON.NULL
    return row


def plain_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of what a driver gives, without the project's own conversion.

    Interval is SQLAlchemy's, and has a native type on some databases only.
    """
    if isinstance(type_, TypeDecorator) and type(type_) is not Interval:
        return plain_type(type_.impl_instance)
    if isinstance(type_, Enum) and type_.enum_class is not None:
        return Enum(*type_.enums, name=type_.name)
    return type_


def _parents_first(known: Table, rows: list[Row]) -> list[Row]:
    """Return rows after those of the same table that they refer to."""
    pairs = [
        (element.parent.name, element.column.name)
        for key in known.foreign_key_constraints
        if key.referred_table is known
        for element in key.elements
    ]
    if not pairs:
        return rows
    ordered: list[Row] = []
    left = rows
    while left:
        waiting = {(new, row[new]) for row in left for _, new in pairs}
        ready: dict[bool, list[Row]] = {True: [], False: []}
        for row in left:
            waits = any((new, row[old]) in waiting and row[old] != row[new] for old, new in pairs)
            ready[not waits].append(row)
        if not ready[True]:
            raise Unfoldable(f"rows of {known.name} refer to one another in a circle")
        ordered += ready[True]
        left = ready[False]
    return ordered


def _check_order(rows: Sequence[tuple[Table, list[Row]]]) -> None:
    """Raise Unfoldable where rows of several tables refer to one another in a circle."""
    stored = dict(rows)
    [*_, (_, circular)] = sort_tables_and_constraints(stored)  # type: ignore[no-untyped-call]  # it has no types
    for key in circular:
        names = [column.name for column in key.columns]
        if any(row.get(name) is not None for row in stored[key.table] for name in names):
            raise Unfoldable(
                f"rows of {key.table.name} and {key.referred_table.name} refer to one another in "
                "a circle"
            )


def _unnumbered(known: Table, rows: list[Row]) -> list[Row]:
    """Return rows without the numbers that only the database may give (GENERATED ALWAYS)."""
    for name, identity in [(item.name, item.identity) for item in known.columns]:
        if identity is not None and identity.always:
            start, step = identity.start or 1, identity.increment or 1
            if [row[name] for row in rows] != [start + step * n for n in range(len(rows))]:
                raise Unfoldable(
                    f"{known.name}.{name} is GENERATED ALWAYS, and new rows would get other numbers"
                )
            rows = [{key: row[key] for key in row if key != name} for row in rows]
    return rows


def render_rows(context: MigrationContext, rows: Sequence[tuple[Table, list[Row]]]) -> Code:
    """Return the code that inserts rows. Raises Unfoldable where none does, or for a value."""
    _check_order(rows)
    needs = Needs()
    lines = []
    for known, stored in rows:
        values = _unnumbered(known, _parents_first(known, stored))
        for names, group in groupby(values, partial(_given, known)):
            columns = ", ".join(
                f"sa.column({name!r}, "
                f"{render_type(context, plain_type(known.c[name].type), needs)})"
                for name in names
            )
            schema = f", schema={known.schema!r}" if known.schema else ""
            written = ", ".join(_dictionary(known, row, names, needs) for row in group)
            lines.append(
                f"op.bulk_insert(sa.table({known.name!r}, {columns}{schema}), [{written}])"
            )
    return Code(laid_out("\n".join(lines)), frozenset(needs.imports), frozenset(needs.notes))


def _given(known: Table, row: Row) -> tuple[str, ...]:
    """Return the columns that get a value: None would be the null of JSON, not that of SQL."""
    return tuple(
        name
        for name, value in row.items()
        if value is not None or not isinstance(plain_type(known.c[name].type), JSON)
    )


def _dictionary(known: Table, row: Row, names: Sequence[str], needs: Needs) -> str:
    pairs = (f"{name!r}: {_literal(row[name], known, needs)}" for name in names)
    return f"{{{', '.join(pairs)}}}"


def _literal(value: Any, known: Table, needs: Needs) -> str:
    if value is JSON.NULL:  # an int, too
        return "sa.JSON.NULL"
    match value:
        case enum.Enum():
            return repr(value.name)
        case float() if value - value != 0:
            return f"float({str(value)!r})"
        case None | bool() | int() | float() | str() | bytes():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(_literal(item, known, needs) for item in value)}]"
        case dict():
            return _dictionary(known, value, [*value], needs)
    return _imported(value, known, needs)


def _imported(value: Any, known: Table, needs: Needs) -> str:
    """Return the code of a value whose class is imported."""
    module = type(value).__module__
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC)
    if module not in MODULES:
        name = type(value).__name__
        raise Unfoldable(f"{known.name} has a {name}, which cannot be written as code")
    needs.imports.add(f"import {module}")
    code = repr(value)
    return code if module == "datetime" else f"{module}.{code}"
