"""One change of many records: in one transaction, shown before it is committed, or in batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import sleep
from typing import Any

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.sql.dml import UpdateBase

from dbtasks import guards
from dbtasks.records.selection import Key, Selection

FIRST = 10
"""Records that a preview shows."""

StatementOf = Callable[[tuple[ColumnElement[bool], ...]], UpdateBase]


@dataclass(frozen=True)
class Preview:
    """Show a change that is made and not committed: the first records before, and after it."""

    count: int
    columns: tuple[str, ...]
    before: list[tuple[Any, ...]]
    after: list[tuple[Any, ...]]
    statement: str


@dataclass(frozen=True)
class Batch:
    """Say how far a change in batches has come: the records so far, and the last key."""

    done: int
    last: Mapping[str, Any]


OnPreview = Callable[[Preview], None]
OnBatch = Callable[[Batch], None]


def change_at_once(
    selection: Selection,
    statement_of: StatementOf,
    command: str,
    *,
    dry_run: bool,
    on_preview: OnPreview | None,
) -> int:
    """Change the selected records by one statement, and return how many met the conditions.

    Raises Refused, and rolls back, when another number was expected.
    """
    with selection.project.connect(writes=True, dry_run=dry_run) as connection:
        before = selection.first(connection, FIRST) if on_preview else []
        statement = statement_of(selection.criteria)
        matched = connection.execute(statement).rowcount
        selection.check_expected(matched)
        if on_preview is not None:
            on_preview(_preview(connection, selection, statement, matched, before))
        if not dry_run:
            guards.note_write(selection.project, connection, command, matched)
    return matched


def change_in_batches(
    selection: Selection,
    statement_of: StatementOf,
    command: str,
    *,
    size: int,
    pause: float,
    on_preview: OnPreview | None,
    on_batch: OnBatch | None,
) -> int:
    """Change the selected records in ranges of their key, each range a transaction of its own.

    What is committed stays when it is interrupted, and the same command goes on from there, as
    its conditions no longer hold for what is done, or it does it again. Returns the number of
    records. Raises Refused before the first when another number was expected.
    """
    done = 0
    last: Key | None = None
    _look_first(selection, on_preview)
    while True:
        with selection.project.connect(writes=True) as connection:
            found = selection.batch_after(connection, last, size)
            if found is None:
                return done
            criteria, last = found
            number = connection.execute(statement_of(criteria)).rowcount
            guards.note_write(selection.project, connection, command, number)
        done += number
        if on_batch is not None:
            on_batch(Batch(done, dict(zip(selection.target.key, last, strict=True))))
        sleep(pause)


def _look_first(selection: Selection, on_preview: OnPreview | None) -> None:
    """Count the records, and show the first, before a change that is not one transaction."""
    if selection.expect is None and on_preview is None:
        return
    with selection.project.connect() as connection:
        number = selection.count(connection)
        before = selection.first(connection, FIRST)
    selection.check_expected(number)
    if on_preview is not None:
        on_preview(Preview(number, tuple(selection.target.columns), before, [], ""))


def _preview(
    connection: Connection,
    selection: Selection,
    statement: UpdateBase,
    matched: int,
    before: list[tuple[Any, ...]],
) -> Preview:
    compiled = statement.compile(dialect=connection.dialect)
    return Preview(
        count=matched,
        columns=tuple(selection.target.columns),
        before=before,
        after=selection.same(connection, before),
        statement=str(compiled),
    )
