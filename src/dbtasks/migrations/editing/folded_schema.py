"""The tables that operations leave, folded from what revisions did, with the types they named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, DefaultClause, Enum, FetchedValue, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.definitions import COLUMN, Place
from dbtasks.engines.sql.lexer import Lexer
from dbtasks.migrations.editing.folded_items import Item, items_of
from dbtasks.migrations.editing.operation_record import Record
from dbtasks.schema.tables import Stored


class Unfoldable(Exception):
    """Say why the difference of two schemas is not what the operations did to the rows."""


@dataclass
class FoldedColumn:
    """Hold a column as it is now; `origin` is its name before the range, if it existed."""

    name: str
    column: Column[Any]
    origin: str | None = None
    added: Column[Any] | None = None
    """As it was added to a table that may have rows, where it was altered afterwards."""
    retyped: bool = False
    made_by_sql: bool = False

    def built(self) -> Column[Any]:
        """Return a column for a table; its key comes by the table's constraint."""
        column: Column[Any] = self.column._copy()
        column.name = column.key = self.name
        column.primary_key = False
        column.unique = column.index = None
        return column

    def take_labels(self, type_: TypeEngine[Any]) -> None:
        """Take over the labels of an enum, which SQL of its own may have changed."""
        own = self.column.type
        if not (isinstance(own, Enum) and isinstance(type_, Enum)):
            return
        if own.name == type_.name and own.enums != type_.enums:
            self.column = with_attributes(self.column, {"type": type_})


@dataclass
class FoldedTable:
    """Hold a table as it is now; `origin` is its name before the range, if it existed."""

    place: Place
    source: Table
    comment: str | None
    columns: list[FoldedColumn]
    items: list[Item]
    origin: Place | None = None
    lost: set[str] = field(default_factory=set)
    """Columns that the range dropped, in small letters."""
    made_by_sql: bool = False

    def column(self, name: str) -> FoldedColumn | None:
        """Return the column of a name."""
        return next((column for column in self.columns if column.name == name), None)

    def existing(self, name: str) -> FoldedColumn | None:
        """Return the column that an operation names, by a name in another case too.

        One that none has added existed before the range: SQL made it.
        """
        same = [column for column in self.columns if column.name.lower() == name.lower()]
        column = self.column(name) or next(iter(same), None)
        if column is None and self.origin:
            column = FoldedColumn(name, Column(name), origin=name, made_by_sql=True)
            self.columns.append(column)
        return column

    def drop_column(self, name: str) -> None:
        """Drop a column, and what is about it."""
        dropped = self.existing(name)
        if dropped is not None:
            self.columns.remove(dropped)
            self.items = [item for item in self.items if dropped.name not in item.columns]
            self.lost |= {dropped.origin.lower()} if dropped.origin else set()

    def align(self, names: Sequence[str], table: Table) -> None:
        """Take over the columns of a table of the database that SQL made, in their order."""
        if self.made_by_sql:
            self.source, self.comment, self.items = table, table.comment, [*items_of(table)]
        known = {column.name: column for column in self.columns}
        self.columns = []
        for name in names:
            column = known.get(name) or FoldedColumn(name, table.c[name], self.origin and name)
            if column.made_by_sql:
                column.column = table.c[name]
            column.take_labels(table.c[name].type)
            self.columns.append(column)

    def build(self, metadata: MetaData, dialect: Dialect, lexer: Lexer) -> Table:
        """Add the table to metadata."""
        table = Table(
            self.place.table,
            metadata,
            *(column.built() for column in self.columns),
            schema=self.place.schema,
            comment=self.comment,
            prefixes=[*self.source._prefixes],
            **self.source.dialect_kwargs,
        )
        for item in self.items:
            item.build(table, dialect, lexer)
        return table


