"""Record what revisions do, while they run in a scratch database: operations, tables and SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import Operations, ops
from alembic.operations.base import AbstractOperations
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.migration import RevisionStep
from sqlalchemy import Engine, Table, event

SENDS = (ops.ExecuteSQLOp, ops.BulkInsertOp)
"""Operations that are known by the SQL that they send."""


@dataclass(frozen=True)
class Sent:
    """Hold SQL that no operation of the schema sent; `asked` is whether its result is read."""

    sql: str
    asked: bool


@dataclass
class Record:
    """Hold what a revision did, in its order: tables that it created, operations, and SQL."""

    revision: str
    changes: list[Table | ops.MigrateOperation] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


class Recorder:
    """Record the upgrade of each step that is handed through it."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._record = Record("")
        self._within: list[object] = []
        self._executes = 0

    def step(self, step: RevisionStep) -> RevisionStep:
        """Let a step be recorded when Alembic runs it."""
        run: Any = step.migration_fn

        def recorded(**options: Any) -> None:
            self._record = self.records[step.revision.revision] = Record(step.revision.revision)
            with self._listening():
                run(**options)

        step.migration_fn = recorded
        return step

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Listen to SQLAlchemy's events, and to Alembic, which has no event for operations.

        `invoke` is the one way by which each operation is run, those of a batch too; what a batch
        sends is sent by `flush`. From Alembic 1.17.2 on an implementation can be replaced, each
        alone and for ever (https://github.com/sqlalchemy/alembic/issues/1750).
        """
        invoke, flush = AbstractOperations.invoke, BatchOperationsImpl.flush

        def invoked(operations: Operations, operation: ops.MigrateOperation) -> Any:
            with self._around(operation):
                result = invoke(operations, operation)
            if not isinstance(operation, (*SENDS, ops.CreateTableOp)) and not self._within:
                self._record.changes.append(operation)
            return result

        def flushed(batch: BatchOperationsImpl) -> None:
            self._within.append(batch)
            try:
                flush(batch)
            finally:
                self._within.pop()

        listeners = (
            (Engine, "before_cursor_execute", self._note_statement),
            (Table, "before_create", self._begin_table),
            (Table, "after_create", self._end_table),
        )
        for listener in listeners:
            event.listen(*listener)
        AbstractOperations.invoke = invoked  # type: ignore[assignment, method-assign]
        BatchOperationsImpl.flush = flushed  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            AbstractOperations.invoke = invoke  # type: ignore[method-assign]
            BatchOperationsImpl.flush = flush  # type: ignore[method-assign]
            for listener in listeners:
                event.remove(*listener)

    @contextmanager
    def _around(self, operation: ops.MigrateOperation) -> Iterator[None]:
        if isinstance(operation, SENDS):
            self._executes += 1
        else:
            self._within.append(operation)
        try:
            yield
        finally:
            if isinstance(operation, SENDS):
                self._executes -= 1
            else:
                self._within.pop()

    def _note_statement(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not self._within:
            self._record.sent.append(Sent(statement, asked=not self._executes))

    def _begin_table(self, table: Table, connection: Any, **options: Any) -> None:
        self._within.append(table)

    def _end_table(self, table: Table, connection: Any, **options: Any) -> None:
        self._within.pop()
        if not self._within or isinstance(self._within[-1], ops.CreateTableOp):
            self._record.changes.append(table)
