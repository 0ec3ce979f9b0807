"""Computed columns that have changed, which no ALTER can: dropped, and added as they are to be."""

from collections.abc import Iterable

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Identity, MetaData, Table

from dbtasks.migrations.making.reflection import Reflection, alike, sql_of, table_op

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with what makes a computed column anew."""
    if not context.dialect.supports_identity_columns:
        for one in operations:
            if isinstance(one, ops.ModifyTableOps):
                one.ops = [each for each in one.ops if not _is_identity(each)]
    for table in tables:
        place = reflection.place(table)
        if place not in reflection.tables:
            continue
        there = reflection.columns(place)
        for column in table.columns:
            old = there.get(column.name)
            if old is None or not _changed(context, old, column):
                continue
            found = table_op(operations, place)
            found.ops = [
                one for one in found.ops if getattr(one, "column_name", None) != column.name
            ]
            found.ops += [
                ops.DropColumnOp.from_column_and_tablename(
                    place[0], place[1], _reflected(reflection, table, column)
                ),
                ops.AddColumnOp.from_column_and_tablename(place[0], place[1], column),
            ]
    return operations


def _is_identity(operation: ops.MigrateOperation) -> bool:
    """Whether all that is altered is the identity, which the database has not."""
    if not isinstance(operation, ops.AlterColumnOp):
        return False
    if isinstance(operation.modify_server_default, Identity):
        operation.modify_server_default = False
    return not operation.has_changes()


def _changed(context: MigrationContext, old: dict[str, object], column: Column[object]) -> bool:
    before, after = old.get("computed"), column.computed
    if before is None and after is None:
        return False
    if before is None or after is None:
        return True
    return not alike(before["sqltext"], sql_of(context, after.sqltext))  # type: ignore[index]


def _reflected(reflection: Reflection, table: Table, column: Column[object]) -> Column[object]:
    place = reflection.place(table)
    old = Table(place[1], MetaData(), schema=place[0], autoload_with=reflection.connection)
    return old.c[column.name]
