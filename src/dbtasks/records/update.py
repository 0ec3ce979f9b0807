"""Set values in records, by one UPDATE … WHERE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Null, func, or_, select
from sqlalchemy import update as update_statement
from sqlalchemy.sql.dml import Update

from dbtasks.engines import Backend
from dbtasks.errors import Rejected, UsageError
from dbtasks.project import Project
from dbtasks.records.assignments import read_assignments, shown
from dbtasks.records.changes import (
    Change,
    OnBatch,
    OnPreview,
    change_at_once,
    change_in_batches,
)
from dbtasks.records.selection import Criteria, Selection, select_records


@dataclass(frozen=True)
class Updated:
    """Count the records that met the conditions, and those that had another value before."""

    matched: int
    changed: int


def update(
    project: Project,
    model: str | None = None,
    *,
    pk: Sequence[str] = (),
    where: Sequence[str] = (),
    everything: bool = False,
    values: Sequence[str] = (),
    nulls: Sequence[str] = (),
    expect: int | None = None,
    batch_size: int | None = None,
    pause: float = 0,
    dry_run: bool = False,
    on_preview: OnPreview | None = None,
    on_batch: OnBatch | None = None,
) -> Updated:
    """Set values in the records that `pk` or `where` name, in one transaction.

    Each of `values` is `FIELD=VALUE`, each of `nulls` a field. `on_preview` is called before the
    commit, and rolls back by raising. With `expect` another number of records raises Refused.
    With `batch_size` each batch is a transaction, `pause` seconds apart, and `on_batch` is
    called after it. With `dry_run` all is rolled back.
    """
    selection = select_records(
        project, model, pk=pk, where=where, everything=everything, expect=expect
    )
    new = read_assignments(selection.target, project.backend, values, nulls)
    if pause and batch_size is None:
        raise UsageError("--pause goes with --batch-size", hint="add it, or leave out --pause")
    if not new:
        raise UsageError("nothing is set", hint="add --set FIELD=VALUE, or --set-null FIELD")
    changed = _count_changes(selection, new)

    def statement_of(criteria: Criteria) -> Update:
        return update_statement(selection.target.entity).where(*criteria).values(new)

    options = {
        "pk": pk,
        "where": where,
        "all": everything,
        "set": values,
        "set_null": nulls,
        "expect": expect,
        "batch_size": batch_size,
    }
    change = Change(selection, statement_of, "update", options, new)
    try:
        if batch_size is not None and not dry_run:
            matched = change_in_batches(
                change, size=batch_size, pause=pause, on_preview=on_preview, on_batch=on_batch
            )
        else:
            matched = change_at_once(change, dry_run=dry_run, on_preview=on_preview)
    except Rejected as error:
        error.message = f"{error.message} ({shown(new)})"
        raise
    return Updated(matched, min(changed, matched))


def _count_changes(selection: Selection, new: Mapping[str, Any]) -> int:
    """Return the number of records that have another value now."""
    columns = selection.target.columns
    backend = selection.project.backend
    counted = select(func.count()).select_from(selection.target.entity)
    with selection.project.connect() as connection:
        differs = or_(*(_differs(backend, columns[name], value) for name, value in new.items()))
        return connection.scalar(counted.where(*selection.criteria, differs)) or 0


def _differs(backend: Backend, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    """Compare as the lookups do: for MySQL's = upper case and lower case are the same."""
    if value is None or isinstance(value, Null):
        return column.is_not(None)
    return or_(column.is_(None), ~backend.equals(column, value))
