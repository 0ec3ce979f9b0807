"""The labels of an enum that a column loses, where the database keeps them with the column."""

from collections.abc import Sequence

from alembic.operations import ops
from sqlalchemy import Enum


def removed_values(operation: ops.AlterColumnOp) -> Sequence[str]:
    """Return the values that a column's enum has no more."""
    old, new = operation.existing_type, operation.modify_type
    if isinstance(old, Enum) and isinstance(new, Enum):
        return [one for one in old.enums if one not in new.enums]
    return ()


def with_both(operation: ops.AlterColumnOp) -> Enum | None:
    """Return an enum with the values that are removed and with those that are new, if both are."""
    old, new = operation.existing_type, operation.modify_type
    if not (removed_values(operation) and isinstance(old, Enum) and isinstance(new, Enum)):
        return None
    more = [one for one in new.enums if one not in old.enums]
    return Enum(*old.enums, *more) if more else None
