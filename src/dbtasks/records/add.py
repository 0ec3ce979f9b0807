"""Add records through the ORM, so that its defaults and events run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy import update as update_statement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dbtasks import guards
from dbtasks.errors import ROLLED_BACK, DbtasksError, UsageError
from dbtasks.project import Project
from dbtasks.records.assignments import shown, split_assignments, store
from dbtasks.records.fields import Relationship, find_field
from dbtasks.records.files import TextRecord
from dbtasks.records.lookups import conditions
from dbtasks.records.targets import Target, find_target, of_mapper
from dbtasks.references import project_raised

BATCH = 1000
KEPT = 100
"""Keys that are returned; beyond them only the number is."""

Values = Mapping[str, object]


@dataclass(frozen=True)
class Added:
    """Count the records that were added, and name the first of them by their keys."""

    target: str
    count: int
    keys: tuple[Mapping[str, Any], ...]


def add(
    project: Project,
    model: str | None = None,
    *,
    values: Sequence[str] = (),
    nulls: Sequence[str] = (),
    records: Iterable[Values] | None = None,
    upsert: bool = False,
    dry_run: bool = False,
) -> Added:
    """Add one record of `values` and `nulls`, or all of `records`, in one transaction.

    Each of `values` is `FIELD=VALUE`; a record gives a text or a JSON value for each field. A
    relationship is set by a lookup, as `department.name=Engineering`. With `upsert` a
    record whose primary key is there is changed instead. Raises UsageError for what a column
    cannot hold, and for a lookup that finds none or several.
    """
    target = find_target(project, model)
    if records is None:
        records = [TextRecord(dict(split_assignments(values)) | dict.fromkeys(nulls))]
        numbered = False
    elif values or nulls:
        raise UsageError("a file and --set exclude each other", hint="leave one out")
    else:
        numbered = True
    writer = _Tables if target.mapper is None else _Objects
    with project.session(writes=True, dry_run=dry_run) as session:
        made = writer(project, target, session, upsert)
        count, keys = _write(made, iter(records), numbered)
        if not dry_run:
            project.backend.set_sequences(session.connection(), [target.table])
            guards.note_write(project, session.connection(), f"add {target.name}", count)
    return Added(target.name, count, tuple(keys))


def _write(
    writer: "_Objects | _Tables", records: Iterator[Values], numbered: bool
) -> tuple[int, list[Mapping[str, Any]]]:
    """Write batch after batch, so that memory does not grow with the number of records."""
    count = 0
    keys: list[Mapping[str, Any]] = []
    while batch := list(islice(records, BATCH)):
        found = _write_batch(writer, batch, count + 1 if numbered else None)
        count += len(found)
        keys.extend(found[: max(0, KEPT - len(keys))])
    return count, keys


def _write_batch(
    writer: "_Objects | _Tables", batch: list[Values], first: int | None
) -> list[dict[str, Any]]:
    """Write some records; when the database refuses, find which one it was."""
    try:
        with writer.session.begin_nested():
            return writer.write(batch, first)
    except DBAPIError as error:
        told = writer.project.backend.explain(error, state=ROLLED_BACK)
        number, record = _refused_alone(writer, batch, first)
        if record is not None:
            place = "" if first is None else f"record {first + number}: "
            told.message = f"{place}{told.message} ({shown(record)})"
        raise told from error


def _refused_alone(
    writer: "_Objects | _Tables", batch: list[Values], first: int | None
) -> tuple[int, Values | None]:
    for number, record in enumerate(batch):
        try:
            with writer.session.begin_nested():
                writer.write([record], first)
        except DBAPIError:
            return number, record
    return 0, None


class _Objects:
    """Write records as objects of a mapped class."""

    def __init__(self, project: Project, target: Target, session: Session, upsert: bool) -> None:
        self.project = project
        self.target = target
        self.session = session
        self.upsert = upsert

    def write(self, batch: list[Values], first: int | None) -> list[dict[str, Any]]:
        """Write some records, and return their keys."""
        with self.session.no_autoflush:
            objects = [
                _naming(None if first is None else first + index, self._make, record)
                for index, record in enumerate(batch)
            ]
            if self.upsert:
                objects = [self.session.merge(one) for one in objects]
        self.session.add_all(objects)
        self._flush()
        keys = [{name: getattr(one, name) for name in self.target.key} for one in objects]
        self.session.expunge_all()
        return keys

    def _make(self, record: Values) -> Any:
        from_json = not isinstance(record, TextRecord)
        values: dict[str, Any] = {}
        lookups: dict[str, list[str]] = {}
        for name, value in record.items():
            if "." in name:
                lookups.setdefault(name.partition(".")[0], []).append(f"{name}={value}")
            else:
                values[name] = store(
                    self.target, self.project.backend, name, value, from_json=from_json
                )
        for name, texts in lookups.items():
            values[name] = self._look_up(name, texts)
        try:
            return self.target.entity(**values)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{self.target.name} refuses these values: {error}", hint="mend --set, or the file"
            ) from error

    def _look_up(self, name: str, texts: list[str]) -> Any:
        """Return the one object of a relationship that meets the conditions."""
        relationship = _to_one(self.target, name)
        related = of_mapper(relationship.property.mapper)
        inner = conditions(
            related, self.project.backend, [text.partition(".")[2] for text in texts]
        )
        found = self.session.scalars(select(related.entity).where(*inner).limit(2)).all()
        if len(found) != 1:
            number = "no" if not found else "more than one"
            raise UsageError(
                f"{' '.join(texts)} finds {number} {related.name}",
                hint=f"look with: inv query --model {related.name} --where …",
            )
        return found[0]

    def _flush(self) -> None:
        try:
            self.session.flush()
        except (DBAPIError, DbtasksError):
            raise
        except Exception as error:
            raise project_raised(self.target.name, error) from error


class _Tables:
    """Write records as rows of a table that no class maps."""

    def __init__(self, project: Project, target: Target, session: Session, upsert: bool) -> None:
        self.project = project
        self.target = target
        self.session = session
        self.connection: Connection = session.connection()
        self.upsert = upsert

    def write(self, batch: list[Values], first: int | None) -> list[dict[str, Any]]:
        """Write some rows, and return their keys."""
        return [
            _naming(None if first is None else first + index, self._write_one, record)
            for index, record in enumerate(batch)
        ]

    def _write_one(self, record: Values) -> dict[str, Any]:
        backend = self.project.backend
        from_json = not isinstance(record, TextRecord)
        row = {
            name: store(self.target, backend, name, value, from_json=from_json)
            for name, value in record.items()
        }
        if self.upsert and self._change(row):
            return {name: row[name] for name in self.target.key}
        result = self.connection.execute(insert(self.target.table).values(row))
        key = result.inserted_primary_key or ()
        return dict(zip(self.target.key, key, strict=False))

    def _change(self, row: dict[str, Any]) -> bool:
        """Change the row that has this key, and say whether there is one."""
        if not set(self.target.key) <= set(row):
            return False
        columns = self.target.columns
        same = and_(*(columns[name] == row[name] for name in self.target.key))
        if set(row) == set(self.target.key):
            return self.connection.scalar(select(1).where(same)) is not None
        changed = update_statement(self.target.table).where(same).values(row)
        return self.connection.execute(changed).rowcount > 0


def _naming(number: int | None, make: Any, record: Values) -> Any:
    """Say in the error which record of a file it was."""
    try:
        return make(record)
    except UsageError as error:
        if number is not None:
            error.message = f"record {number}: {error.message}"
        error.state = "rolled back" if number is not None and number > 1 else error.state
        raise


def _to_one(target: Target, name: str) -> Relationship:
    field = find_field(target, name)
    if field.column is not None or field.to_many:
        raise UsageError(
            f"{name} is not a many-to-one relationship of {target.name}",
            hint=f"there are: {', '.join(target.relationships) or 'none'}",
        )
    return field.path[-1]
