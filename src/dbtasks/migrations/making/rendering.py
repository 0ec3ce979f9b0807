"""The Python of operations, as it stands in a revision, and what runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op, renderers
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Constraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from dbtasks.migrations.making.comparing import Operation
from dbtasks.migrations.making.layout import lay_out

PLAIN = (ops.CreateIndexOp, ops.DropIndexOp, ops.CreateTableCommentOp, ops.DropTableCommentOp)
"""What changes a table without making it anew, also where ALTER can do little else."""

CONVENTION = {
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
}
"""How constraints without a name are called while their table is made anew."""

KINDS: Mapping[type[Constraint], str] = {
    ForeignKeyConstraint: "fk",
    UniqueConstraint: "uq",
    PrimaryKeyConstraint: "pk",
    CheckConstraint: "ck",
}


@dataclass(frozen=True)
class Code:
    """Hold statements as they stand in a function, and the imports that they need."""

    text: str
    imports: frozenset[str] = frozenset()


@renderers.dispatch_for(ops.RenameTableOp)
def _rename_table(context: AutogenContext, operation: ops.RenameTableOp) -> str:
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    return f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r}{schema})"


def render(context: MigrationContext, operations: Sequence[Operation], *, batch: bool) -> Code:
    """Return the code of operations; with `batch` tables are made anew where they have to be."""
    lines: list[str] = []
    imports: set[str] = set()
    for one in operations:
        unnamed = name_constraints(one)
        anew = batch and isinstance(one, ops.ModifyTableOps) and not is_plain(one)
        rendering = AutogenContext(context, opts={**context.opts, "render_as_batch": anew})
        rendering.imports = imports
        found = render_op(rendering, one)
        if anew:  # what follows is within it, and Alembic leaves that to its printer
            head = found[0].replace(", schema=None", "")
            head = _with_convention(head) if unnamed else head
            found = [head, *(f"    {line}" for line in found[1:] if line)]
        lines += found
    return Code(lay_out("\n".join(lines)), frozenset(imports))


def is_plain(operation: ops.ModifyTableOps) -> bool:
    """Whether a table can be changed without being made anew."""
    return all(isinstance(one, PLAIN) or _is_plain_column(one) for one in operation.ops)


def name_constraints(operation: Operation) -> bool:
    """Name the constraints that are made or dropped; return whether some had no name there."""
    found = False
    for one in operation.ops if isinstance(operation, ops.ModifyTableOps) else ():
        if isinstance(one, (ops.AddConstraintOp, ops.DropConstraintOp)) and (
            getattr(one, "constraint_name", "") is None
        ):
            found |= isinstance(one, ops.DropConstraintOp)
            one.constraint_name = _name_of(one)  # type: ignore[union-attr]
    return found


def _name_of(operation: ops.AddConstraintOp | ops.DropConstraintOp) -> str:
    constraint = operation.to_constraint()
    columns = "_".join(one.name for one in getattr(constraint, "columns", ()))
    kind = next(short for known, short in KINDS.items() if isinstance(constraint, known))
    return f"{kind}_{constraint.table.name}_{columns}"


def _is_plain_column(operation: Operation) -> bool:
    """Whether a column is added that old rows can have, or one is only renamed."""
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        return bool(column.nullable) or column.server_default is not None
    return (
        isinstance(operation, ops.AlterColumnOp)
        and operation.modify_name is not None
        and operation.modify_nullable is None
        and operation.modify_type is None
        and operation.modify_server_default is False
        and operation.modify_comment is False
    )


def _with_convention(line: str) -> str:
    return line.replace(") as batch_op:", f", naming_convention={CONVENTION!r}) as batch_op:")


def execute(context: MigrationContext, code: Code) -> None:
    """Run code on a database, as Alembic would."""
    names: dict[str, Any] = {"op": Operations(context), "sa": sqlalchemy}
    for line in code.imports:
        exec(line, names)
    exec(f"def run():\n    {code.text or 'pass'}\n", names)
    names["run"]()
