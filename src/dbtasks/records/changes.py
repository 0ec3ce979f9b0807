"""One change of many records: in one transaction, shown before it is committed, or in batches."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from time import sleep
from typing import Any

from sqlalchemy import Connection, Enum
from sqlalchemy.sql.dml import UpdateBase

from dbtasks import guards
from dbtasks.errors import NOTHING_CHANGED, UNKNOWN, DbtasksError, OutcomeUnknown, UsageError
from dbtasks.records.selection import Criteria, Key, Selection, check_rolls_back
from dbtasks.records.taken import keeping_rows

FIRST = 10
"""Records that a preview shows."""

StatementOf = Callable[[Criteria], UpdateBase]


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


@dataclass(frozen=True)
class Change:
    """Hold what is done to the selected records, and the command that says so in the journal.

    `counts_first` is for a statement whose cascades take some of the records before it comes to
    them: SQLite and MySQL do not count these.
    """

    selection: Selection
    statement_of: StatementOf
    command: str
    options: Mapping[str, Any]
    new: Mapping[str, Any]
    counts_first: bool = False

    def run(self, connection: Connection, criteria: Criteria) -> tuple[UpdateBase, int]:
        """Run the statement on records that meet the criteria, and return how many those are."""
        statement = self.statement_of(self.selection.for_change(criteria))
        selection = self.selection
        if not self.counts_first:
            keeping = keeping_rows(selection.project, connection, selection.target)
            with keeping if self.new else nullcontext():
                return statement, connection.execute(statement).rowcount
        number = self.selection.count_of(connection, criteria)
        return statement, max(number, connection.execute(statement).rowcount)

    def note(self, connection: Connection, number: int) -> None:
        """Note in the journal that it is done."""
        target = self.selection.target.name
        options = {"model": target, **self.options}
        guards.note_write(self.selection.project, connection, self.command, number, **options)


def change_at_once(change: Change, *, dry_run: bool, on_preview: OnPreview | None) -> int:
    """Change the selected records by one statement, and return how many met the conditions.

    Raises Refused, and rolls back, when another number was expected.
    """
    selection = change.selection
    with selection.project.connect(writes=True, dry_run=dry_run) as connection:
        if dry_run or on_preview is not None or selection.expect is not None:
            check_rolls_back(selection.project, connection, selection.target)
        before = selection.first(connection, FIRST) if on_preview else []
        statement, matched = change.run(connection, selection.criteria)
        selection.check_expected(matched)
        if on_preview is not None:
            after = selection.same(connection, before, change.new)
            columns = tuple(selection.target.columns)
            on_preview(Preview(matched, columns, before, after, _text(connection, statement)))
        if not dry_run:
            change.note(connection, matched)
    return matched


def change_in_batches(
    change: Change,
    *,
    size: int,
    pause: float,
    on_preview: OnPreview | None,
    on_batch: OnBatch | None,
) -> int:
    """Change the selected records in ranges of their key, each range a transaction of its own.

    What is committed stays when it is interrupted, and the same command goes on from there, as
    its conditions no longer hold for what is done, or it does it again. Records beyond the last
    key of the beginning are left alone. Returns the number of records. Raises Refused before the
    first when another number was expected.
    """
    _check_batches(change)
    _look_first(change.selection, on_preview)
    batches = _Batches(change, size)
    try:
        while batches.more:
            batches.run()
            if on_batch is not None:
                on_batch(batches.progress())
            if batches.more:
                sleep(pause)
    except BaseException as error:
        batches.tell(error)
        raise
    return batches.done


class _Batches:
    """Go through the records by their key, and know how far that is committed."""

    def __init__(self, change: Change, size: int) -> None:
        self.change = change
        self.size = size
        self.done = 0
        self.last: Key | None = None
        with change.selection.project.connect() as connection:
            self.end = change.selection.last_key(connection)
        self.more = self.end is not None

    def run(self) -> None:
        """Change the next records, and commit."""
        assert self.end is not None
        selection = self.change.selection
        with selection.project.connect(
            writes=True, then=lambda: self._advance(after)
        ) as connection:
            criteria, last, more = selection.batch(connection, self.last, self.end, self.size)
            _, number = self.change.run(connection, criteria)
            if number:
                self.change.note(connection, number)
            after = last, more, self.done + number

    def _advance(self, after: "tuple[Key | None, bool, int]") -> None:
        """Note what is committed."""
        self.last, self.more, self.done = after

    def progress(self) -> Batch:
        """Return how far it is."""
        key = self.change.selection.target.key
        return Batch(self.done, dict(zip(key, self.last or (), strict=True)))

    def tell(self, error: BaseException) -> None:
        """Say in the error, and in the project's outcome, what is committed."""
        project = self.change.selection.project
        unknown = isinstance(error, OutcomeUnknown) or project.outcome == UNKNOWN
        if self.last is None or not self.done:
            return
        place = ", ".join(f"{name}={value}" for name, value in self.progress().last.items())
        state = f"{self.done} records are committed, to {place}; the same command does the rest"
        if unknown:
            state = f"{self.done} records are committed, to {place}; of the batch after, unknown"
        project.outcome = state
        if isinstance(error, DbtasksError):
            error.state = state


def _check_batches(change: Change) -> None:
    """Refuse to go along a key that moves, by conditions that one batch alters for the next."""
    target = change.selection.target
    if not target.key:
        raise UsageError(f"{target.name} has no key to go along", hint="leave out --batch-size")
    if change.selection.asks_itself:
        raise UsageError(
            f"the conditions look at other records of {target.name}, which batches change",
            hint="leave out --batch-size",
        )
    listed = [name for name in target.key if isinstance(target.columns[name].type, Enum)]
    if listed:
        raise UsageError(
            f"--batch-size goes along the key, and the order of {listed[0]}, an enum, is not one "
            "that all databases compare by",
            hint="leave out --batch-size",
        )
    moved = [name for name in target.key if name in change.new]
    if moved:
        raise UsageError(
            f"--batch-size goes along the key, and {moved[0]} is a part of it",
            hint="leave out --batch-size",
        )


def _look_first(selection: Selection, on_preview: OnPreview | None) -> None:
    """Count the records, and show the first, before a change that is not one transaction."""
    if selection.expect is None and on_preview is None:
        return
    with selection.project.connect() as connection:
        number = selection.count(connection)
        before = selection.first(connection, FIRST)
    selection.check_expected(number, state=NOTHING_CHANGED)
    if on_preview is not None:
        on_preview(Preview(number, tuple(selection.target.columns), before, [], ""))


def _text(connection: Connection, statement: UpdateBase) -> str:
    """Return the statement with its parameters, for a person to read."""
    compiled = statement.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    parameters = ", ".join(f"{name}={value!r}" for name, value in compiled.params.items())
    return f"{compiled}\n-- {parameters}" if parameters else str(compiled)