class FoldedSchema:
    """Fold what revisions did, in their order.

    After `mark` the tables may have rows, and Unfoldable is raised for what these would lose.
    """

    def __init__(self, context: MigrationContext, lexer: Lexer) -> None:
        self.context, self.dialect, self.lexer = context, context.dialect, lexer
        self.tables: dict[Place, FoldedTable] = {}
        self.lost: set[tuple[str | None, str]] = set()
        self.marked = False

    def mark(self) -> None:
        """Begin a range: remember what exists before it."""
        self.marked = True
        for place, table in self.tables.items():
            table.origin = place
            for column in table.columns:
                column.origin = column.name

    def apply(self, record: Record) -> None:
        """Fold what a revision did."""
        for change in record.changes:
            if isinstance(change, Table):
                self._create(change)
            else:
                self._apply(change)

    def metadata(self) -> MetaData:
        """Return the tables as SQLAlchemy has them."""
        metadata = MetaData()
        for table in self.tables.values():
            table.build(metadata, self.dialect, self.lexer)
        return metadata

    def place(self, schema: str | None, name: str) -> Place:
        """Return where a table is in a snapshot."""
        return Place(None if schema == self.dialect.default_schema_name else schema, name)

    def _apply(self, operation: Any) -> None:
        if isinstance(operation, ops.RenameTableOp):
            self._rename_table(operation)
        for table in self._tables_of(operation):
            match operation:
                case ops.DropTableOp():
                    self._drop_table(table)
                case ops.AddColumnOp():
                    self._add_column(table, operation)
                case ops.DropColumnOp():
                    table.drop_column(operation.column_name)
                case ops.AlterColumnOp():
                    self._alter_column(table, operation)
                case _:
                    self._attach(table, operation)

    def _attach(self, table: FoldedTable, operation: Any) -> None:
        """Add or drop a constraint, an index or a comment."""
        match operation:
            case ops.CreateIndexOp():
                table.items.append(Item(operation.to_index(self.context)))
            case ops.DropIndexOp() | ops.DropConstraintOp():
                table.items = [item for item in table.items if not _is(item, operation)]
            case ops.AddConstraintOp():
                new = Item(operation.to_constraint(self.context))
                table.items = [item for item in table.items if not (new.is_key and item.is_key)]
                table.items.append(new)
            case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
                table.comment = getattr(operation, "comment", None)

    def _tables_of(self, operation: Any) -> list[FoldedTable]:
        """Return the table of an operation; after `mark` one that SQL made is one from before.

        An index may be dropped without the name of its table.
        """
        name = getattr(operation, "table_name", None) or getattr(operation, "source_table", None)
        if name is None:
            return [*self.tables.values()] if isinstance(operation, ops.DropIndexOp) else []
        more = getattr(operation, "kw", {})
        schema = getattr(operation, "schema", None) or more.get("source_schema")
        table = self._table(self.place(schema, str(name)))
        return [] if table is None or isinstance(operation, ops.RenameTableOp) else [table]

    def _table(self, place: Place) -> FoldedTable | None:
        """Return a table by its name, also in another case."""
        same = [known for known in self.tables if _folded(known) == _folded(place)]
        table = self.tables.get(place) or (self.tables[same[0]] if same else None)
        if table is None and self.marked:
            source = Table(place.table, MetaData(), schema=place.schema)
            table = FoldedTable(place, source, None, [], [], origin=place, made_by_sql=True)
            self.tables[place] = table
        return table

    def _drop_table(self, table: FoldedTable) -> None:
        del self.tables[table.place]
        if table.origin:
            self.lost.add(_folded(table.origin))

    def _create(self, table: Table) -> None:
        place = self.place(table.schema, table.name)
        if _folded(place) in self.lost:
            raise Unfoldable(f"it creates {place.table} again, which was dropped before")
        columns = [FoldedColumn(column.name, column) for column in table.columns]
        self.tables[place] = FoldedTable(place, table, table.comment, columns, [*items_of(table)])

    def _rename_table(self, operation: ops.RenameTableOp) -> None:
        place = self.place(operation.schema, operation.table_name)
        table = self._table(place)
        if table is None:
            return
        place = table.place
        del self.tables[place]
        table.place = new = self.place(operation.schema, operation.new_table_name)
        if table.origin and _folded(new) in self.lost:
            raise Unfoldable(f"it gives {place.table} the name of a table that was dropped before")
        self.tables[new] = table
        for other in self.tables.values():
            for item in other.items:
                item.rename_table(place, new)

    def _add_column(self, table: FoldedTable, operation: ops.AddColumnOp) -> None:
        column = operation.column
        if table.column(column.name):  # if_not_exists
            return
        if column.name.lower() in table.lost:
            raise Unfoldable(
                f"it adds {table.place.table}.{column.name} again, which was dropped before"
            )
        table.columns.append(FoldedColumn(column.name, column))
        table.items += [item for item in items_of(column.table) if column.name in item.columns]

    def _alter_column(self, table: FoldedTable, operation: ops.AlterColumnOp) -> None:
        column = table.existing(operation.column_name)
        if column is None:
            return
        if table.origin:
            _check_rows(table, column, operation)
        changed = _changed(operation)
        if changed:
            if table.origin and column.origin is None and changed.keys() != {"comment"}:
                column.added = column.added if column.added is not None else column.column
            column.column = with_attributes(column.column, changed)
        name = operation.modify_name
        if name is not None and name != column.name:
            self._rename_column(table, column, str(name))

    def _rename_column(self, table: FoldedTable, column: FoldedColumn, new: str) -> None:
        if column.origin and new.lower() in table.lost:
            raise Unfoldable(
                f"it gives {table.place.table}.{column.name} the name of a column that was "
                "dropped before"
            )
        old, column.name = column.name, new
        for item in table.items:
            item.rename_column(old, new)
        for other in self.tables.values():
            for item in other.items:
                item.rename_referred(table.place, old, new)

    # -- what the database has ----------------------------------------------------------------

    def align(self, stored: Stored) -> None:
        """Take over the tables and columns that SQL made, in the order that they have."""
        spelled = {_folded(place): place for place in stored.tables}
        for place in self.tables.keys() - stored.tables.keys():
            folded, own = self.tables.pop(place), spelled.get(_folded(place))
            if own is not None and own not in self.tables:
                folded.origin = own if folded.origin == place else folded.origin
                folded.place, self.tables[own] = own, folded
        for place, table in stored.tables.items():
            if place not in self.tables:
                columns = [FoldedColumn(column.name, column) for column in table.columns]
                self.tables[place] = FoldedTable(
                    place, table, table.comment, columns, [*items_of(table)]
                )
                continue
            names = [key.name for key in stored.snapshot.of_table(place) if key.kind == COLUMN]
            self.tables[place].align(names, table)


