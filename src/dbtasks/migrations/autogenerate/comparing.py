"""Operations of Alembic, one by one or table by table."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from warnings import catch_warnings, filterwarnings

from alembic.operations import ops

Operation = ops.MigrateOperation


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
