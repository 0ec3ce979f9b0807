"""What the models have and a database has not: Alembic's comparison, without its phantoms."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from warnings import catch_warnings, filterwarnings

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, MetaData, Table

from dbtasks.errors import UsageError

Operation = ops.MigrateOperation


def compare(context: MigrationContext) -> list[Operation]:
    """Return the operations that bring the database to the models, in their order."""
    metadata = context.opts["target_metadata"]
    if metadata is None:
        raise UsageError(
            "env.py has no target_metadata, and nothing to compare with",
            hint="give it the metadata of the models: target_metadata=Base.metadata",
        )
    with _quiet():
        found = produce_migrations(context, metadata).upgrade_ops
    assert found is not None
    unnamed = {one.key for one in _tables(metadata) if _has_unnamed_check(one)}
    kept = (_without_checks(one, unnamed) for one in found.ops)
    return [one for one in kept if not (isinstance(one, ops.ModifyTableOps) and not one.ops)]


def single(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield the operations one by one, also those on one table."""
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            yield from one.ops
        else:
            yield one


def grouped(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield the operations with those on one table that follow each other together again."""
    for place, some in groupby(operations, _place):
        if place is None:
            yield from some
        else:
            yield ops.ModifyTableOps(place[1], list(some), schema=place[0])


def _place(operation: Operation) -> tuple[str | None, str] | None:
    """Return the schema and the table that an operation changes; None for one of its own."""
    if isinstance(operation, ops.CreateTableOp | ops.DropTableOp | ops.RenameTableOp):
        return None
    table = getattr(operation, "table_name", None) or getattr(operation, "source_table", None)
    schema = getattr(operation, "schema", None) or getattr(operation, "source_schema", None)
    return (schema, table) if table else None


def _tables(metadata: MetaData | Sequence[MetaData]) -> Iterator[Table]:
    for one in [metadata] if isinstance(metadata, MetaData) else metadata:
        yield from one.tables.values()


def _has_unnamed_check(table: Table) -> bool:
    return any(isinstance(one, CheckConstraint) and one.name is None for one in table.constraints)


def _without_checks(operation: Operation, tables: set[str]) -> Operation:
    """Leave alone what may be a check that the models have without a name, and the server named."""
    if isinstance(operation, ops.ModifyTableOps):
        key = ".".join(one for one in (operation.schema, operation.table_name) if one)
        if key in tables:
            operation.ops = [
                one
                for one in operation.ops
                if not (isinstance(one, ops.DropConstraintOp) and one.constraint_type == "check")
            ]
    return operation


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what reflection warns of: what it cannot compare, it leaves as it is."""
    with catch_warnings():
        filterwarnings("ignore")
        yield
