"""Foreign keys of MySQL that are off meanwhile: where an index they need, or a type, changes."""

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column

from dbtasks.engines.sql.lexer import STANDARD
from dbtasks.migrations.autogenerate.comparing import Operation, single
from dbtasks.migrations.autogenerate.reflection import Place, Reflection, backend_of

Key = tuple[Place, str]
"""A foreign key by its table and its name."""


def around_drops(context: MigrationContext, operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations, with foreign keys taken off and put on where they need an index."""
    if not backend_of(context).keys_need_indexes:
        yield from operations
        return
    reflection = Reflection(context)
    away = _away(operations)
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            keys = _Keys(reflection, one, away)
            parts = [part for each in one.ops for part in keys.around(each)]
            one = ops.ModifyTableOps(one.table_name, parts, schema=one.schema)
        else:
            _follow(one, away)
        yield one


class _Keys:
    """Know the foreign keys of a table, those that are away, and the indexes that serve them."""

    def __init__(self, reflection: Reflection, table: ops.ModifyTableOps, away: set[Key]) -> None:
        self.away = away
        self.inspector: Any = reflection.inspector
        self.name, self.schema = table.table_name, table.schema
        changed = {_name(one) for one in table.ops}
        self.keys: list[Any] = []
        self.indexes: list[list[str | None]] = []
        there = (self.schema, self.name) in reflection.tables
        if there and any(map(_columns, table.ops)):
            self.keys = self.inspector.get_foreign_keys(self.name, schema=self.schema)
            # The server has made one of a key's name where there was no other.
            changed |= {one["name"] for one in self.keys}
            known = self.inspector.get_indexes(self.name, schema=self.schema)
            self.indexes = [one["column_names"] for one in known if one["name"] not in changed]

    def around(self, operation: Operation) -> Iterator[Operation]:
        _follow(operation, self.away)
        columns, place = _columns(operation), (self.schema, self.name)
        there = [one for one in self.keys if (place, one["name"]) not in self.away]
        needing = [one for one in there if self._is_needed(columns, one["constrained_columns"])]
        yield from (drop_key(place, one) for one in needing)
        yield operation
        yield from (make_key(place, one) for one in needing)

    def _is_needed(self, columns: list[str], key: list[str]) -> bool:
        first = len(key)
        others = any(one[:first] == key for one in self.indexes)
        return columns[:first] == key and not others


def drop_key(place: Place, key: Any) -> Operation:
    """Return what drops a foreign key of a table, as the inspector tells it."""
    return ops.DropConstraintOp(key["name"], place[1], type_="foreignkey", schema=place[0])


def make_key(place: Place, key: Any) -> Operation:
    """Return what makes it again."""
    return ops.CreateForeignKeyOp(
        *(key["name"], place[1], key["referred_table"]),
        *(key["constrained_columns"], key["referred_columns"]),
        source_schema=place[0],
        referent_schema=key["referred_schema"],
        **key["options"],
    )


def _away(operations: Sequence[Operation]) -> set[Key]:
    """Return the foreign keys that operations make, and that are away until then.

    A database on which they were tried has these already.
    """
    first: dict[Key, Operation] = {}
    for one in single(operations):
        if key := _key(one):
            first.setdefault(key, one)
    return {key for key, one in first.items() if isinstance(one, ops.CreateForeignKeyOp)}


def _follow(operation: Operation, away: set[Key]) -> None:
    """Note that a foreign key goes, or comes, be it with other operations than its index."""
    if key := _key(operation):
        made = isinstance(operation, ops.CreateForeignKeyOp)
        (away.discard if made else away.add)(key)


def _key(operation: Operation) -> Key | None:
    """Return the foreign key that is dropped or made."""
    match operation:
        case ops.DropConstraintOp(constraint_type="foreignkey"):
            return (operation.schema, operation.table_name), str(operation.constraint_name)
        case ops.CreateForeignKeyOp():
            schema = operation.kw.get("source_schema")
            return (schema, operation.source_table), str(operation.constraint_name)
    return None


def _name(operation: Operation) -> str | None:
    name = getattr(operation, "index_name", None) or getattr(operation, "constraint_name", None)
    return str(name) if name else None


def _columns(operation: Operation) -> list[str]:
    """Return the columns of an index, or of a unique constraint, that is dropped."""
    if isinstance(operation, ops.DropIndexOp):
        return [_column(one) for one in operation.to_index().expressions]
    if isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "unique":
        constraint: Any = operation.to_constraint()
        return [one.name for one in constraint.columns]
    return []


def _column(part: Any) -> str:
    """Return the column of a part of an index, which may have a length or an order."""
    if isinstance(part, Column):
        return part.name
    tokens = STANDARD.code(str(part))
    return tokens[0].value if tokens else ""


def around_types(context: MigrationContext, operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations; from the first other type to the last, foreign keys are off.

    Both columns of a key have to have the same type whenever it is there.
    """
    numbers = [number for number, one in enumerate(operations) if {*_retyped([one])}]
    if not numbers or not backend_of(context).keys_hold_types:
        yield from operations
        return
    keys = [*_keys_of_types(Reflection(context), operations)]
    first, last = numbers[0], numbers[-1] + 1
    yield from operations[:first]
    yield from (drop_key(place, one) for place, one in keys)
    yield from operations[first:last]
    yield from (make_key(place, one) for place, one in keys)
    yield from operations[last:]


def _keys_of_types(
    reflection: Reflection, operations: Sequence[Operation]
) -> Iterator[tuple[Place, Any]]:
    """Yield the foreign keys, each with its table, that stay and are about such a column."""
    retyped = {*_retyped(operations)}
    changed = {*_keys_changed(operations)}
    for place in sorted(reflection.tables, key=str):
        for one in reflection.inspector.get_foreign_keys(place[1], schema=place[0]):
            columns = {(place, name) for name in one["constrained_columns"]}
            referred = (one["referred_schema"], one["referred_table"])
            columns |= {(referred, name) for name in one["referred_columns"]}
            known = {(place, one["name"]), (place, *one["constrained_columns"])}
            if columns & retyped and not known & changed:
                yield place, one


def _retyped(operations: Sequence[Operation]) -> Iterator[tuple[Place, str]]:
    """Yield the columns that get another type."""
    for one in single(operations):
        if isinstance(one, ops.AlterColumnOp) and one.modify_type is not None:
            yield (one.schema, one.table_name), one.modify_name or one.column_name


def _keys_changed(operations: Sequence[Operation]) -> Iterator[tuple[Any, ...]]:
    """Yield the foreign keys that have their own operation, by their names or their columns."""
    for one in single(operations):
        if isinstance(one, ops.DropConstraintOp):
            yield (one.schema, one.table_name), one.constraint_name
        elif isinstance(one, ops.CreateForeignKeyOp):
            yield (one.kw.get("source_schema"), one.source_table), *one.local_cols
