"""The order of what changes tables: right forth, and, turned round, right on the way back."""

from collections.abc import Sequence

from alembic.operations import ops

Operation = ops.MigrateOperation

FIRST, DROPS, NEW, MIDDLE, MADE, LAST, GONE = range(7)
"""What drops a foreign key, and then an index or another constraint; adds a column, and alters one;
makes an index or a constraint, and then a foreign key; drops a column.

Each step is the reverse of one at the other end.
"""


def ordered(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations on a table, with no column gone that an index still has, or not yet.

    A column that is dropped, and added as another, stays between the two.
    """
    anew = _dropped(operations) & {
        str(part.column.name) for part in operations if isinstance(part, ops.AddColumnOp)
    }
    return sorted(operations, key=lambda part: _step(part, anew))


def keys_outermost(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations with foreign keys dropped before all else, and made after it.

    Other tables have what they refer to, a column or what is unique.
    """
    parts: dict[int, list[Operation]] = {FIRST: [], MIDDLE: [], LAST: []}
    for operation in operations:
        if not isinstance(operation, ops.ModifyTableOps):
            parts[MIDDLE].append(operation)
            continue
        for place, collected in parts.items():
            own = [part for part in operation.ops if _place(part) == place]
            if own:
                name, schema = operation.table_name, operation.schema
                collected.append(ops.ModifyTableOps(name, own, schema=schema))
    return [operation for collected in parts.values() for operation in collected]


def _place(operation: Operation) -> int:
    step = _step(operation, set())
    return step if step in (FIRST, LAST) else MIDDLE


def _dropped(operations: Sequence[Operation]) -> set[str]:
    return {part.column_name for part in operations if isinstance(part, ops.DropColumnOp)}


def _step(operation: Operation, anew: set[str]) -> int:
    match operation:
        case ops.DropConstraintOp(constraint_type="foreignkey"):
            return FIRST
        case ops.DropConstraintOp() | ops.DropIndexOp():
            return DROPS
        case ops.AddColumnOp(column=column):
            return MIDDLE if column.name in anew else NEW
        case ops.CreateForeignKeyOp():
            return LAST
        case ops.AddConstraintOp() | ops.CreateIndexOp():
            return MADE
        case ops.DropColumnOp(column_name=name):
            return MIDDLE if name in anew else GONE
    return MIDDLE
