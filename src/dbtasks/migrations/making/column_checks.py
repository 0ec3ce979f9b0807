"""CHECK constraints that stand with their column, of which Alembic writes none."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Table, text
from sqlalchemy.schema import SchemaItem

from dbtasks.migrations.making.checks import AddCheck, checks_of, final_name
from dbtasks.migrations.making.reflection import Reflection, escape, sql_of

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with the checks of new columns.

    Those of a new table stand beside its columns, as one with a name has to on MariaDB; of a new
    column, one without a name stands within it, as it goes with it again.
    """
    for one in operations:
        if isinstance(one, ops.CreateTableOp):
            one.columns = [*_beside(context, one.columns)]
        elif isinstance(one, ops.ModifyTableOps):
            _keep_dropped(reflection, one)
            named = {each.constraint_name for each in one.ops if isinstance(each, AddCheck)}
            one.ops = [part for each in one.ops for part in _parts(context, each, named)]
    return operations


def _beside(context: MigrationContext, items: Sequence[SchemaItem]) -> Iterator[SchemaItem]:
    """Yield columns and constraints, with each check out of its column and behind all."""
    checks: list[CheckConstraint] = []
    for one in items:
        own = checks_of(context, one) if isinstance(one, Column) else []
        yield _with(one, []) if own and isinstance(one, Column) else one
        checks += own
    for each in checks:
        sql = text(escape(sql_of(context, each.sqltext)))
        yield CheckConstraint(sql, name=each.name)


def _parts(
    context: MigrationContext, operation: ops.MigrateOperation, known: set[Any]
) -> Operations:
    """Return what adds a column, with its unnamed checks, and the others that are not `known`."""
    if not isinstance(operation, ops.AddColumnOp):
        return [operation]
    column = operation.column
    checks = checks_of(context, column)
    if not checks:
        return [operation]
    within = [one for one in checks if final_name(context, one) is None]
    operation.column = _with(column, within)
    more = [one for one in checks if one not in within and final_name(context, one) not in known]
    table, schema = operation.table_name, operation.schema
    return [operation, *(AddCheck.of(context, one, table, schema) for one in more)]


def _keep_dropped(reflection: Reflection, table: ops.ModifyTableOps) -> None:
    """Let columns that are dropped have their unnamed checks on the way back."""
    place = (table.schema, table.table_name)
    left = reflection.unnamed_checks(place) if place in reflection.tables else []
    for one in table.ops:
        if isinstance(one, ops.DropColumnOp) and one._reverse is not None:
            within = reflection.column_checks(place).get(one.column_name)
            own = [each for each in left if reflection.mentions(each, one.column_name)]
            left = [each for each in left if each not in own]
            own += [within] if within else []
            checks = [CheckConstraint(text(escape(each))) for each in own]
            one._reverse.column = _with(one._reverse.column, checks)


def _with(column: Column[Any], checks: Sequence[CheckConstraint]) -> Column[Any]:
    """Return a copy of a column that has these checks and no other."""
    new = column._copy()
    new.constraints = {one for one in new.constraints if not isinstance(one, CheckConstraint)}
    new.constraints.update(checks)
    return new
