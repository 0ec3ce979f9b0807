"""Delete records, by one DELETE … WHERE, and say what goes with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete as delete_statement
from sqlalchemy.sql.dml import Delete

from dbtasks.errors import UsageError
from dbtasks.project import Project
from dbtasks.records.changes import (
    Change,
    OnBatch,
    OnPreview,
    change_at_once,
    change_in_batches,
)
from dbtasks.records.effects import Effect, comes_back, effects_of
from dbtasks.records.selection import Criteria, select_records

OnEffects = Callable[[list[Effect]], None]


@dataclass(frozen=True)
class Deleted:
    """Count the records that were deleted, without those of other tables."""

    matched: int


def delete(
    project: Project,
    model: str | None = None,
    *,
    pk: Sequence[str] = (),
    where: Sequence[str] = (),
    everything: bool = False,
    expect: int | None = None,
    batch_size: int | None = None,
    pause: float = 0,
    dry_run: bool = False,
    on_effects: OnEffects | None = None,
    on_preview: OnPreview | None = None,
    on_batch: OnBatch | None = None,
) -> Deleted:
    """Delete the records that `pk` or `where` name, in one transaction.

    `on_effects` is called first, with what the deletion does in other tables. `on_preview`,
    `expect`, `batch_size`, `pause`, `on_batch` and `dry_run` are those of `update`.
    """
    selection = select_records(
        project, model, pk=pk, where=where, everything=everything, expect=expect
    )
    if pause and batch_size is None:
        raise UsageError("--pause goes with --batch-size", hint="add it, or leave out --pause")
    if on_effects is not None:
        on_effects(effects_of(selection, count=on_preview is not None or dry_run))

    def statement_of(criteria: Criteria) -> Delete:
        return delete_statement(selection.target.entity).where(*criteria)

    options = {
        "pk": pk,
        "where": where,
        "all": everything,
        "expect": expect,
        "batch_size": batch_size,
    }
    back = comes_back(selection.target.table)
    change = Change(selection, statement_of, "delete", options, {}, counts_first=back)
    if batch_size is not None and not dry_run:
        return Deleted(
            change_in_batches(
                change, size=batch_size, pause=pause, on_preview=on_preview, on_batch=on_batch
            )
        )
    return Deleted(change_at_once(change, dry_run=dry_run, on_preview=on_preview))
