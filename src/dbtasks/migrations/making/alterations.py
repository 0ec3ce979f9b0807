"""Columns altered: what PostgreSQL needs for another type, which Alembic leaves to a person."""

from collections.abc import Iterable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_server_default, render_op
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import DefaultClause, Identity, Table

from dbtasks.migrations.making import serials
from dbtasks.migrations.making.reflection import Reflection, backend_of
from dbtasks.migrations.making.uses import enum_of

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with defaults taken off while the type is another kind's."""
    if not reflection.backend.casts_columns:
        return operations
    models = {reflection.place(one): one for one in tables}
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            table = models.get((one.schema, one.table_name))
            if table is None:  # it is dropped, and its indexes before it
                continue
            one.ops = [
                part
                for each in one.ops
                for part in serials.around(reflection, each, _parts(context, table, each))
            ]
    return operations


def render(rendering: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
    """Return the code of an operation, with the cast that PostgreSQL does not do by itself."""
    context = rendering.migration_context
    if not isinstance(operation, ops.AlterColumnOp) or not backend_of(context).casts_columns:
        return render_op(rendering, operation)
    operation.kw.pop("autoincrement", None)  # for MySQL alone, and Alembic 1.16 warns of it
    lines = render_op(rendering, operation)
    more = ""
    if _is_cast(context, operation):
        more += f", postgresql_using={_cast(context, operation)!r}"
    before = operation.existing_server_default
    if isinstance(before, Identity) and operation.modify_server_default is not False:
        more += f", existing_server_default={_render_server_default(before, rendering)}"
    return [f"{lines[0][:-1]}{more})", *lines[1:]]


def _parts(context: MigrationContext, table: Table, operation: ops.MigrateOperation) -> Operations:
    """Return the steps of an alteration: the default off, another type, the default on."""
    if not isinstance(operation, ops.AlterColumnOp) or not _is_cast(context, operation):
        return [operation]
    before, after = operation.existing_server_default, operation.modify_server_default
    if after is False:
        after = table.c[operation.column_name].server_default
    if not any(isinstance(one, DefaultClause) for one in (before, after)):
        return [operation]
    off, on = _default(operation, before, None), _default(operation, None, after)
    on.existing_type = operation.modify_type
    operation.existing_server_default = None
    operation.modify_server_default = False
    return [*([off] if before else []), operation, *([on] if after else [])]


def _default(operation: ops.AlterColumnOp, before: Any, after: Any) -> ops.AlterColumnOp:
    """Return what gives a column another default; None is none, also on the way back."""
    return ops.AlterColumnOp(
        operation.table_name,
        operation.column_name,
        schema=operation.schema,
        existing_type=operation.existing_type,
        existing_server_default=before,
        modify_server_default=after,
    )


def _is_cast(context: MigrationContext, operation: ops.AlterColumnOp) -> bool:
    old, new = operation.existing_type, operation.modify_type
    if old is None or new is None:
        return False
    enums = enum_of(old, context.dialect), enum_of(new, context.dialect)
    return any(enums) or old._type_affinity is not new._type_affinity


def _cast(context: MigrationContext, operation: ops.AlterColumnOp) -> str:
    old, new = operation.existing_type, operation.modify_type
    assert new is not None
    column = context.dialect.identifier_preparer.quote(operation.column_name)
    kind = new.dialect_impl(context.dialect).compile(dialect=context.dialect)
    by_text = enum_of(old, context.dialect) or enum_of(new, context.dialect)
    return f"{column}::text::{kind}" if by_text else f"{column}::{kind}"
