"""What the models have and no migration brought, seen in a database that has all of them."""

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
    return tuple(tell(one) for one in single(found) if isinstance(one, CERTAIN))
