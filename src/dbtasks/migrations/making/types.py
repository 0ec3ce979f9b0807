"""Types that the database keeps by name, as PostgreSQL its enums: made, changed and dropped."""

from collections.abc import Iterable

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table

from dbtasks.migrations.making.reflection import Reflection

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with those on types and schemas."""
    return operations
