"""The operations of a squash, made as makemigrations makes them, and run on a scratch database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.elements import conv

from dbtasks.engines.base.definitions import COLUMN, Change, Key
from dbtasks.migrations.autogenerate.rendering import together
from dbtasks.migrations.autogenerate.trial import NEVER_OURS, Trial
from dbtasks.migrations.editing.folded_items import Item
from dbtasks.migrations.editing.folded_schema import (
    FoldedSchema,
    FoldedTable,
    Unfoldable,
    with_attributes,
)
from dbtasks.migrations.editing.kept_rows import added_first, renames
from dbtasks.migrations.history.source_edit import Code
from dbtasks.schema.difference import RENAMABLE
from dbtasks.schema.tables import Models, Stored

ATTRIBUTES = {
    "null": "nullable",
    "default": "server_default",
    "onupdate": "server_default",
    "comment": "comment",
    "type": "type",
    "collation": "type",
}
"""The attributes of a definition, and those of a column that hold them."""


@dataclass(frozen=True)
class Both:
    """Hold the code of a squash in both directions; `left` is what it does not make."""

    upgrade: Code
    downgrade: Code
    left: Sequence[Change] = ()


class SquashTrial(Trial):
    """Bring a scratch database to what the range leaves, by the folded tables."""

    def _ours(self, source: Any, changes: Sequence[Change]) -> Iterator[Change]:
        """Yield all changes: what env.py leaves out of autogenerate the range did all the same."""
        return (change for change in changes if change.key.kind not in NEVER_OURS)


def make(
    context: MigrationContext, folded: FoldedSchema, wanted: Stored, before: FoldedSchema | None
) -> Both:
    """Return the code that makes of a database, which is before the range, what that leaves.

    `before` are the tables before the range, if there are any.
    """
    trial = SquashTrial(context, wanted.snapshot, [folded.metadata()])
    begun: Any = trial.stored()
    if before is not None and {*before.tables} == {*begun.tables}:
        begun = Models(context.dialect, [before.metadata()], trial.now)
    names = renames(folded)
    codes = [trial.run([operation]) for operation, _ in names]
    renamed = trial.stored() if names else begun
    codes += [trial.run([operation]) for operation in added_first(folded)]
    for _ in range(3):  # an operation may leave another to do, as in `Trial.follow`
        if not (operations := trial.compare()):
            break
        codes.append(trial.run(operations))
    if left := trial.left(wanted.snapshot):
        _take_over(trial, folded, left, wanted)
        return Both(together(codes), Code(""), left)
    reverse = [*trial.back_to(renamed), *(operation for _, operation in reversed(names))]
    downgrade, fault = trial.rehearse(trial.code(reverse), begun)
    if fault:
        raise Unfoldable(f"its way back cannot be made: {fault}")
    return Both(together(codes), downgrade)


# -- what the operations do not tell ----------------------------------------------------------


def _take_over(trial: Trial, folded: FoldedSchema, left: Sequence[Change], wanted: Stored) -> None:
    """Let the folded tables have what the database has, where the operations do not tell it."""
    made = Models(trial.context.dialect, trial.metadatas, trial.now)
    for change in left:
        table = folded.tables.get(change.key.place)
        if table is not None and change.key.kind == COLUMN:
            _take_column(table, change, wanted)
        elif table is not None and change.key.kind in RENAMABLE:
            _take_item(table, change, _item_of(table, made, change.old), wanted)


def _take_column(table: FoldedTable, change: Change, wanted: Stored) -> None:
    column = table.column(change.key.name)
    if column is None or change.new is None:
        return
    known = wanted.column(change.new)
    names = {ATTRIBUTES.get(name, "") for name in change.attributes}
    if "" in names or change.old is None:
        column.column = known
    else:
        column.column = with_attributes(
            column.column, {name: getattr(known, name) for name in names}
        )


def _item_of(table: FoldedTable, made: Models, key: Key | None) -> Item | None:
    built = made.objects.get(key) if key else None
    return next((item for item in table.items if built is not None and item.built is built), None)


def _take_item(table: FoldedTable, change: Change, item: Item | None, wanted: Stored) -> None:
    """Drop, rename or add a constraint or an index."""
    if item is not None and change.new is not None and change.old != change.new:
        item.name = conv(change.new.name)
        return
    if item is not None:
        table.items.remove(item)
    known = wanted.objects.get(change.new) if change.new else None
    if known is not None:
        table.items.append(Item(known))
