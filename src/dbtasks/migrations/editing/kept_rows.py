"""The operations by which existing rows keep their values: renames, and columns as first added."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from alembic.operations import ops

from dbtasks.migrations.editing.folded_schema import (
    FoldedColumn,
    FoldedSchema,
    FoldedTable,
    Unfoldable,
)
from dbtasks.schema.operations import RenameColumn


def renames(folded: FoldedSchema) -> list[tuple[ops.MigrateOperation, ops.MigrateOperation]]:
    """Return the operations that rename what existed before the range, each with its reverse.

    Tables come first. Raises Unfoldable for names that are swapped.
    """
    tables = {
        table.origin: table.place
        for table in folded.tables.values()
        if table.origin and table.origin != table.place
    }
    pairs: list[tuple[ops.MigrateOperation, ops.MigrateOperation]] = [
        (
            ops.RenameTableOp(old.table, new.table, schema=old.schema),
            ops.RenameTableOp(new.table, old.table, schema=old.schema),
        )
        for old, new in _free(tables)
    ]
    for table in folded.tables.values():
        columns = {
            column.origin: column.name
            for column in table.columns
            if table.origin and column.origin and column.origin != column.name
        }
        for old, new in _free(columns):
            names = (old, new), (new, old)
            upgrade, reverse = (_rename_column(table, new, *pair) for pair in names)
            pairs.append((upgrade, reverse))
    return pairs


def _free(names: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield renames in an order in which each new name is free."""
    left = dict(names)
    while left:
        ready = [old for old, new in left.items() if new not in left]
        if not ready:
            raise Unfoldable("it swaps names")
        for old in ready:
            yield old, left.pop(old)


def _rename_column(table: FoldedTable, known: str, old: str, new: str) -> ops.MigrateOperation:
    column = table.column(known)
    assert column is not None
    alter = partial(RenameColumn, table.place.table, schema=table.place.schema)
    kept: Any = {
        "existing_type": column.column.type,
        "existing_nullable": column.column.nullable,
        "existing_server_default": column.column.server_default or False,
        "existing_comment": column.column.comment,
    }
    return ops.ModifyTableOps(
        table.place.table, [alter(old, modify_name=new, **kept)], schema=table.place.schema
    )


def added_first(folded: FoldedSchema) -> Sequence[ops.MigrateOperation]:
    """Return what adds columns as the range did, to tables in which some were altered afterwards.

    Existing rows get their values by the column as it is added; the others keep the order.
    """
    operations = []
    for (schema, name), table in folded.tables.items():
        new = [column for column in table.columns if column.origin is None]
        if any(column.added is not None for column in new):
            for column in new:
                first = column.column if column.added is None else column.added
                add = ops.AddColumnOp(name, FoldedColumn(column.name, first).built(), schema=schema)
                operations.append(ops.ModifyTableOps(name, [add], schema=schema))
    return operations
