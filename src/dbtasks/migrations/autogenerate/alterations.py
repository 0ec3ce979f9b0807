"""Columns altered: the cast of PostgreSQL, and the CHECK of MariaDB, that Alembic leaves out."""

from io import StringIO

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _render_server_default, render_op
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Identity

from dbtasks.engines.sql.quoting import escape, undoubled
from dbtasks.migrations.autogenerate.reflection import Reflection, backend_of


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


def with_check(context: MigrationContext, operation: ops.MigrateOperation) -> list[str]:
    """Return the code of an alteration with the check in it; nothing where it loses none."""
    if not isinstance(operation, ops.AlterColumnOp):
        return []
    is_own = operation.schema == context.dialect.default_schema_name
    where = (None if is_own else operation.schema, operation.table_name)
    reflection = Reflection(context)
    checks = reflection.column_checks(where) if where in reflection.tables else {}
    quoted = reflection.backend.schema_operations(context.dialect).quoted(*where)
    old, new = operation.column_name, operation.modify_name or operation.column_name
    check = checks.get(old) or checks.get(new)
    if check is None:
        return []
    if old != new:  # its check has the new name then, too
        old, new = map(context.dialect.identifier_preparer.quote, (old, new))
        return [_execute(f"ALTER TABLE {quoted} RENAME COLUMN {old} TO {new}")]
    first, *rest = _statements(context, operation)
    if first.startswith(f"ALTER TABLE {quoted} ALTER COLUMN "):
        return []
    return [_execute(one) for one in (f"{first} CHECK ({check})", *rest)]


def _execute(sql: str) -> str:
    return f"op.execute({escape(sql)!r})"


def _statements(context: MigrationContext, operation: ops.MigrateOperation) -> list[str]:
    """Return what Alembic would send."""
    written = StringIO()
    opts = {"as_sql": True, "output_buffer": written}
    offline = MigrationContext.configure(dialect=context.dialect, opts=opts)
    Operations(offline).invoke(operation)
    sql = undoubled(context.dialect, written.getvalue())
    return sql.strip().removesuffix(";").split(";\n\n")
