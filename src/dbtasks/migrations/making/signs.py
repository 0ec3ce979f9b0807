"""Numbers without a sign, as MySQL has them: Alembic does not tell them from those with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column

from dbtasks.migrations.making.reflection import backend_of


@contextmanager
def compared(context: MigrationContext) -> Iterator[None]:
    """Compare types by their signs too in the block, unless env.py compares them, or nobody."""
    backend, alembic = backend_of(context), context.impl.compare_type

    def differs(reflected: Column[Any], column: Column[Any]) -> bool:
        wanted = column.type.dialect_impl(context.dialect)
        signs = backend.is_unsigned(reflected.type), backend.is_unsigned(wanted)
        return alembic(reflected, column) or signs[0] is not signs[1]

    context.impl.compare_type = differs  # type: ignore[assignment,method-assign]  # of this one only
    try:
        yield
    finally:
        del context.impl.compare_type