def _folded(place: Place) -> tuple[str | None, str]:
    return place.schema, place.table.lower()


def _changed(operation: ops.AlterColumnOp) -> dict[str, Any]:
    """Return the attributes that an operation changes."""
    type_ = operation.modify_type
    given = {
        "type": type_() if isinstance(type_, type) else type_,
        "nullable": operation.modify_nullable,
        "autoincrement": operation.kw.get("autoincrement"),
    }
    changed = {name: value for name, value in given.items() if value is not None}
    if operation.modify_server_default is not False:
        changed["server_default"] = operation.modify_server_default
    if operation.modify_comment is not False:
        changed["comment"] = operation.modify_comment
    return changed


def _check_rows(table: FoldedTable, column: FoldedColumn, operation: ops.AlterColumnOp) -> None:
    """Raise Unfoldable where the values of existing rows depend on how the type changes."""
    name = f"{table.place.table}.{column.name}"
    if "postgresql_using" in operation.kw:
        raise Unfoldable(f"it converts the values of {name} by postgresql_using")
    if operation.modify_type is not None:
        if column.retyped:
            raise Unfoldable(f"it changes the type of {name} a second time")
        column.retyped = True
    elif column.retyped and operation.existing_type is not None and operation.modify_name:
        raise Unfoldable(f"it renames {name} after its type was changed")


def with_attributes(column: Column[Any], changed: Mapping[str, Any]) -> Column[Any]:
    """Return a copy of a column with other attributes."""
    new: Column[Any] = column._copy()
    for name, value in changed.items():
        match name:
            case "type":
                new.type = value.copy() if isinstance(value, TypeEngine) else value
            case "nullable":
                new.nullable = new._user_defined_nullable = value
            case "server_default":
                new = _with_default(new, value)
            case _:
                setattr(new, name, value)
    return new


def _with_default(column: Column[Any], default: Any) -> Column[Any]:
    if default is not None and not isinstance(default, FetchedValue):
        default = DefaultClause(default)
    column.server_default = column.computed = column.identity = None
    if default is not None:
        default._as_for_update(False)
        default._set_parent_with_dispatch(column)
        column.server_default = default
    return column


def _is(item: Item, operation: Any) -> bool:
    """Whether an operation drops a constraint or an index."""
    if isinstance(operation, ops.DropIndexOp):
        return item.is_index and str(item.name) == str(operation.index_name)
    if item.is_index:
        return False
    if operation.constraint_type == "primary" and item.is_key:
        return True
    return item.name is not None and str(item.name) == str(operation.constraint_name)
