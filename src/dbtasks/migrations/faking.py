"""Whether the tables of a first revision stand already, so that it need only be recorded."""

from collections.abc import Callable

from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Column, Inspector, Table, inspect
from sqlalchemy.schema import CreateTable

from dbtasks.engines import Backend
from dbtasks.errors import Refused
from dbtasks.hints import command_line
from dbtasks.migrations.recorder import record


def is_standing(
    context: MigrationContext, backend: Backend, step: RevisionStep, upgrade: Callable[..., None]
) -> bool:
    """Return whether all tables that a first revision makes stand; False for a later one.

    Raises Refused where only some stand, or where their columns are others.
    """
    if step.is_downgrade or step.revision.down_revision is not None:
        return False
    operations = record(context, backend, upgrade)
    tables = [one.construct.element for one in operations if isinstance(one.construct, CreateTable)]
    found = inspect(context.connection)
    assert isinstance(found, Inspector)
    missing = [table for table in tables if not found.has_table(table.name, schema=table.schema)]
    if not tables or len(missing) == len(tables):
        return False
    name = step.revision.revision
    if missing:
        raise _differs(name, f"the table {missing[0].name} is missing, and others stand")
    for table in tables:
        _compare(context, found, table, name)
    return True


def _compare(context: MigrationContext, found: Inspector, table: Table, revision: str) -> None:
    listed = found.get_columns(table.name, schema=table.schema)
    there = {
        one["name"]: Column(one["name"], one["type"], nullable=one["nullable"]) for one in listed
    }
    wanted = {column.name: column for column in table.columns}
    for name in sorted(there.keys() ^ wanted.keys()):
        where = "only in the database" if name in there else "only in the revision"
        raise _differs(revision, f"the column {table.name}.{name} is {where}")
    for name, column in wanted.items():
        if there[name].nullable != column.nullable and not column.primary_key:
            words = "NULL" if there[name].nullable else "NOT NULL"
            raise _differs(revision, f"the column {table.name}.{name} is {words} in the database")
        if context.impl.compare_type(there[name], column):
            raise _differs(
                revision,
                f"the column {table.name}.{name} is {there[name].type!r} in the database, "
                f"and {column.type!r} in the revision",
            )


def _differs(revision: str, why: str) -> Refused:
    return Refused(
        f"{revision} cannot be recorded as applied: {why}",
        hint="bring the tables and the revision in agreement, or record it all the same: "
        + command_line("migrate", fake=True, to=revision),
    )
