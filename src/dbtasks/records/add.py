"""Add records through the ORM, so that its defaults and events run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy.exc import DBAPIError

from dbtasks import guards
from dbtasks.engines import Backend
from dbtasks.engines.base.bulk import BATCH_BYTES, LeftOutError
from dbtasks.errors import ROLLED_BACK, DbtasksError, Rejected, UsageError
from dbtasks.locks import hold
from dbtasks.lookups.conditions import conditions
from dbtasks.lookups.fields import Relationship, find_field
from dbtasks.lookups.targets import Target, find_target, of_mapper
from dbtasks.project import Project
from dbtasks.records.assignments import shown, split_assignments, store
from dbtasks.records.changes import OnPreview
from dbtasks.records.files import TextRecord
from dbtasks.records.selection import check_rolls_back
from dbtasks.records.sessions import open_session
from dbtasks.records.writers import BATCH, Lookup, Objects, Prepared, Tables, naming

KEPT = 100
"""Keys that are returned; beyond them only the number is."""

Refusal = DBAPIError | LeftOutError | Rejected

Values = Mapping[str, object]


@dataclass(frozen=True)
class Added:
    """Count the records that were added, and name the first of them by their keys.

    `overwritten` of them were there, and have other values now.
    """

    target: str
    count: int
    keys: tuple[Mapping[str, Any], ...]
    overwritten: int = 0


def add(
    project: Project,
    model: str | None = None,
    *,
    values: Sequence[str] = (),
    nulls: Sequence[str] = (),
    records: Iterable[Values] | None = None,
    upsert: bool = False,
    expect: int | None = None,
    dry_run: bool = False,
    on_preview: OnPreview | None = None,
) -> Added:
    """Add one record of `values` and `nulls`, or all of `records`, in one transaction.

    Each of `values` is `FIELD=VALUE`; a record gives a text or a JSON value for each field. A
    relationship is set by a lookup, as `department.name=Engineering`. With `upsert` a
    record whose primary key is there is changed instead; another number of these than `expect`
    raises Refused. `on_preview` is called with them before the commit, where there are any, and
    rolls back by raising. Raises UsageError for what a column cannot hold, and for a lookup that
    finds none or several.
    """
    if expect is not None and not upsert:
        raise UsageError(
            "--expect counts existing records that are changed",
            hint="add --upsert, or leave it out",
        )
    target = find_target(project, model)
    options = {"set": values, "set_null": nulls, "upsert": upsert, "expect": expect}
    numbered = records is not None
    if records is None:
        records = [_one_record(values, nulls)]
    elif values or nulls:
        raise UsageError("a file and --set exclude each other", hint="leave one out")
    batches = _batches(_prepared(target, project.backend, records, numbered))
    first = next(batches, [])  # before anything is sent
    kind = Tables if target.mapper is None else Objects
    alone = _alone(project, upsert=upsert)
    with alone, open_session(project, writes=True, dry_run=dry_run) as session:
        if dry_run or numbered or expect is not None or on_preview is not None:
            check_rolls_back(project, session.connection(), target)
        writer = kind(project, target, session, upsert, shows=on_preview is not None)
        count, keys = _write(writer, chain([first], batches), numbered)
        writer.changed.check(expect)
        if on_preview is not None and writer.changed.count:
            on_preview(writer.changed.preview(tuple(target.columns)))
        if not dry_run:
            connection = session.connection()
            project.backend.set_sequences(connection, [target.table])
            guards.note_write(project, connection, "add", count, model=target.name, **options)
    return Added(target.name, count, tuple(keys), writer.changed.count)


def _alone(project: Project, *, upsert: bool) -> AbstractContextManager[object]:
    """Keep others out between the look for a record and its INSERT: they may add it."""
    return hold(project, "add") if upsert else nullcontext()


def _one_record(values: Sequence[str], nulls: Sequence[str]) -> TextRecord:
    """Return the record of --set and --set-null."""
    record = TextRecord()
    for name, text in [*split_assignments(values), *((name, None) for name in nulls)]:
        if name in record:
            raise UsageError(f"{name} is set twice", hint="leave one out")
        record[name] = text
    if not record:
        raise UsageError("nothing is set", hint="add --set FIELD=VALUE, or --from-file")
    return record


def _batches(records: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    """Yield batch after batch, so that memory does not grow with the number of records."""
    batch: list[Prepared] = []
    size = 0
    for record in records:
        more = sum(len(one) for one in record.values.values() if isinstance(one, (str, bytes)))
        if batch and (len(batch) == BATCH or size + more > BATCH_BYTES):  # a large one goes alone
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += more
    if batch:
        yield batch


def _prepared(
    target: Target, backend: Backend, records: Iterable[Values], numbered: bool
) -> Iterator[Prepared]:
    """Convert and check the values of each record."""
    for number, record in enumerate(records, 1):
        with naming(number if numbered else None):
            prepared = _prepare(target, backend, record)
        yield prepared


def _prepare(target: Target, backend: Backend, record: Values) -> Prepared:
    from_json = not isinstance(record, TextRecord)
    values: dict[str, Any] = {}
    parts: dict[str, dict[str, object]] = {}
    for name, value in record.items():
        relationship, dot, field = name.partition(".")
        if dot:
            parts.setdefault(relationship, {})[field] = value
        else:
            values[name] = store(target, backend, name, value, from_json=from_json)
    lookups = {}
    for name, fields in parts.items():
        lookup = _lookup(target, backend, name, fields)
        if lookup is None:
            values[name] = None
        else:
            lookups[name] = lookup
    return Prepared(record, values, lookups)


def _lookup(
    target: Target, backend: Backend, name: str, fields: Mapping[str, object]
) -> Lookup | None:
    """Return the conditions for a relationship; None where all are NULL, and so is it."""
    related = of_mapper(_to_one(target, name).property.mapper)
    if all(value is None for value in fields.values()):
        for field in fields:
            find_field(related, field)
        return None
    texts = [
        f"{field}__isnull=true" if value is None else f"{field}={value}"
        for field, value in fields.items()
    ]
    criteria = conditions(related, backend, texts)
    return Lookup(tuple(f"{name}.{text}" for text in texts), related, tuple(criteria))


def _write(
    writer: "Objects | Tables", batches: Iterable[list[Prepared]], numbered: bool
) -> tuple[int, list[Mapping[str, Any]]]:
    count = 0
    keys: list[Mapping[str, Any]] = []
    for batch in batches:
        found = _write_batch(writer, batch, count + 1 if numbered else None)
        count += len(found)
        keys.extend(found[: max(0, KEPT - len(keys))])
    return count, keys


def _write_batch(
    writer: "Objects | Tables", batch: list[Prepared], first: int | None
) -> list[dict[str, Any]]:
    """Write some records; when the database refuses, find which one it was."""
    try:
        return _write_together(writer, batch, first)
    except (DBAPIError, LeftOutError, Rejected) as error:
        number, refused = _refused_alone(writer, batch, error)
        told = _explain(writer, refused)
        if number is not None:
            place = "" if first is None else f"record {first + number}: "
            told.message = f"{place}{told.message} ({shown(batch[number].record)})"
        raise told from refused


def _write_together(
    writer: "Objects | Tables", records: list[Prepared], first: int | None
) -> list[dict[str, Any]]:
    try:
        with writer.session.begin_nested():
            return writer.write(records, first)
    except LeftOutError:  # by what the statements count; to count the table takes longer
        with writer.session.begin_nested():
            return writer.write(records, first, by_size=True)


def _refused_alone(
    writer: "Objects | Tables", batch: list[Prepared], error: Refusal
) -> tuple[int | None, Refusal]:
    """Return which record is refused when they are written one by one, and the error then."""
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or writer.project.backend.has_ended(writer.outer)
    ):
        # A trigger may roll all back: each record would commit alone, and what we have here is
        # that the savepoint is gone.
        return None, _cause(error)
    for number, record in enumerate(batch):
        try:
            _write_together(writer, [record], None)
        except (DBAPIError, LeftOutError, Rejected) as refused:
            return number, refused
    return None, error


def _explain(writer: "Objects | Tables", error: Refusal) -> DbtasksError:
    """Say in the user's terms why the database has not taken a record."""
    if isinstance(error, DBAPIError):
        return writer.project.backend.explain(error, state=ROLLED_BACK)
    return error.told(writer.target.table.fullname) if isinstance(error, LeftOutError) else error


def _cause(error: DBAPIError) -> DBAPIError:
    """Return the first error of the database that led to this one."""
    found, here = error, error.__context__
    while here is not None:
        if isinstance(here, DBAPIError):
            found = here
        here = here.__context__
    return found


def _to_one(target: Target, name: str) -> Relationship:
    field = find_field(target, name)
    if field.column is not None or field.to_many:
        raise UsageError(
            f"{name} is not a many-to-one relationship of {target.name}",
            hint=f"there are: {', '.join(target.relationships) or 'none'}",
        )
    return field.path[-1]
