"""What tables of SQLite say and SQLAlchemy does not reflect, for the way back to it."""

from collections.abc import Iterable
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from dbtasks.engines.created import CONFLICT, Created
from dbtasks.migrations.making.reflection import Reflection

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations, whose reverse has it too; what is compared is what was reflected."""
    for one in operations:
        if isinstance(one, ops.ModifyTableOps | ops.DropTableOp):
            place = (one.schema, one.table_name)
            if place in reflection.tables:
                _add(reflection.created(place), one)
    return operations


def _add(created: Created, operation: ops.MigrateOperation) -> None:
    if isinstance(operation, ops.ModifyTableOps):
        for one in operation.ops:
            _add(created, one)
    elif isinstance(operation, ops.DropTableOp) and operation._reverse is not None:
        _add_table(created, operation, operation._reverse)
    elif isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
        assert operation.existing_type is not None
        name = operation.column_name
        operation.existing_type = _collated(created, name, operation.existing_type)
    elif isinstance(operation, ops.DropColumnOp) and operation._reverse is not None:
        _add_column(created, operation._reverse.column)
    elif isinstance(operation, ops.DropConstraintOp):
        _add_constraint(created, operation._reverse)


def _add_constraint(created: Created, back: ops.AddConstraintOp | None) -> None:
    if isinstance(back, ops.CreateUniqueConstraintOp):
        conflict = created.conflict(_names(back.columns))
        back.kw.update({CONFLICT: conflict} if conflict else {})
    elif isinstance(back, ops.CreateForeignKeyOp):
        back.kw.update(created.references.get(_names(back.local_cols), {}))


def _add_table(created: Created, operation: ops.DropTableOp, back: ops.CreateTableOp) -> None:
    if created.numbered is not None:
        operation.table_kw["sqlite_autoincrement"] = True
    _add_items(created, back.columns)


def _add_items(created: Created, items: Iterable[Any]) -> None:
    for one in items:
        if isinstance(one, Column):
            _add_column(created, one)
        elif isinstance(one, UniqueConstraint):
            conflict = created.conflict(_names(one.columns.keys()))
            one.dialect_kwargs.update({CONFLICT: conflict} if conflict else {})
        elif isinstance(one, ForeignKeyConstraint):
            for option, value in created.references.get(_names(one.column_keys), {}).items():
                setattr(one, option, value)
        elif isinstance(one, PrimaryKeyConstraint) and created.key and len(one.columns) == 1:
            one.columns[0].dialect_kwargs[f"{CONFLICT}_primary_key"] = created.key


def _names(columns: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(one).lower() for one in columns)


def _add_column(created: Created, column: Column[Any]) -> None:
    column.type = _collated(created, column.name, column.type)
    conflict = created.required.get(column.name.lower())
    if conflict:
        column.dialect_kwargs[f"{CONFLICT}_not_null"] = conflict


def _collated(created: Created, column: str, kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type with the collation of a column."""
    collation = created.collations.get(column.lower())
    if collation is None or not isinstance(kind, String):
        return kind
    found = kind.copy()
    found.collation = collation
    return found
