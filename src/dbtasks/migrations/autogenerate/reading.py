"""The models compared by Alembic with a database that is only read, where no scratch can be had."""

from collections.abc import Iterator, Sequence

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext

from dbtasks.migrations.autogenerate.answers import Answers
from dbtasks.migrations.autogenerate.backfill import Filling
from dbtasks.migrations.autogenerate.comparing import Operation, full_name, quiet
from dbtasks.migrations.autogenerate.rename_detection import check_emptied, find_rename
from dbtasks.migrations.autogenerate.trial import check_filled, metadatas_of
from dbtasks.project import Project
from dbtasks.reflection import is_ours


def compare(context: MigrationContext) -> list[Operation]:
    """Return what brings the database to the models, as far as Alembic sees it."""
    metadatas = metadatas_of(context)
    with quiet():
        script = produce_migrations(context, context.opts["target_metadata"])
    assert script.upgrade_ops is not None
    operations = [one for one in script.upgrade_ops.ops if not _is_own(one)]
    check_filled(metadatas, [full_name(one) for one in operations if _drops(one)])
    return operations


def both_ways(
    project: Project, context: MigrationContext, answers: Answers
) -> tuple[list[Operation], list[Operation]]:
    """Return what brings the database to the models, and what brings it back.

    What else differs of a table that was renamed is found when the rename is applied.
    """
    assert context.connection is not None
    operations = compare(context)
    forth: list[Operation] = []
    back: list[Operation] = []
    while pair := find_rename(context, operations, answers):
        forth.append(pair[0])
        back.insert(0, pair[1])
        operations = [*_without(operations, pair[0])]
    check_emptied(operations, answers)
    answers.check_renames_used()
    filled = Filling(project, context.connection, answers).fill(operations)
    return [*forth, *filled], [*(one.reverse() for one in reversed(operations)), *back]


def _is_own(operation: Operation) -> bool:
    """Whether an operation is about a table that dbtasks keeps in the database."""
    table = getattr(operation, "table_name", None) or ""
    return is_ours(table, getattr(operation, "schema", None))


def _drops(operation: Operation) -> bool:
    return isinstance(operation, ops.DropTableOp)


def _without(operations: Sequence[Operation], rename: Operation) -> Iterator[Operation]:
    """Yield the operations without those that drop and add what is renamed."""
    if isinstance(rename, ops.RenameTableOp):
        names = {(rename.schema, rename.table_name), (rename.schema, rename.new_table_name)}
        for one in operations:
            if (getattr(one, "schema", None), getattr(one, "table_name", None)) not in names:
                yield one
        return
    assert isinstance(rename, ops.ModifyTableOps)
    renamed = [one for one in rename.ops if isinstance(one, ops.AlterColumnOp)]
    names_of = {name for one in renamed for name in (one.column_name, one.modify_name)}
    for one in operations:
        if isinstance(one, ops.ModifyTableOps) and full_name(one) == full_name(rename):
            rest = [each for each in one.ops if _column(each) not in names_of]
            one = ops.ModifyTableOps(one.table_name, rest, schema=one.schema)
        yield one


def _column(operation: Operation) -> str | None:
    if isinstance(operation, ops.AddColumnOp):
        return str(operation.column.name)
    return operation.column_name if isinstance(operation, ops.DropColumnOp) else None
