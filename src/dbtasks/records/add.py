"""Add records through the ORM, so that its defaults and events run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select
from sqlalchemy import update as update_statement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import RelationshipDirection, Session

from dbtasks import guards
from dbtasks.engines import Backend
from dbtasks.errors import ROLLED_BACK, DbtasksError, UsageError
from dbtasks.lookups.conditions import conditions
from dbtasks.lookups.fields import Relationship, find_field
from dbtasks.lookups.targets import Target, find_target, of_mapper
from dbtasks.project import Project
from dbtasks.records.assignments import shown, split_assignments, store
from dbtasks.records.files import TextRecord
from dbtasks.records.selection import check_rolls_back
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
    options = {"set": values, "set_null": nulls, "upsert": upsert}
    numbered = records is not None
    if records is None:
        records = [_one_record(values, nulls)]
    elif values or nulls:
        raise UsageError("a file and --set exclude each other", hint="leave one out")
    batches = _batches(_prepared(target, project.backend, records, numbered))
    first = next(batches, [])  # before anything is sent
    kind = _Tables if target.mapper is None else _Objects
    with project.session(writes=True, dry_run=dry_run) as session:
        if dry_run or numbered:
            check_rolls_back(project, session.connection(), target)
        writer = kind(project, target, session, upsert)
        count, keys = _write(writer, chain([first], batches), numbered)
        if not dry_run:
            connection = session.connection()
            project.backend.set_sequences(connection, [target.table])
            guards.note_write(project, connection, "add", count, model=target.name, **options)
    return Added(target.name, count, tuple(keys))


@dataclass(frozen=True)
class _Lookup:
    """Hold the conditions that find the one object of a relationship."""

    texts: tuple[str, ...]
    related: Target
    criteria: tuple[ColumnElement[bool], ...]


@dataclass(frozen=True)
class _Prepared:
    """Hold a record whose values are converted and checked."""

    record: Values
    values: dict[str, Any]
    lookups: dict[str, _Lookup]


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


def _batches(records: Iterator[_Prepared]) -> Iterator[list[_Prepared]]:
    """Yield batch after batch, so that memory does not grow with the number of records."""
    while batch := list(islice(records, BATCH)):
        yield batch


def _prepared(
    target: Target, backend: Backend, records: Iterable[Values], numbered: bool
) -> Iterator[_Prepared]:
    """Convert and check the values of each record."""
    for number, record in enumerate(records, 1):
        with _naming(number if numbered else None):
            prepared = _prepare(target, backend, record)
        yield prepared


def _prepare(target: Target, backend: Backend, record: Values) -> _Prepared:
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
    return _Prepared(record, values, lookups)


def _lookup(
    target: Target, backend: Backend, name: str, fields: Mapping[str, object]
) -> _Lookup | None:
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
    return _Lookup(tuple(f"{name}.{text}" for text in texts), related, tuple(criteria))


def _write(
    writer: "_Objects | _Tables", batches: Iterable[list[_Prepared]], numbered: bool
) -> tuple[int, list[Mapping[str, Any]]]:
    count = 0
    keys: list[Mapping[str, Any]] = []
    for batch in batches:
        found = _write_batch(writer, batch, count + 1 if numbered else None)
        count += len(found)
        keys.extend(found[: max(0, KEPT - len(keys))])
    return count, keys


def _write_batch(
    writer: "_Objects | _Tables", batch: list[_Prepared], first: int | None
) -> list[dict[str, Any]]:
    """Write some records; when the database refuses, find which one it was."""
    try:
        with writer.session.begin_nested():
            return writer.write(batch, first)
    except DBAPIError as error:
        number, refused = _refused_alone(writer, batch, error)
        told = writer.project.backend.explain(refused, state=ROLLED_BACK)
        if number is not None:
            place = "" if first is None else f"record {first + number}: "
            told.message = f"{place}{told.message} ({shown(batch[number].record)})"
        raise told from refused


def _refused_alone(
    writer: "_Objects | _Tables", batch: list[_Prepared], error: DBAPIError
) -> tuple[int | None, DBAPIError]:
    """Return which record is refused when they are written one by one, and the error then."""
    if error.connection_invalidated or writer.project.backend.has_ended(writer.outer):
        # A trigger may roll all back: each record would commit alone, and what we have here is
        # that the savepoint is gone.
        return None, _cause(error)
    for number, record in enumerate(batch):
        try:
            with writer.session.begin_nested():
                writer.write([record], None)
        except DBAPIError as refused:
            return number, refused
    return None, error


def _cause(error: DBAPIError) -> DBAPIError:
    """Return the first error of the database that led to this one."""
    found, here = error, error.__context__
    while here is not None:
        if isinstance(here, DBAPIError):
            found = here
        here = here.__context__
    return found


class _Writer:
    """Hold what writing needs, whatever the target is."""

    def __init__(self, project: Project, target: Target, session: Session, upsert: bool) -> None:
        self.project = project
        self.target = target
        self.session = session
        self.outer = session.connection()  # asked for again it would begin a savepoint
        self.upsert = upsert


class _Objects(_Writer):
    """Write records as objects of a mapped class."""

    def write(self, batch: list[_Prepared], first: int | None) -> list[dict[str, Any]]:
        """Write some records, and return their keys."""
        self.found: dict[tuple[str, ...], Any] = {}
        with self.session.no_autoflush:
            objects = []
            for index, record in enumerate(batch):
                with _naming(None if first is None else first + index):
                    objects.append(self._make(record))
        self.session.add_all(objects)
        self._flush()
        keys = [{name: getattr(one, name) for name in self.target.key} for one in objects]
        self.session.expunge_all()
        return keys

    def _make(self, record: _Prepared) -> Any:
        found = {name: self._look_up(lookup) for name, lookup in record.lookups.items()}
        self._check_agreement(record, found)
        try:
            if self.upsert:
                return self._change_or_make(record.values | found)
            return self.target.entity(**record.values, **found)
        except (DBAPIError, DbtasksError):
            raise
        except (TypeError, ValueError, AssertionError) as error:
            raise UsageError(
                f"{self.target.name} refuses these values: {error}", hint="mend --set, or the file"
            ) from error
        except Exception as error:
            raise project_raised(self.target.name, error) from error

    def _look_up(self, lookup: _Lookup) -> Any:
        """Return the one object that meets the conditions; each is asked for once a batch."""
        if lookup.texts not in self.found:
            statement = select(lookup.related.entity).where(*lookup.criteria).limit(2)
            found = self.session.scalars(statement).all()
            if len(found) != 1:
                name = lookup.related.name
                raise UsageError(
                    f"{' '.join(lookup.texts)} finds {'more than one' if found else 'no'} {name}",
                    hint=f"look with: inv query --model {name} --where …",
                )
            self.found[lookup.texts] = found[0]
        return self.found[lookup.texts]

    def _check_agreement(self, record: _Prepared, found: Mapping[str, Any]) -> None:
        """Refuse a column beside a relationship that sets it to another value."""
        unset = {name: None for name in record.values if name in self.target.relationships}
        for relationship, one in {**unset, **found}.items():
            for name, value in _references(self.target.relationships[relationship], one):
                if record.values.get(name, value) != value:
                    raise UsageError(
                        f"{relationship} sets {name} to {_shown(value)}, "
                        f"and it is set to {_shown(record.values[name])} too",
                        hint=f"leave out {name}, or {relationship}",
                    )

    def _change_or_make(self, values: Mapping[str, Any]) -> Any:
        """Set what is given in the record of this key, or make one; at once, as it may repeat."""
        one = self._find(values)
        if one is None:
            one = self.target.entity(**values)
            self.session.add(one)
        else:
            for name in values.keys() - set(self.target.key):
                setattr(one, name, values[name])
        self._flush()
        return one

    def _find(self, values: Mapping[str, Any]) -> Any:
        """Return the record of the key that is given, or None."""
        if not set(self.target.key) <= set(values):
            return None
        columns, equals = self.target.columns, self.project.backend.equals
        same = (equals(columns[name], values[name]) for name in self.target.key)
        return self.session.scalars(select(self.target.entity).where(*same)).first()

    def _flush(self) -> None:
        try:
            self.session.flush()
        except (DBAPIError, DbtasksError):
            raise
        except Exception as error:
            raise project_raised(self.target.name, error) from error


class _Tables(_Writer):
    """Write records as rows of a table that no class maps."""

    @property
    def connection(self) -> Connection:
        """Return the connection; asking for it is what begins a savepoint of the session."""
        return self.session.connection()

    def write(self, batch: list[_Prepared], first: int | None) -> list[dict[str, Any]]:
        """Write some rows, and return their keys."""
        return [self._write_one(record.values) for record in batch]

    def _write_one(self, row: dict[str, Any]) -> dict[str, Any]:
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
        equals = self.project.backend.equals
        same = and_(*(equals(columns[name], row[name]) for name in self.target.key))
        if set(row) == set(self.target.key):
            return self.connection.scalar(select(1).where(same)) is not None
        changed = update_statement(self.target.table).where(same).values(row)
        return self.connection.execute(changed).rowcount > 0


def _shown(value: object) -> object:
    return "NULL" if value is None else value


def _references(relationship: Relationship, one: Any) -> Iterator[tuple[str, Any]]:
    """Yield each column that refers to a related object, and its value with this one."""
    found = relationship.property
    mine = found.direction is RelationshipDirection.MANYTOONE
    for local, remote in found.local_remote_pairs if mine else ():
        there = None if one is None else found.mapper.get_property_by_column(remote).key
        here = found.parent.get_property_by_column(local).key
        yield here, there and getattr(one, there)


@contextmanager
def _naming(number: int | None) -> Iterator[None]:
    """Say in the error which record of a file it was."""
    try:
        yield
    except UsageError as error:
        if number is not None:
            error.message = f"record {number}: {error.message}"
            error.state = ROLLED_BACK if number > BATCH else error.state
        raise


def _to_one(target: Target, name: str) -> Relationship:
    field = find_field(target, name)
    if field.column is not None or field.to_many:
        raise UsageError(
            f"{name} is not a many-to-one relationship of {target.name}",
            hint=f"there are: {', '.join(target.relationships) or 'none'}",
        )
    return field.path[-1]
