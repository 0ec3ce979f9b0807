"""What the rows get that are there, where a column is new or takes NULL no more."""

import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from alembic.operations import ops
from sqlalchemy import (
    Column,
    Connection,
    DefaultClause,
    Enum,
    String,
    TextClause,
    literal,
    text,
)
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.schema import Statements
from dbtasks.engines.postgresql.types import array_of
from dbtasks.engines.sql.quoting import escape, identifier
from dbtasks.errors import UsageError
from dbtasks.migrations.autogenerate.answers import Answers, Kind, Question
from dbtasks.migrations.autogenerate.comparing import Operation, full_name
from dbtasks.project import Project
from dbtasks.schema.operations import COUNTS
from dbtasks.values import convert_stored

LITERAL = {"literal_binds": True}


class Filling:
    """Put the values that a person names between the operations."""

    def __init__(self, project: Project, connection: Connection, answers: Answers) -> None:
        self.project = project
        self.dialect = connection.dialect
        self.quote = partial(identifier, connection.dialect)
        self.answers = answers

    def fill(self, operations: Sequence[Operation]) -> list[Operation]:
        """Return the operations with what gives rows a value where they would have none.

        Raises Refused, with all that is to be told, where nobody can tell it.
        """
        filled = [each for one in operations for each in self._filled(one)]
        self.answers.check_complete()
        return filled

    def _filled(self, operation: Operation) -> Iterator[Operation]:
        if isinstance(operation, Statements):
            for name, values in operation.removed.items():
                path, _, column = name.rpartition(".")
                schema, _, table = path.rpartition(".")
                place = ops.ModifyTableOps(table, [], schema=schema or None)
                yield self._replaced(place, Column(column), values)
        if isinstance(operation, ops.ModifyTableOps):
            yield from self._filled_table(operation)
        else:
            yield operation

    def _filled_table(self, operation: ops.ModifyTableOps) -> Iterator[Operation]:
        """Yield the operations on a table, those first that give rows a value."""
        rest: list[ops.MigrateOperation] = []
        for one in operation.ops:
            if isinstance(one, ops.DropIndexOp) and self.project.backend.hides_indexes:
                # One on an expression would go, unseen, with the first of several new tables.
                yield _modify(operation, one)
            elif isinstance(one, ops.AddColumnOp) and _needs_value(one.column):
                yield from self._added(operation, one.column)
                rest.append(self._settled(operation, one.column))
            else:
                if isinstance(one, ops.AlterColumnOp):
                    yield from self._prepared(operation, one)
                rest.append(one)
        if rest:
            yield ops.ModifyTableOps(operation.table_name, rest, schema=operation.schema)

    def _prepared(
        self, table: ops.ModifyTableOps, operation: ops.AlterColumnOp
    ) -> Iterator[Operation]:
        """Yield what rows need before their column is altered."""
        column = _column_of(operation)
        if both := with_both(operation):
            yield _modify(table, _widened(operation, both))
        if operation.modify_nullable is False:
            yield self._update(table, column, f" WHERE {self.quote(column.name)} IS NULL")
        if values := removed_values(operation):
            yield self._replaced(table, column, values)

    def _added(self, table: ops.ModifyTableOps, column: Column[object]) -> Iterator[Operation]:
        """Yield what adds a column that takes no NULL.

        With a default for as long, which costs nothing, or with an UPDATE for an expression.
        """
        name = f"{full_name(table)}.{column.name}"
        expression = self._expression(name)
        new = column._copy()
        if expression is None:
            new.server_default = DefaultClause(self._default(name, column))
        else:
            new.nullable = True
        yield _modify(table, ops.AddColumnOp(table.table_name, new, schema=table.schema))
        if expression is not None:
            yield self._update(table, column, "")

    def _settled(self, table: ops.ModifyTableOps, column: Column[object]) -> ops.AlterColumnOp:
        """Return what takes the default off again, or lets the column take no NULL any more."""
        by_default = self._expression(f"{full_name(table)}.{column.name}") is None
        return ops.AlterColumnOp(
            *(table.table_name, column.name),
            schema=table.schema,
            modify_server_default=None if by_default else False,
            modify_nullable=None if by_default else False,
            existing_type=column.type,
            existing_nullable=not by_default,
        )

    def _quoted(self, table: ops.ModifyTableOps) -> str:
        operations = self.project.backend.schema_operations(self.dialect)
        return operations.quoted(table.schema, table.table_name)

    def _replaced(
        self, table: ops.ModifyTableOps, column: Column[Any], values: Sequence[str]
    ) -> Operation:
        """Return what gives rows another value that have one that is gone from an enum."""
        name, quoted = f"{full_name(table)}.{column.name}", self.quote(column.name)
        several = ", ".join(map(_literal, values))
        array = array_of(self._model_type(name, column), self.dialect)
        if array is None:
            return self._update(table, column, f" WHERE {quoted} IN ({several})")
        value = quoted
        if self._expression(name) is not None or self.answers.default(_question(name))[:1] == "[":
            value = self._given(name, column)  # all of it, as SQL or as a list in JSON
        else:
            other = self._sql(name, *self._value(name, array.item_type))
            for one in values:
                value = f"array_replace({value}, {_literal(one)}, {other})"
        where = f" WHERE {quoted}::text[] && ARRAY[{several}]"
        return self._update(table, column, where, value)

    def _update(
        self, table: ops.ModifyTableOps, column: Column[Any], where: str, value: str | None = None
    ) -> Operation:
        value = value or self._given(f"{full_name(table)}.{column.name}", column)
        quoted = self.quote(column.name)
        update = f"UPDATE {self._quoted(table)} SET {quoted} = {value}{where}"
        return ops.ExecuteSQLOp(escape(update))

    def _given(self, name: str, column: Column[Any]) -> str:
        """Return what a person names, as SQL."""
        return self._expression(name) or self._sql(
            name, *self._value(name, self._model_type(name, column))
        )

    def _model_type(self, name: str, column: Column[object]) -> TypeEngine[object]:
        """Return the type that the models give a column: a database may tell less of it."""
        key = name.rpartition(".")[0]
        found = (one.tables.get(key) for one in self.project.metadata)
        table = next((one for one in found if one is not None), None)
        return column.type if table is None else table.c[column.name].type

    def _expression(self, name: str) -> str | None:
        return self.answers.expression(_question(name))

    def _value(self, name: str, kind: TypeEngine[Any]) -> tuple[Any, TypeEngine[Any]]:
        """Return the value that a person names, and its type here."""
        given = self.answers.default(_question(name))
        kind = self.project.backend.resolve_type(kind)
        return convert_stored(given, kind, name, self.project.backend), kind

    def _default(self, name: str, column: Column[object]) -> str | TextClause:
        """Return a value as a default: a text is quoted where it is written."""
        value, kind = self._value(name, self._model_type(name, column))
        if isinstance(value, str) and isinstance(kind, String):
            return value
        sql = self._sql(name, value, kind)
        return sql[1:-1] if sql.startswith("'") else text(escape(sql))

    def _sql(self, name: str, value: Any, kind: TypeEngine[Any]) -> str:
        """Return a value as SQL. Raises UsageError for one that has no such form."""
        # Named, as other styles of parameters double each %.
        dialect: Any = self.project.backend.url.get_dialect()
        try:
            compiled = literal(value, kind).compile(
                dialect=dialect(paramstyle="named"), compile_kwargs=LITERAL
            )
        except (CompileError, NotImplementedError) as error:
            raise UsageError(
                f"{value!r} cannot be written as SQL for {name}",
                hint=f"write it yourself: {_question(name).flags[1]}",
            ) from error
        if array_of(kind, self.dialect) is None:
            return str(compiled)
        return f"CAST({compiled} AS {kind.compile(dialect=self.dialect)})"  # of no type, or of text


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _question(name: str) -> Question:
    # "SQL EXPRESSION", as that is quoted, and what takes its place has to be.
    value, expression = (shlex.quote(f"{name}={what}") for what in ("VALUE", "SQL EXPRESSION"))
    flags = (f"--default {value}", f"--default-sql {expression}")
    return Question(Kind.DEFAULT, name, flags)


