"""What the models have and no migration brought, seen in a database that has all of them."""

from collections import Counter
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from dbtasks.migrations.making.comparing import Operation, compare, single
from dbtasks.migrations.making.naming import tell
from dbtasks.migrations.opening import open_environment
from dbtasks.project import Project

CERTAIN = (ops.CreateTableOp, ops.AddColumnOp, ops.DropColumnOp)
"""What no database tells otherwise than the models; tables that no model knows are not ours."""


def unmigrated(project: Project) -> tuple[str, ...]:
    """Return the tables and columns that the models have and the database has not, or has still.

    Nothing is written, and no scratch database is made: the database has to be at the newest
    revision.
    """
    found: list[Operation] = []
    with open_environment(project) as environment:
        contexts: list[MigrationContext] = []
        environment.handover.on_configured = contexts.append

        def look(scripts: ScriptDirectory, heads: tuple[str, ...]) -> None:
            if {*heads} == {*scripts.get_heads()}:
                found.extend(compare(contexts[-1]))

        environment.look(look)
    certain = [one for one in single(found) if isinstance(one, CERTAIN)]
    columns = Counter(_column(one) for one in certain)
    return tuple(tell(one) for one in certain if not (_column(one) and columns[_column(one)] > 1))


def _column(operation: Any) -> tuple[str | None, str, str] | None:
    """Return the column that an operation adds or drops.

    One that is dropped and added is computed, by an expression that the database tells its own way.
    """
    if isinstance(operation, ops.AddColumnOp):
        return operation.schema, operation.table_name, str(operation.column.name)
    if isinstance(operation, ops.DropColumnOp):
        return operation.schema, operation.table_name, operation.column_name
    return None
