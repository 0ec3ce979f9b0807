"""Operations that Alembic has no class, or no code, for."""

from collections.abc import Mapping
from typing import Any, Self

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op, renderers
from alembic.operations import ops
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement, TextClause, conv

from dbtasks.engines.base.definitions import Key, Place
from dbtasks.engines.sql.quoting import escape, undoubled

Operation = ops.MigrateOperation

COUNTS = "dbtasks_counts"
"""The key in a column's `info` that says whether the database numbers the rows."""


class AddCheck(ops.CreateCheckConstraintOp):
    """Add a check by its final name; Alembic before 1.19 has no code for one."""

    sql = ""

    @classmethod
    def of(cls, name: str | None, place: Place, condition: str) -> Self:
        """Return what adds a check to a table."""
        text = TextClause(escape(condition))
        added = cls(conv(name) if name else None, place.table, text, schema=place.schema)
        added.sql = condition
        return added


@renderers.dispatch_for(AddCheck)
def _render_check(context: AutogenContext, operation: AddCheck) -> str:
    table, schema = _of_table(context, operation)
    prefix = _prefix(context)
    name = operation.constraint_name
    named = f"{prefix}.f({str(name)!r})" if name else "None"
    return f"{prefix}.create_check_constraint({named}, {table}{str(operation.condition)!r}{schema})"


class DropCheck(ops.DropConstraintOp):
    """Drop a check, also one without a name."""

    sql = ""

    @classmethod
    def of(cls, name: str | None, place: Place, condition: str) -> Self:
        """Return what drops a check from a table."""
        back = AddCheck.of(name, place, condition)
        drop = cls(
            conv(name) if name else None,
            place.table,
            type_="check",
            schema=place.schema,
            _reverse=back,
        )
        drop.sql = condition
        return drop


class AddIndex(ops.CreateIndexOp):
    """Create an index of which no list of columns tells all, by its statement."""

    sql = ""

    @classmethod
    def of(cls, key: Key, sql: str) -> Self:
        """Return what creates an index."""
        index = cls(key.name, key.table, [], schema=key.schema)
        index.sql = sql
        return index


@renderers.dispatch_for(AddIndex)
def _render_index(context: AutogenContext, operation: AddIndex) -> str:
    return f"op.execute({escape(operation.sql)!r})"


class AddPrimaryKey(ops.CreatePrimaryKeyOp):
    """Add a primary key, for which Alembic has no code."""


@renderers.dispatch_for(AddPrimaryKey)
def _render_primary_key(context: AutogenContext, operation: AddPrimaryKey) -> str:
    table, schema = _of_table(context, operation)
    name = str(operation.constraint_name) if operation.constraint_name else None
    columns = [*operation.columns]
    return f"{_prefix(context)}.create_primary_key({name!r}, {table}{columns!r}{schema})"


class SetTableOptions(ops.MigrateOperation):
    """Give a table options that a rebuild gives it: an argument of its batch."""

    def __init__(self, options: Mapping[str, bool]) -> None:
        self.options = options


class AddServerNamed(ops.CreateForeignKeyOp):
    """Add a foreign key that MariaDB names, and with it the index that it makes for one.

    A name that is written down would become that of the index, too.
    """


@renderers.dispatch_for(AddServerNamed)
def _render_server_named(context: AutogenContext, operation: AddServerNamed) -> list[str]:
    plain = ops.CreateForeignKeyOp.from_constraint(operation.to_constraint())
    plain.constraint_name = None
    return render_op(context, plain)


class RenameColumn(ops.AlterColumnOp):
    """Rename a column; Alembic before 1.15 has no code for the new name."""


@renderers.dispatch_for(RenameColumn)
def _render_renamed(context: AutogenContext, operation: RenameColumn) -> str:
    line: str = renderers.dispatch(ops.AlterColumnOp)(context, operation)
    if "new_column_name=" in line:
        return line
    return f"{line[:-1]}, new_column_name={str(operation.modify_name)!r})"


@renderers.dispatch_for(ops.RenameTableOp)
def _render_rename(context: AutogenContext, operation: ops.RenameTableOp) -> str:
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    return f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r}{schema})"


def _prefix(context: AutogenContext) -> str:
    return "batch_op" if context._has_batch else "op"


def _of_table(context: AutogenContext, operation: Any) -> tuple[str, str]:
    """Return the arguments that name the table of an operation, where that is not the batch's."""
    if context._has_batch:
        return "", ""
    schema = f", schema={operation.schema!r}" if operation.schema else ""
    return f"{operation.table_name!r}, ", schema


def sql_of(dialect: Dialect, element: ClauseElement | str) -> str:
    """Return an expression of the models as the database is sent it."""
    if isinstance(element, str):
        return element
    keywords = {"literal_binds": True, "include_table": False}
    sql = str(element.compile(dialect=dialect, compile_kwargs=keywords))
    return undoubled(dialect, sql)
