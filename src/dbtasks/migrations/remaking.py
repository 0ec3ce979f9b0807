"""Tables of SQLite that are made anew as they were, also in what SQLAlchemy does not reflect."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from alembic.operations.batch import ApplyBatchImpl, BatchOperationsImpl
from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    Table,
    UniqueConstraint,
    collate,
    event,
    inspect,
)
from sqlalchemy.exc import OperationalError

from dbtasks.engines.base.created import Created
from dbtasks.engines.sql import create_index
from dbtasks.engines.sql.expressions import mentions
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sqlite.create_table import CreateTable, Unique
from dbtasks.engines.sqlite.created import read_create_table, read_created
from dbtasks.engines.sqlite.indexes import Part, SQLiteIndexing
from dbtasks.errors import ROLLED_BACK, Refused
from dbtasks.migrations.casting import KeepingSQLite
from dbtasks.migrations.keeping import keep, new_names, with_new_names

AS_IT_IS = {"no_parameters": True}

NUMBERED = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"


class RemakingSQLite(KeepingSQLite):
    """Take the place of Alembic's own for SQLite, and know what the old table had."""

    __dialect__ = "sqlite"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.awaited: dict[str, Mapping[str, str]] = {}
        self.remade: set[str] = set()
        self.there: set[str] = set()
        if isinstance(self.connection, Connection):  # sqlmigrate has something else
            event.listen(self.connection, "before_cursor_execute", self._make_room)

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Let an operation find a UNIQUE of a rebuilt table that SQLAlchemy does not reflect.

        It reflects one of several that have the same columns.
        """
        if self.connection is not None and not self.as_sql:
            name, schema = batch_op.table_name, batch_op.schema
            reflected = inspect(self.connection).get_unique_constraints(name, schema=schema)
            names = {item["name"] for item in reflected}
            batch_op.reflect_args = [
                *batch_op.reflect_args,
                *_uniques_without(names, read_create_table(self.connection, name, schema)),
            ]
        return super().requires_recreate_in_batch(batch_op)

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Give the new table what the old one has besides what was reflected."""
        super().prep_table_for_batch(batch_impl, table)
        connection = self.connection
        if connection is None or table.schema or not batch_impl.reflected:
            return
        created = read_created(connection, table.name)
        keep(batch_impl, created)
        _keep_number(connection, batch_impl, created)
        _keep_order(batch_impl, SQLiteIndexing().sorted_parts(connection, table.name))
        hidden = SQLiteIndexing().hidden_indexes(connection, table.name)
        self.awaited[batch_impl.temp_table_name] = _after(batch_impl, hidden)
        self.there = {*batch_impl.indexes}

    def rename_table(self, old_table_name: str, new_table_name: str, schema: Any = None) -> None:
        """Make the indexes on expressions again that nothing reflects.

        SQLite takes a name that differs in its case alone for the table itself.
        """
        if old_table_name != new_table_name and old_table_name.lower() == new_table_name.lower():
            between = f"{new_table_name}_before"
            super().rename_table(old_table_name, between, schema=schema)
            old_table_name = between
        super().rename_table(old_table_name, new_table_name, schema=schema)
        for name, statement in self.awaited.pop(old_table_name, {}).items():
            self._make_again(name, statement)

    def create_index(self, index: Index, **options: Any) -> None:
        """Name an index of the old table that the new one has not the columns for."""
        try:
            super().create_index(index, **options)
        except OperationalError as error:
            if index.name not in self.there:
                raise
            raise _missed(str(index.name), error) from error

    def _make_room(self, connection: Any, cursor: Any, statement: str, *rest: object) -> None:
        """Drop an index that was made again, as the revision makes it by itself too."""
        made = create_index.parse(statement, SQLITE) if self.remade else None
        if made is not None and made.name in self.remade:
            self.remade.discard(made.name)
            quoted = self.dialect.identifier_preparer.quote(made.name)
            cursor.connection.execute(f"DROP INDEX {quoted}")

    def _make_again(self, name: str, statement: str) -> None:
        try:
            self._send(statement)
        except OperationalError as error:
            raise _missed(name, error) from error
        self.remade.add(name)

    def _send(self, statement: str) -> None:
        assert self.connection is not None
        self.connection.exec_driver_sql(statement, execution_options=AS_IT_IS).close()


def _uniques_without(
    names: Collection[str | None], table: CreateTable
) -> Iterator[UniqueConstraint]:
    """Yield the UNIQUE of a table that have other names, and the collations of their columns."""
    for item in table.constraints:
        if type(item) is Unique and item.name is not None and item.name not in names:
            plain = not any(part.collation for part in item.parts)
            options: dict[str, Any] = {"name": item.name, "sqlite_on_conflict": item.conflict}
            yield from [UniqueConstraint(*item.columns, **options)] if plain else ()


def _after(batch_impl: ApplyBatchImpl, indexes: Mapping[str, str]) -> dict[str, str]:
    """Return the statements with the new names of columns; an index goes with a column of its."""
    names = new_names(batch_impl)
    gone = {one.name for one in batch_impl.table.c if one.name.lower() not in names}
    found = {}
    for name, statement in indexes.items():
        made = create_index.parse(statement, SQLITE)
        assert made is not None
        head, rest = statement[: made.start], statement[made.start :]
        if not any(mentions(SQLITE, rest, one) for one in gone):
            found[name] = head + with_new_names(batch_impl, rest)
    return found


def _missed(index: str, error: OperationalError) -> Refused:
    return Refused(
        f"the index {index} of the database needs what the migration takes away: {error.orig}",
        hint="drop it in the migration, or before it",
        state=ROLLED_BACK,
    )


def _keep_number(connection: Connection, batch_impl: ApplyBatchImpl, created: Created) -> None:
    """Let no number be given again, also of rows that are gone: the copy only counts the others."""
    assert batch_impl.new_table is not None
    if created.numbered and batch_impl.new_table.dialect_kwargs.get("sqlite_autoincrement"):
        values = (batch_impl.temp_table_name, created.numbered)
        connection.exec_driver_sql(NUMBERED, values).close()


def _keep_order(batch_impl: ApplyBatchImpl, sorted_parts: Mapping[str, Sequence[Part]]) -> None:
    """Keep the order and the collation of the parts of indexes."""
    columns = batch_impl.table.c
    for name, parts in sorted_parts.items():
        old = batch_impl.indexes.get(name)
        if old is not None:
            expressions = [_expression(columns[str(one.column)], one) for one in parts]
            batch_impl.indexes[name] = Index(name, *expressions, unique=old.unique, **old.kwargs)


def _expression(column: ColumnElement[Any], part: Part) -> ColumnElement[Any]:
    sorted_by = collate(column, part.collation) if part.collation else column
    return sorted_by.desc() if part.down else sorted_by
