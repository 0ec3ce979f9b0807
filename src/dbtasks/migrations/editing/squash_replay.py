"""The revisions of a range, run in a scratch database: what they did, and what they left."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from dbtasks.migrations.autogenerate.comparing import quiet
from dbtasks.migrations.editing.operation_record import Record, Recorder
from dbtasks.migrations.editing.squash_contents import Rows, take
from dbtasks.migrations.editing.squash_range import Range
from dbtasks.migrations.editing.squash_reasons import changes_rows
from dbtasks.migrations.execution.replay import play
from dbtasks.project import Project
from dbtasks.schema import snapshot
from dbtasks.schema.tables import Stored

AtEnd = Callable[[Connection, Stored], object]


@dataclass
class Replay:
    """Hold what a history did up to the end of a range; records are in the order of the replay.

    `empty_before` is whether the database had no tables before each revision, and `rows` is what
    each has left that sent SQL for rows.
    """

    records: Mapping[str, Record]
    context: MigrationContext
    empty_before: Mapping[str, bool]
    rows: Mapping[str, Rows]


def replay_range(project: Project, inside: Range, at: Mapping[str, AtEnd] | None = None) -> Replay:
    """Run the history up to the end of a range, what is outside of it first.

    `at` has what is called after a revision, with the connection and what its database has.
    """
    recorder = Recorder()
    contexts: list[MigrationContext] = []
    empty_before: dict[str, bool] = {}
    rows: dict[str, Rows] = {}
    with project.scratch() as scratch:
        empty = True

        def steps(scripts: ScriptDirectory, heads: tuple[str, ...]) -> Iterator[RevisionStep]:
            for step in steps_of(scripts, heads, inside.scripts):
                empty_before[step.revision.revision] = empty
                yield recorder.step(step)

        def watch(connection: Connection, step: RevisionStep | None) -> None:
            nonlocal empty
            revision = step.revision.revision if step else ""
            if empty:
                empty = not snapshot.take(scratch.backend, connection).tables
            if step and changes_rows(recorder.records[revision], scratch.backend.syntax):
                rows[revision] = take(scratch.backend, connection).rows
            if at and revision in at:
                known = snapshot.take(scratch.backend, connection)
                with quiet():
                    at[revision](connection, Stored(scratch.backend, connection, known))

        play(scratch, steps, watch=watch, on_configured=contexts.append)
    return Replay(recorder.records, contexts[-1], empty_before, rows)


def steps_of(
    scripts: ScriptDirectory, heads: tuple[str, ...], members: Sequence[Script]
) -> Iterator[RevisionStep]:
    """Yield the steps to the end of a range, those of revisions outside of it first."""
    ids = {script.revision for script in members}
    upgrade: Any = scripts._upgrade_revs
    steps = {step.revision.revision: step for step in upgrade(members[-1].revision, heads)}
    yield from (step for revision, step in steps.items() if revision not in ids)
    yield from (steps[script.revision] for script in members)
