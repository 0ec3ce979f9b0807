"""The models compared with a database that has the history, on which a revision is tried."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.definitions import (
    COLUMN,
    DOMAIN,
    FUNCTION,
    OF_TABLES,
    SCHEMA,
    SEQUENCE,
    TABLE,
    TRIGGER,
    TYPE,
    VIEW,
    Change,
    Definition,
    Key,
)
from dbtasks.errors import Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate import filters, rows
from dbtasks.migrations.autogenerate.code import execute
from dbtasks.migrations.autogenerate.comparing import Operation, quiet
from dbtasks.migrations.autogenerate.reflection import backend_of, tables_of
from dbtasks.migrations.autogenerate.rendering import render, run
from dbtasks.migrations.history.source_edit import Code
from dbtasks.schema.builder import Builder
from dbtasks.schema.difference import difference
from dbtasks.schema.models import taken_within
from dbtasks.schema.snapshot import Snapshot, take
from dbtasks.schema.tables import Models, State, Stored

Fill = Callable[[Sequence[Operation]], list[Operation]]

NEVER_OURS = frozenset((VIEW, TRIGGER, FUNCTION))
"""What models do not make, and the history may have made beside them."""

SHARED = frozenset((TYPE, DOMAIN, SEQUENCE))
"""What goes when no column uses it any more, and stays where none ever did."""


TABULAR = OF_TABLES | {TABLE}


class Trial:
    """Compare the models with a database, and change it as a revision would.

    The connection of the context is in a transaction on a database that has the history.
    """

    def __init__(
        self,
        context: MigrationContext,
        wanted: Snapshot | None = None,
        metadatas: list[MetaData] | None = None,
    ) -> None:
        assert context.connection is not None
        self.context, self.connection = context, context.connection
        self.backend = backend_of(context)
        self.without = (context.version_table,)
        self.metadatas = metadatas_of(context) if metadatas is None else metadatas
        self._now: Snapshot | None = None
        self.changes: list[Change] = []
        with quiet():
            if wanted is None:
                wanted = taken_within(
                    self.backend, self.connection, self.metadatas, self.now, without=self.without
                )
            self.models = Models(context.dialect, self.metadatas, wanted)

    @property
    def now(self) -> Snapshot:
        """Return what the database has now."""
        if self._now is None:
            self._now = take(self.backend, self.connection, without=self.without)
        return self._now

    def compare(self) -> list[Operation]:
        """Return what brings the database to the models."""
        self.changes = []
        if not self._builder(State(self.now), self.models).changes():
            return []
        with quiet():
            source = self.stored()
            builder = self._builder(source, self.models)
            self.changes = [*self._ours(source, builder.changes())]
            made = [change for change in self.changes if self._is_made(change)]
            return builder.operations(made)

    def _is_made(self, change: Change) -> bool:
        """Whether operations can make it: tables that DDL of the models creates are no objects."""
        place = change.key.place
        is_dropped = place not in self.models.snapshot.tables
        return change.key.kind not in TABULAR or is_dropped or place in self.models.tables

    def follow(self, fill: Fill) -> list[Operation]:
        """Bring the database to the models, and return what did it.

        What one operation makes of a table may ask for another, as a character set of MySQL that
        columns take over. Raises Refused for what remains different whatever is done.
        """
        done: list[Operation] = []
        words: list[str] = []
        while (operations := fill(self.compare())) or self.changes:
            told, words = words, [*map(str, self.changes)]
            if told == words or not operations:
                raise Refused(
                    f"no operation makes what the models have: {'; '.join(words)}",
                    hint="write it by hand: "
                    + command_line("makemigrations", empty=True, name="NAME"),
                )
            self.run(operations)
            done += operations
        return done

    def back_to(self, before: State) -> list[Operation]:
        """Return what brings the database back to what it was."""
        with quiet():
            builder = self._builder(self.stored(), before)
            return builder.operations([*_but(builder.changes(), NEVER_OURS)])

    def stored(self) -> Stored:
        """Return what the database has now, with its tables."""
        with quiet():
            return Stored(self.backend, self.connection, self.now)

    def _builder(self, source: State, target: State) -> Builder:
        return Builder(self.backend, self.context.dialect, source, target)

    def _ours(self, source: State, changes: Sequence[Change]) -> Iterator[Change]:
        """Yield the changes that the models ask for, and nobody has excluded."""
        wanted = filters.Filters(self.context, source, self.models)
        ours: list[Change] = []
        for change in _but(changes, NEVER_OURS):
            if change.after is None and change.before and "bound" in change.before.attributes:
                continue  # a part of a table, which is the history's own
            if wanted.includes(change) and (rest := wanted.without_ignored(change)):
                ours.append(rest)
        dropped = (change for change in ours if change.key.kind == TABLE and change.after is None)
        check_filled(self.metadatas, [change.key.table for change in dropped])
        changed = {change.old for change in ours}
        for change in ours:
            is_shared = change.after is None and change.key.kind in SHARED
            if not is_shared or self._is_left(change, changed):
                yield change

    def _is_left(self, change: Change, changed: Collection[Key | None]) -> bool:
        """Whether columns used a type or a sequence, and none that stays as it is."""
        users = [
            key for key, item in self.now.items() if key.kind == COLUMN and _uses(item, change)
        ]
        return bool(users) and all(
            key in changed or Key(TABLE, *key.place) in changed for key in users
        )

    def code(self, operations: Sequence[Operation]) -> Code:
        """Return the code of operations."""
        return render(self.context, operations, batch=self.backend.batch_migrations)

    def run(self, operations: Sequence[Operation]) -> Code:
        """Run operations, by the code that would stand in the revision, which is returned."""
        self._now = None
        return run(self.context, operations, batch=self.backend.batch_migrations)

    def _execute(self, code: Code) -> None:
        self._now = None
        execute(self.context, code)

    def rehearse(self, code: Code, before: State) -> tuple[Code, str]:
        """Run the code of a way back where no table has a row.

        Returns it with what else it takes, and what is said against it, if anything.
        """
        left: list[str] = []
        try:
            rows.delete(self.context)
            self._execute(code)
            while words := [*map(str, self.left(before.snapshot))]:
                if words == left:
                    return code, "; ".join(words)
                left = words
                more = self.code(self.back_to(before))
                self._execute(more)
                text = f"{code.text}\n    {more.text}"
                code = Code(text, code.imports | more.imports, code.notes | more.notes)
        except DBAPIError as error:
            return code, self.backend.message_of(error)
        except Exception as error:  # Alembic's own, of many kinds, or that of a type's code
            return code, " ".join(f"{type(error).__name__}: {error}".split())
        return code, ""

    def left(self, wanted: Snapshot) -> list[Change]:
        """Return in what the database is not what is wanted, names of constraints included."""
        serve = self.backend.keys_need_indexes
        return [*_but(difference(self.now, wanted, indexes_serve=serve), {SCHEMA})]


def _uses(column: Definition, change: Change) -> bool:
    key = change.key
    names = {key.name, f"{key.schema}.{key.name}"} - {f"None.{key.name}"}
    if key.kind == SEQUENCE:
        return any(name in str(column.parts.get("default", "")) for name in names)
    kind = column.attributes.get("type", "").removesuffix("[]").replace('"', "")
    return kind in names


def _but(changes: Sequence[Change], kinds: Any) -> Iterator[Change]:
    return (change for change in changes if change.key.kind not in kinds)


def metadatas_of(context: MigrationContext) -> list[MetaData]:
    """Return the models of env.py. Raises UsageError where it has none."""
    metadata = context.opts["target_metadata"]
    if metadata is None:
        raise UsageError(
            "env.py has no target_metadata, and nothing to compare with",
            hint='name the models: metadata="module:Base" in collection(...) in tasks.py',
        )
    return [metadata] if isinstance(metadata, MetaData) else [*metadata]


def check_filled(metadatas: Sequence[MetaData], dropped: Sequence[str]) -> None:
    """Refuse to drop all tables for metadata that nobody filled."""
    if dropped and not any(True for _ in tables_of(metadatas)):
        raise UsageError(
            f"the models have no tables, and the history has {', '.join(sorted(dropped))}",
            hint="let migrations/env.py import the modules that define the models; "
            f"if all are to be dropped: {command_line('makemigrations', empty=True)}, and write "
            "op.drop_table",
        )
