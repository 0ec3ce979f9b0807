"""What SQLite needs of Alembic: each rebuild of a table goes through `TableRebuild`.

Alembic is imported with this module, which takes the place of its own SQLite when imported.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from alembic.operations.batch import BatchOperationsImpl
from sqlalchemy import Column, Connection, Index, MetaData, Table, event
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base import schema as base
from dbtasks.engines.base.definitions import PRIMARY_KEY, TABLE, Change
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sql.reader import Reader
from dbtasks.engines.sqlite.batch import Batch
from dbtasks.engines.sqlite.casting import converted
from dbtasks.engines.sqlite.table_operations import statement_of
from dbtasks.engines.sqlite.table_rebuild import Attached, TableRebuild

OPTIONS = {"strict": "sqlite_strict", "rowid": "sqlite_with_rowid"}
"""How SQLAlchemy calls the options of a table."""

Listeners = list[tuple[str, Any]]


class RebuildingSQLite(SQLiteImpl):
    """Rebuild tables from their CREATE TABLE, of which SQLAlchemy reflects a part."""

    __dialect__ = "sqlite"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.again: dict[tuple[str, str], str] = {}
        if isinstance(self.connection, Connection):  # sqlmigrate has something else
            event.listen(self.connection, "before_cursor_execute", self._make_room)

    def rebuild(self, batch: BatchOperationsImpl) -> None:
        """Make what a batch says of its table. Without a difference nothing is rebuilt."""
        connection = self.connection
        assert connection is not None
        with nullcontext() if connection.in_transaction() else connection.begin():
            rebuild = TableRebuild(connection, batch.table_name, batch.schema)
            if batch.copy_from is not None:
                rebuild = self._as_stated(rebuild, batch.copy_from)
            before = rebuild.text.sql
            changes = Batch(rebuild, batch.batch, self.cast_for_batch_migrate)
            self._apply(changes, batch)
            rebuild = changes.rebuild
            if changes.text.sql != before or batch.recreate == "always":
                self._note(rebuild, rebuild.run(changes.before, changes.old, changes.values))
            for name in changes.dropped:
                super().drop_index(Index(name, _table=changes.old), if_exists=True)
            for index, keywords in changes.created:
                self.create_index(index, **keywords)

    def _apply(self, changes: Batch, batch: BatchOperationsImpl) -> None:
        """Apply the arguments of a batch, and its operations."""
        if batch.naming_convention:
            changes.name_constraints(batch.naming_convention)
        changes.restate(batch.reflect_args)
        for column in self._heard(batch):
            changes.restate_column(column)
        changes.leave_out_checks(batch.table_args)
        changes.apply(batch.batch)
        changes.add_items(batch.table_args)
        changes.set_options(batch.table_kwargs)
        if batch.partial_reordering:
            changes.reorder(batch.partial_reordering)

    def _heard(self, batch: BatchOperationsImpl) -> list[Column[Any]]:
        """Return the columns whose type a listener of `reflect_kwargs` has changed."""
        given: Listeners = batch.reflect_kwargs["listeners"]
        own = [pair for pair in given if pair[1] != self.autogen_column_reflect]
        if not own:
            return []
        plain, heard = (
            Table(
                batch.table_name,
                MetaData(),
                schema=batch.schema,
                autoload_with=self.connection,
                listeners=listeners,
            )
            for listeners in ([], own)
        )
        return [
            column for column in heard.c if repr(column.type) != repr(plain.c[column.name].type)
        ]

    def _as_stated(self, rebuild: TableRebuild, table: Table) -> TableRebuild:
        """Rebuild a table as `copy_from` has it, with the indexes that it has beside its own."""
        before, known = rebuild.table, {*map(str.lower, rebuild.indexes)}
        stated = table.to_metadata(MetaData())
        rebuild.text.sql = statement_of(stated, self.dialect)
        if rebuild.table != before:
            names = [column.name for column in rebuild.table.columns]
            old = Table(rebuild.name, MetaData(), *map(Column, names), schema=rebuild.schema)
            self._note(rebuild, rebuild.run(before, old, dict(old.c.items())))
        for index in stated.indexes:
            if str(index.name).lower() not in known:
                self.create_index(index)
        return TableRebuild(rebuild.connection, rebuild.name, rebuild.schema)

    def rename_table(
        self, old_table_name: str, new_table_name: str, schema: str | None = None
    ) -> None:
        """Rename a table, also where the case alone differs: SQLite takes that for the same."""
        if old_table_name != new_table_name and old_table_name.lower() == new_table_name.lower():
            between = f"{new_table_name}_before"
            super().rename_table(old_table_name, between, schema=schema)
            old_table_name = between
        super().rename_table(old_table_name, new_table_name, schema=schema)

    def cast_for_batch_migrate(
        self,
        existing: Column[Any],
        existing_transfer: dict[str, Any],
        new_type: TypeEngine[Any],
    ) -> None:
        """Copy a value with all that it says."""
        if "expr" in existing_transfer:  # Alembic asks for columns that are new, too
            connection = None if self.as_sql else self.connection
            value = existing_transfer["expr"]
            existing_transfer["expr"] = converted(
                value, existing.type, new_type, self.dialect, connection
            )

    def _note(self, rebuild: TableRebuild, created: list[Attached]) -> None:
        """Note what a revision that was written for Alembic may create by itself.

        It had to: Alembic loses triggers, and indexes on expressions.
        """
        for item in created:
            if item.kind == "trigger" or rebuild.is_on_expression(item.name):
                self.again[item.kind.upper(), item.name.lower()] = rebuild.within

    def _make_room(self, connection: Any, cursor: Any, statement: str, *rest: object) -> None:
        """Drop an index or a trigger that the revision creates by itself."""
        created = _created(statement) if self.again else None
        if created is not None and (within := self.again.pop(created, None)) is not None:
            kind, name = created
            quoted = self.dialect.identifier_preparer.quote_identifier(name)
            cursor.connection.execute(f"DROP {kind} IF EXISTS {within}{quoted}")


class SchemaOperations(base.SchemaOperations):
    """Know the options of tables."""

    def table_options(self, change: Change) -> Mapping[str, bool]:
        """Return STRICT, WITHOUT ROWID and AUTOINCREMENT."""
        if change.before is None or change.after is None:
            return {}
        new = change.after.attributes
        if change.key.kind == PRIMARY_KEY:
            only = change.attributes == {"autoincrement"}
            return {"sqlite_autoincrement": "autoincrement" in new} if only else {}
        options = {"strict": "strict" in new, "rowid": "rowid" not in new}
        own = options.keys() & change.attributes if change.key.kind == TABLE else set()
        return {OPTIONS[name]: options[name] for name in sorted(own)}


def _created(statement: str) -> tuple[str, str] | None:
    """Return the kind and the name of an index or a trigger that a statement creates."""
    reader = Reader(statement, SQLITE)
    if not reader.take("CREATE"):
        return None
    reader.take("UNIQUE")
    kind = reader.word
    reader.place += 1
    return (kind, reader.made().lower()) if kind in ("INDEX", "TRIGGER") else None


def _flush(batch: BatchOperationsImpl) -> None:
    """Let a DefaultImpl of ours make what a batch says."""
    impl = batch.impl
    if isinstance(impl, RebuildingSQLite) and not impl.as_sql and batch._should_recreate():
        impl.rebuild(batch)
    else:
        _flush_by_alembic(batch)


# Alembic reflects the table and changes what it has reflected before it asks a DefaultImpl, whose
# `requires_recreate_in_batch` is not called with recreate="always":
# https://github.com/sqlalchemy/alembic/issues/1846
_flush_by_alembic = BatchOperationsImpl.flush
BatchOperationsImpl.flush = _flush  # type: ignore[assignment, method-assign]  # no other place has the operations
