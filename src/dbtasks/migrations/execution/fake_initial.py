"""Whether the tables of a first revision exist already, so that it need only be recorded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy import Column, Inspector, Table, inspect
from sqlalchemy.schema import CreateTable

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import COLUMN, TABLE, Change
from dbtasks.errors import NoScratch, ProjectFailed, Refused, Rejected
from dbtasks.hints import command_line
from dbtasks.migrations.execution.env_session import read_heads
from dbtasks.migrations.execution.replay import play, replayed
from dbtasks.migrations.execution.statement_recorder import record
from dbtasks.migrations.history.directory import applied_of
from dbtasks.project import Project
from dbtasks.schema.difference import difference
from dbtasks.schema.snapshot import Snapshot, take

COMPARED = frozenset(("type", "null", "computed"))
"""The attributes of a column that have to be the same. Its values may come from elsewhere."""


def made_at_first(project: Project) -> Mapping[str, Snapshot]:
    """Return what the first revisions make that are not applied, by their ids.

    Each is run in a scratch database. One that cannot be run there is left out.
    """
    scripts, heads = read_heads(project)
    made = {}
    for revision in {*scripts.get_bases()} - applied_of(scripts, heads):
        with suppress(NoScratch, Rejected, ProjectFailed, Refused):
            made[revision] = _made_by(project, revision)
    return made


def _made_by(project: Project, revision: str) -> Snapshot:
    before = Snapshot(())
    if project.settings.bootstrap:
        with project.scratch() as scratch:
            play(scratch, lambda scripts, heads: ())
            before = _taken(scratch)
    with replayed(project, revision) as scratch:
        return Snapshot((key, item) for key, item in _taken(scratch).items() if key not in before)


def _taken(scratch: Project) -> Snapshot:
    with scratch.connect() as connection:
        return take(scratch.backend, connection, without=())


def exists(
    context: MigrationContext,
    backend: Backend,
    step: RevisionStep,
    upgrade: Callable[..., None],
    made: Mapping[str, Snapshot],
) -> bool:
    """Return whether all tables that a first revision makes exist; False for a later one.

    `made` has what it makes, if that is known. Otherwise its operations are recorded, and the
    columns of its tables compared as Alembic compares them. Raises Refused if only some of the
    tables exist, or if they differ.
    """
    if step.is_downgrade or step.revision.down_revision is not None:
        return False
    revision = step.revision.revision
    assert context.connection is not None
    if revision in made:
        version = (context.version_table,)
        wanted = Snapshot(
            (key, item) for key, item in made[revision].items() if key.table not in version
        )
        now = take(backend, context.connection, without=version)
        missing = [place.table for place in sorted(wanted.tables - now.tables, key=str)]
        count, words = len(wanted.tables), _differences(backend, now, wanted)
    else:
        tables = [
            operation.construct.element
            for operation in record(context, backend, upgrade)
            if isinstance(operation.construct, CreateTable)
        ]
        look = inspect(context.connection)
        missing = [item.name for item in tables if not look.has_table(item.name, item.schema)]
        count = len(tables)
        words = (word for item in tables for word in _compared(context, look, item))
    if count == len(missing):
        return False
    if missing:
        raise _differs(revision, f"the table {missing[0]} is missing, and others exist")
    for word in words:
        raise _differs(revision, word)
    return True


def _differences(backend: Backend, now: Snapshot, wanted: Snapshot) -> Iterator[str]:
    """Yield in words what the database lacks, and the columns that only it has."""
    changes = difference(now, wanted, indexes_serve=backend.keys_need_indexes)
    for change in sorted(changes, key=lambda change: change.key.kind != COLUMN):
        if change.key.kind == COLUMN and change.key.place in wanted.tables:
            yield from _of_column(change)
        elif change.new is not None and change.key.kind != TABLE:
            yield from _of_object(change)


def _of_object(change: Change) -> Iterator[str]:
    assert change.new is not None
    if change.old is None:
        yield f"the {change.new} is missing"
    elif change.attributes:
        yield f"the {change.new} differs: {', '.join(sorted(change.attributes))}"
    elif change.new.is_named:
        yield f"the {change.old} is called {change.new.name} in the revision"


def _of_column(change: Change) -> Iterator[str]:
    name = f"the column {change.key.table}.{change.key.name}"
    if change.before is None or change.after is None:
        where = "revision" if change.before is None else "database"
        yield f"{name} is only in the {where}"
        return
    before, after = change.before.attributes, change.after.attributes
    if before["null"] != after["null"]:
        yield f"{name} is {'NULL' if before['null'] == 'yes' else 'NOT NULL'} in the database"
    for attribute in sorted(COMPARED & change.attributes - {"null"}):
        old, new = before.get(attribute, "not"), after.get(attribute, "not")
        yield f"{name} is {old} in the database, and {new} in the revision"


def _compared(context: MigrationContext, look: Inspector, table: Table) -> Iterator[str]:
    """Yield in words how the columns differ, as far as Alembic sees it."""
    listed = look.get_columns(table.name, schema=table.schema)
    own = {
        item["name"]: Column(item["name"], item["type"], nullable=item["nullable"])
        for item in listed
    }
    wanted = {column.name: column for column in table.columns}
    for name in sorted(own.keys() ^ wanted.keys()):
        where = "database" if name in own else "revision"
        yield f"the column {table.name}.{name} is only in the {where}"
    for name in own.keys() & wanted.keys():
        old, new = own[name], wanted[name]
        label = f"the column {table.name}.{name}"
        if old.nullable != new.nullable and not new.primary_key:
            yield f"{label} is {'NULL' if old.nullable else 'NOT NULL'} in the database"
        if context.impl.compare_type(old, new):
            yield f"{label} is {old.type!r} in the database, and {new.type!r} in the revision"


def _differs(revision: str, why: str) -> Refused:
    return Refused(
        f"{revision} cannot be recorded as applied: {why}",
        hint="bring the tables and the revision in agreement, or record it all the same: "
        + command_line("migrate", fake=True, to=revision),
    )
