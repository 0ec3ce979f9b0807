"""Columns altered: what PostgreSQL needs for another type, which Alembic leaves to a person."""

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_server_default, render_op
from alembic.operations import ops
from sqlalchemy import Identity

from dbtasks.migrations.making.reflection import backend_of


def render(rendering: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
    """Return the code of an operation, with the cast that PostgreSQL does not do by itself."""
    context = rendering.migration_context
    if not isinstance(operation, ops.AlterColumnOp) or not backend_of(context).casts_columns:
        return render_op(rendering, operation)
    operation.kw.pop("autoincrement", None)  # for MySQL alone, and Alembic 1.16 warns of it
    lines = render_op(rendering, operation)
    cast = backend_of(context).schema_operations(context.dialect).cast(operation)
    more = f", postgresql_using={cast!r}" if cast else ""
    before = operation.existing_server_default
    if isinstance(before, Identity) and operation.modify_server_default is not False:
        more += f", existing_server_default={_render_server_default(before, rendering)}"
    return [f"{lines[0][:-1]}{more})", *lines[1:]]
