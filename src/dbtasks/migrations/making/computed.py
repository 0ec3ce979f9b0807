"""Computed columns that have changed, which no ALTER can: dropped, and added as they are to be."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Identity, MetaData, Table

from dbtasks.engines.attached import Tied
from dbtasks.migrations.making.reflection import Place, Reflection, alike, sql_of, table_op
from dbtasks.migrations.making.statements import Statements
from dbtasks.migrations.making.uses import quote

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
        if place in reflection.tables:
            there = reflection.columns(place)
            retyped = _retyped(reflection, operations, place)
            anew = [
                column
                for column in table.columns
                if (old := there.get(column.name)) is not None
                and (_changed(context, old, column) or _reads(reflection, old, retyped))
            ]
            if anew:
                _make_anew(reflection, table, anew, operations)
    return operations


def _make_anew(
    reflection: Reflection,
    table: Table,
    columns: Sequence[Column[object]],
    operations: Operations,
) -> None:
    """Let columns go before all else that is done with their table, and come after it."""
    schema, name = place = reflection.place(table)
    names = {one.name for one in columns}
    old = Table(name, MetaData(), schema=schema, autoload_with=reflection.connection)
    found = table_op(operations, place)
    about = [(place, one) for one in sorted(names)]
    ties = _ties(reflection, operations, about)
    found.ops = [
        *(Statements(f"drop {one.name}", [one.drop], [one.create], about=about) for one in ties),
        *(
            ops.DropColumnOp.from_column_and_tablename(schema, name, old.c[one.name])
            for one in columns
        ),
        *(one for one in found.ops if getattr(one, "column_name", None) not in names),
        *(ops.AddColumnOp.from_column_and_tablename(schema, name, one) for one in columns),
        *(
            Statements(f"make {one.name}", [one.create], [one.drop], about=about)
            for one in reversed(ties)
        ),
    ]


def _ties(
    reflection: Reflection,
    operations: Operations,
    about: Sequence[tuple[Place, str]],
) -> list[Tied]:
    """Return what goes with the columns, and has no operation of its own.

    An operation that it has is no change where those on the columns are none.
    """
    own: dict[str, list[Any]] = defaultdict(list)
    for table in operations:
        for one in getattr(table, "ops", ()):
            own[_name(one)].append(one)
    name, columns = quote(reflection.dialect, about[0][0]), [column for _, column in about]
    ties = reflection.backend.tied_to(reflection.connection, name, columns)
    for tie in ties:
        for one in own.get(tie.name, ()):
            one.about = about
    return [one for one in ties if one.name not in own]


def _name(operation: Any) -> str:
    name = getattr(operation, "constraint_name", None) or getattr(operation, "index_name", None)
    return str(name)


def _retyped(reflection: Reflection, operations: Operations, place: Place) -> list[str]:
    """Return the columns of a table that get another type while no computed column reads them."""
    if not reflection.backend.computed_hold_types:
        return []
    return [
        one.column_name
        for table in operations
        if isinstance(table, ops.ModifyTableOps) and (table.schema, table.table_name) == place
        for one in table.ops
        if isinstance(one, ops.AlterColumnOp) and one.modify_type is not None
    ]


def _reads(reflection: Reflection, column: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether a column is computed from one of these."""
    sql = column["computed"]["sqltext"] if "computed" in column else ""
    return any(reflection.mentions(sql, one) for one in names)


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
