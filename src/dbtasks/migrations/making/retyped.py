"""Columns that get another type, as on MySQL: the foreign keys about them are off meanwhile."""

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from dbtasks.migrations.making.comparing import Operation, single
from dbtasks.migrations.making.keyed import drop_key, make_key
from dbtasks.migrations.making.reflection import Place, Reflection, backend_of

Column = tuple[Place, str]


def around_types(context: MigrationContext, operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations; from the first other type to the last, foreign keys are off.

    Both columns of a key have to have the same type whenever it is there.
    """
    numbers = [number for number, one in enumerate(operations) if {*_retyped([one])}]
    if not numbers or not backend_of(context).keys_hold_types:
        yield from operations
        return
    keys = [*_keys(Reflection(context), operations)]
    first, last = numbers[0], numbers[-1] + 1
    yield from operations[:first]
    yield from (drop_key(place, one) for place, one in keys)
    yield from operations[first:last]
    yield from (make_key(place, one) for place, one in keys)
    yield from operations[last:]


def _keys(reflection: Reflection, operations: Sequence[Operation]) -> Iterator[tuple[Place, Any]]:
    """Yield the foreign keys, each with its table, that stay and are about such a column."""
    retyped = {*_retyped(operations)}
    changed = {*_changed(operations)}
    for place in sorted(reflection.tables, key=str):
        for one in reflection.inspector.get_foreign_keys(place[1], schema=place[0]):
            columns = {(place, name) for name in one["constrained_columns"]}
            referred = (one["referred_schema"], one["referred_table"])
            columns |= {(referred, name) for name in one["referred_columns"]}
            known = {(place, one["name"]), (place, *one["constrained_columns"])}
            if columns & retyped and not known & changed:
                yield place, one


def _retyped(operations: Sequence[Operation]) -> Iterator[Column]:
    """Yield the columns that get another type."""
    for one in single(operations):
        if isinstance(one, ops.AlterColumnOp) and one.modify_type is not None:
            yield (one.schema, one.table_name), one.modify_name or one.column_name


def _changed(operations: Sequence[Operation]) -> Iterator[tuple[Any, ...]]:
    """Yield the foreign keys that have their own operation, by their names or their columns."""
    for one in single(operations):
        if isinstance(one, ops.DropConstraintOp):
            yield (one.schema, one.table_name), one.constraint_name
        elif isinstance(one, ops.CreateForeignKeyOp):
            yield (one.kw.get("source_schema"), one.source_table), *one.local_cols