def _needs_value(column: Column[object]) -> bool:
    """Whether rows that are there would have none in a new column that has to have one."""
    return not (
        column.nullable
        or column.server_default is not None
        or column.identity is not None
        or column.computed is not None
        or column.info.get(COUNTS)
    )


def _column_of(operation: ops.AlterColumnOp) -> Column[object]:
    kind = operation.modify_type if operation.modify_type is not None else operation.existing_type
    return Column(operation.column_name, kind)


def _widened(operation: ops.AlterColumnOp, both: Enum) -> ops.AlterColumnOp:
    """Return what lets a column have old and new values, and changes nothing else of it."""
    return ops.AlterColumnOp(
        *(operation.table_name, operation.column_name),
        schema=operation.schema,
        modify_type=both,
        existing_type=operation.existing_type,
        existing_nullable=operation.existing_nullable,
        existing_server_default=operation.existing_server_default,
        existing_comment=operation.existing_comment,
    )


def _modify(table: ops.ModifyTableOps, operation: ops.MigrateOperation) -> Operation:
    return ops.ModifyTableOps(table.table_name, [operation], schema=table.schema)


def removed_values(operation: ops.AlterColumnOp) -> Sequence[str]:
    """Return the values that a column's enum has no more."""
    old, new = operation.existing_type, operation.modify_type
    if isinstance(old, Enum) and isinstance(new, Enum):
        return [one for one in old.enums if one not in new.enums]
    return ()


def with_both(operation: ops.AlterColumnOp) -> Enum | None:
    """Return an enum with the values that are removed and with those that are new, if both are."""
    old, new = operation.existing_type, operation.modify_type
    if not (removed_values(operation) and isinstance(old, Enum) and isinstance(new, Enum)):
        return None
    more = [one for one in new.enums if one not in old.enums]
    return Enum(*old.enums, *more) if more else None
