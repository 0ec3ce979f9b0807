"""CHECK constraints, compared by their names; those without a name are left alone."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, Column, Table, text
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import Boolean, Enum, TypeEngine

from dbtasks.migrations.making.reflection import (
    Place,
    Reflection,
    alike,
    escape,
    sql_of,
    table_op,
)

Operations = list[ops.MigrateOperation]


class AddCheck(ops.CreateCheckConstraintOp):
    """Add a check by its final name; Alembic before 1.19 has no code for one."""

    @classmethod
    def of(
        cls, context: MigrationContext, check: CheckConstraint, table: str, schema: str | None
    ) -> Self:
        """Return what adds a check that has a name."""
        name = final_name(context, check)
        assert name is not None
        sqltext = text(escape(sql_of(context, check.sqltext)))
        return cls(conv(name), table, sqltext, schema=schema)


class DropCheck(ops.DropConstraintOp):
    """Drop a check, and add the same on the way back."""

    def reverse(self) -> ops.AddConstraintOp:
        """Return what adds it."""
        assert self._reverse is not None
        return self._reverse


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with those on checks that have a name.

    Alembic compares them since 1.19 only, and never their texts. What drops and adds one whose
    text the database only tells otherwise is no change, as a trial shows.
    """
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            one.ops = [each for each in one.ops if not _is_check(each)]
            for each in one.ops:
                _untie(context, each)
    for table in tables:
        place = reflection.place(table)
        if place in reflection.tables:
            drops, adds = _changes(context, reflection, table, place)
            if drops or adds:
                found = table_op(operations, place)
                found.ops = [*drops, *found.ops, *adds]
    return operations


def _changes(
    context: MigrationContext, reflection: Reflection, table: Table, place: Place
) -> tuple[Sequence[ops.MigrateOperation], Sequence[ops.MigrateOperation]]:
    old, new = reflection.checks(place), _named(context, table)
    unnamed = len(_unnamed(context, table))
    gone = {*reflection.columns(place)} - {one.name for one in table.columns}
    drops, adds = [], []
    for name, sqltext in old.items():
        if name not in new:
            # What the models have without a name, the server has named.
            if not unnamed or any(reflection.mentions(sqltext, one) for one in gone):
                drops.append(_drop(table, name, sqltext))
        elif not alike(sqltext, sql_of(context, new[name].sqltext)):
            drops.append(_drop(table, name, sqltext))
    for name, one in new.items():
        if name not in old or not alike(old[name], sql_of(context, one.sqltext)):
            adds.append(AddCheck.of(context, one, table.name, table.schema))
    return drops, adds


def _named(context: MigrationContext, table: Table) -> dict[str, CheckConstraint]:
    """Return the checks of the models that have a name, by the name that the database sees."""
    named = ((final_name(context, one), one) for one in _checks(context, table))
    return {name: one for name, one in named if name is not None}


def _unnamed(context: MigrationContext, table: Table) -> list[CheckConstraint]:
    return [one for one in _checks(context, table) if final_name(context, one) is None]


def _checks(context: MigrationContext, table: Table) -> list[CheckConstraint]:
    """Return the checks of the models that this database gets."""
    within = [one for column in table.columns for one in checks_of(context, column)]
    return [*checks_of(context, table), *within]


def checks_of(context: MigrationContext, parent: Table | Column[Any]) -> list[CheckConstraint]:
    """Return the checks that a table has beside its columns, or that a column has by itself."""
    compiler = context.dialect.ddl_compiler(context.dialect, None)  # type: ignore[arg-type]  # as Alembic
    checks = [one for one in parent.constraints if isinstance(one, CheckConstraint)]
    kept = [one for one in checks if one._create_rule is None or one._create_rule(compiler)]
    return sorted(kept, key=lambda one: sql_of(context, one.sqltext))


def final_name(context: MigrationContext, check: CheckConstraint) -> str | None:
    """Return the name that the database sees; None for a check that is given none."""
    return sqla_compat._get_constraint_final_name(check, context.dialect)


def _drop(table: Table, name: str, sqltext: str) -> ops.DropConstraintOp:
    add = AddCheck(conv(name), table.name, text(escape(sqltext)), schema=table.schema)
    return DropCheck(conv(name), table.name, type_="check", schema=table.schema, _reverse=add)


def _is_check(operation: ops.MigrateOperation) -> bool:
    if isinstance(operation, ops.DropConstraintOp):
        return operation.constraint_type == "check"
    return isinstance(operation, ops.CreateCheckConstraintOp)


def _untie(context: MigrationContext, operation: ops.MigrateOperation) -> None:
    """Take from a new type the check that is made by its name, as any other."""
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        kind = _without_check(column.type)
        if kind is not column.type:
            operation.column = column._copy()
            operation.column.type = kind
    elif isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
        operation.modify_type = _without_check(operation.modify_type)


def has_check(kind: TypeEngine[Any]) -> bool:
    """Whether a type brings a check, as values of an enum that is none in the database."""
    return isinstance(kind, Enum | Boolean) and kind.create_constraint


def _without_check(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if not (has_check(kind) and getattr(kind, "name", None)):
        return kind
    plain: TypeEngine[Any] = kind.copy()
    plain.create_constraint = False  # type: ignore[attr-defined]
    return plain


@renderers.dispatch_for(AddCheck)
def _render(context: AutogenContext, operation: AddCheck) -> str:
    table = "" if context._has_batch else f"{operation.table_name!r}, "
    schema = f", schema={operation.schema!r}" if operation.schema and table else ""
    prefix = "batch_op" if context._has_batch else "op"
    name = f"{prefix}.f({str(operation.constraint_name)!r})"
    condition = str(operation.condition)
    return f"{prefix}.create_check_constraint({name}, {table}{condition!r}{schema})"
