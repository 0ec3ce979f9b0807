"""The columns that are of a type with a name: those there are, and those there are to be."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from alembic.ddl.base import format_server_default
from alembic.operations import ops
from sqlalchemy import Computed, Identity
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.engine import Dialect
from sqlalchemy.types import ARRAY, TypeDecorator, TypeEngine

from dbtasks.migrations.making.reflection import Reflection

Name = tuple[str | None, str]


class Use(NamedTuple):
    """Say which column is of a type: by name, and as it stands in SQL."""

    name: str
    table: str
    column: str
    brackets: str
    default: str | None


def enum_of(kind: TypeEngine[Any] | None, dialect: Dialect) -> ENUM | None:
    """Return the enum of the database that a type is, or that its elements are of."""
    if isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    found = kind.dialect_impl(dialect) if kind is not None else None
    if isinstance(found, ARRAY):
        return enum_of(found.item_type, dialect)
    return found if isinstance(found, ENUM) else None


def array_of(kind: TypeEngine[Any], dialect: Dialect) -> ARRAY[Any] | None:
    """Return the array that a type is in the database."""
    if isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    found = kind.dialect_impl(dialect)
    return found if isinstance(found, ARRAY) else None


def place(dialect: Dialect, schema: str | None, name: str) -> Name:
    """Return where a thing is, without the schema where that is the connection's own."""
    return (None if schema == dialect.default_schema_name else schema), name


def quote(dialect: Dialect, name: Name) -> str:
    """Return a name as it stands in SQL."""
    preparer = dialect.identifier_preparer
    prefix = f"{preparer.quote_schema(name[0])}." if name[0] else ""
    return f"{prefix}{preparer.quote(name[1])}"


class Uses:
    """Know which columns are of a type."""

    def __init__(self, reflection: Reflection, name: Name) -> None:
        self.reflection = reflection
        self.dialect = reflection.dialect
        self.name = name

    def now(self) -> list[Use]:
        """Return the columns that are of the type in the database."""
        found: dict[str, Use] = {}
        for table in sorted(self.reflection.tables, key=str):
            for column, one in self.reflection.columns(table).items():
                self._put(found, table, column, one["type"], one.get("default"))
        return list(found.values())

    def after(self, operations: Sequence[Any]) -> list[Use]:
        """Return the columns that are of the type when the operations are done."""
        found = {one.name: one for one in self.now()}
        for one in operations:
            if isinstance(one, ops.DropTableOp):
                table = quote(self.dialect, self._table(one))
                found = {key: use for key, use in found.items() if use.table != table}
            elif isinstance(one, ops.CreateTableOp):
                for column in one.to_table().columns:
                    self._add(found, one, column)
            elif isinstance(one, ops.ModifyTableOps):
                for each in one.ops:
                    self._follow(found, each)
        return list(found.values())

    def _follow(self, found: dict[str, Use], one: Any) -> None:
        """Bring the columns to where an operation on one of them leaves them."""
        if isinstance(one, ops.AddColumnOp):
            self._add(found, one, one.column)
        elif isinstance(one, ops.DropColumnOp):
            found.pop(_full(self._table(one), one.column_name), None)
        elif isinstance(one, ops.AlterColumnOp):
            key = _full(self._table(one), one.column_name)
            default = one.modify_server_default
            if one.modify_type is not None:
                found.pop(key, None)
                told = self._sql(one.existing_server_default)
                self._put(found, self._table(one), one.column_name, one.modify_type, told)
            if default is not False and key in found:
                found[key] = found[key]._replace(default=self._sql(default))

    def _add(self, found: dict[str, Use], operation: Any, column: Any) -> None:
        told = self._sql(column.server_default)
        self._put(found, self._table(operation), column.name, column.type, told)

    def _put(
        self, found: dict[str, Use], table: Name, column: str, kind: Any, default: str | None
    ) -> None:
        """Take in a column, if it is of the type."""
        one = enum_of(kind, self.dialect)
        if one is not None and place(self.dialect, one.schema, str(one.name)) == self.name:
            key = _full(table, column)
            brackets = "[]" if isinstance(kind, ARRAY) else ""
            quoted = self.dialect.identifier_preparer.quote(column)
            found[key] = Use(key, quote(self.dialect, table), quoted, brackets, default)

    def _table(self, operation: Any) -> Name:
        return place(self.dialect, operation.schema, operation.table_name)

    def _sql(self, default: Any) -> str | None:
        """Return a default as SQL; None for what stands in its place and is none."""
        if default is None or default is False or isinstance(default, Computed | Identity):
            return None
        compiler: Any = self.dialect.ddl_compiler  # as Alembic makes one, for no statement
        return format_server_default(compiler(self.dialect, None), default)


def _full(table: Name, column: str) -> str:
    return ".".join((*filter(None, table), column))
