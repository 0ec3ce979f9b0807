"""What the models have and a database has not: Alembic's comparison, and what it leaves out."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from warnings import catch_warnings, filterwarnings

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from dbtasks.errors import UsageError
from dbtasks.migrations.making import (
    alterations,
    checks,
    column_checks,
    computed,
    defaults,
    indexes,
    renamed,
    signs,
    types,
    unreflected,
)
from dbtasks.migrations.making.ordering import drops_last, keys_outermost, ordered, tables_in_place
from dbtasks.migrations.making.reflection import Reflection, tables_of

Operation = ops.MigrateOperation


def compare(context: MigrationContext) -> list[Operation]:
    """Return the operations that bring the database to the models, in their order."""
    metadata = context.opts["target_metadata"]
    if metadata is None:
        raise UsageError(
            "env.py has no target_metadata, and nothing to compare with",
            hint="give it the metadata of the models: target_metadata=Base.metadata",
        )
    with quiet():
        with defaults.compared(context), signs.compared(context):
            found = produce_migrations(context, metadata).upgrade_ops
        assert found is not None
        reflection = Reflection(context)
        tables = list(tables_of(metadata))
        anew = reflection.backend.batch_migrations  # a table, once, for all that concerns it
        operations = drops_last(found.ops) if anew else tables_in_place(found.ops)
        steps = (checks, indexes, computed, renamed, column_checks, types, alterations, unreflected)
        for each in steps:
            operations = each.add(context, reflection, tables, operations)
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            one.ops = ordered(one.ops)
    if not anew:
        operations = keys_outermost(operations)
    return [one for one in operations if not (isinstance(one, ops.ModifyTableOps) and not one.ops)]


def single(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield the operations one by one, also those on one table."""
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            yield from one.ops
        else:
            yield one


def full_name(operation: Any) -> str:
    """Return the name of the table of an operation, with the schema that it names."""
    name: str = operation.table_name
    return f"{operation.schema}.{name}" if operation.schema else name


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


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what reflection warns of: what it cannot compare, it leaves as it is."""
    with catch_warnings():
        filterwarnings("ignore")
        yield
