"""Write records as objects or rows, and count those that were there and are changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    Update,
    bindparam,
    event,
    insert,
    select,
)
from sqlalchemy import update as update_statement
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import RelationshipDirection, Session, object_mapper
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import NullType

from dbtasks.engines.base.bulk import LeftOutError
from dbtasks.errors import ROLLED_BACK, DbtasksError, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.lookups.fields import Relationship
from dbtasks.lookups.targets import Target
from dbtasks.project import Project
from dbtasks.records.changes import FIRST, Preview
from dbtasks.records.taken import Taken
from dbtasks.references import project_raised

T = TypeVar("T")

BATCH = 1000
"""Records that are written, and refused, together."""

Row = tuple[Any, ...]
Values = Mapping[str, object]

Spelled = Mapping[tuple[Table, str], object]
"""Columns of a key, each by its table and its name there, and what is stored in them."""


@dataclass(frozen=True)
class Lookup:
    """Hold the conditions that find the one object of a relationship."""

    texts: tuple[str, ...]
    related: Target
    criteria: tuple[ColumnElement[bool], ...]


@dataclass(frozen=True)
class Prepared:
    """Hold a record whose values are converted and checked."""

    record: Values
    values: dict[str, Any]
    lookups: dict[str, Lookup]


class Changed:
    """Count the existing records that are changed, and keep the first as they were and are."""

    def __init__(self) -> None:
        self.count = 0
        self.before: list[Row] = []
        self.after: list[Row] = []

    def check(self, expect: int | None) -> None:
        """Raise Refused when another number was expected."""
        if expect is not None and self.count != expect:
            raise Refused(
                f"{self.count} existing records would be changed, and --expect says {expect}",
                hint=f"look at them with: {command_line('get', pk='KEY')}, or with "
                "--upsert --dry-run",
                state=ROLLED_BACK,
            )

    def preview(self, columns: tuple[str, ...]) -> Preview:
        """Return what is shown before the commit."""
        return Preview(self.count, columns, self.before, self.after, "")


class Writer:
    """Hold what writing needs, whatever the target is."""

    def __init__(
        self, project: Project, target: Target, session: Session, upsert: bool, *, shows: bool
    ) -> None:
        self.project = project
        self.target = target
        self.session = session
        self.outer = session.connection()  # asked for again it would begin a savepoint
        self.upsert = upsert
        self.shows = shows
        self.changed = Changed()
        self.taken = Taken(project, self.outer, target)

    def write(
        self, batch: list[Prepared], first: int | None, *, by_size: bool = False
    ) -> list[dict[str, Any]]:
        """Write some records, and return their keys.

        Raises LeftOutError where the database leaves some out, counted as `Taken.checked` says.
        """
        with self.taken.checked(by_size=by_size):
            return self._write(batch, first)

    def _write(self, batch: list[Prepared], first: int | None) -> list[dict[str, Any]]:
        raise NotImplementedError

    def _same(self, values: Mapping[str, Any]) -> list[ColumnElement[bool]]:
        """Return the conditions of the record that has the key of these values."""
        columns, equals = self.target.columns, self.project.backend.equals
        return [equals(columns[name], values[name]) for name in self.target.key]

    def note_change(self, criteria: Sequence[ColumnElement[bool]], change: Callable[[], T]) -> T:
        """Change an existing record, count it, and keep the first as they were and are."""
        kept = self.shows and len(self.changed.before) < FIRST
        read = select(*self.target.columns.values()).where(*criteria)
        before = self.outer.execute(read).first() if kept else None
        result = change()
        self.changed.count += 1
        if before is not None:
            after = self.outer.execute(read).first()
            self.changed.before.append(tuple(before))
            self.changed.after.append(tuple(after or before))
        return result


class Objects(Writer):
    """Write records as objects of a mapped class."""

    def _write(self, batch: list[Prepared], first: int | None) -> list[dict[str, Any]]:
        self.found: dict[tuple[str, ...], Any] = {}
        with self.session.no_autoflush:
            objects = []
            for index, record in enumerate(batch):
                with naming(None if first is None else first + index):
                    objects.append(self._make(record))
        self.session.add_all(objects)
        self._flush()
        keys = [{name: getattr(one, name) for name in self.target.key} for one in objects]
        self.session.expunge_all()
        return keys

    def _make(self, record: Prepared) -> Any:
        found = {name: self._look_up(lookup) for name, lookup in record.lookups.items()}
        self._check_agreement(record, found)
        try:
            if self.upsert:
                return self._change_or_make(record.values | found)
            self.taken.sent += 1
            return self.target.entity(**record.values, **found)
        except (DBAPIError, DbtasksError, LeftOutError):
            raise
        except (TypeError, ValueError, AssertionError) as error:
            raise UsageError(
                f"{self.target.name} refuses these values: {error}", hint="fix --set, or the file"
            ) from error
        except Exception as error:
            raise project_raised(self.target.name, error) from error

    def _look_up(self, lookup: Lookup) -> Any:
        """Return the one object that meets the conditions; each is asked for once a batch."""
        if lookup.texts not in self.found:
            statement = select(lookup.related.entity).where(*lookup.criteria).limit(2)
            found = self.session.scalars(statement).all()
            if len(found) != 1:
                name = lookup.related.name
                raise UsageError(
                    f"{' '.join(lookup.texts)} finds {'more than one' if found else 'no'} {name}",
                    hint="look with: " + command_line("query", model=name, where="FIELD=VALUE"),
                )
            self.found[lookup.texts] = found[0]
        return self.found[lookup.texts]

    def _check_agreement(self, record: Prepared, found: Mapping[str, Any]) -> None:
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
        one, spelled = self._find(values)
        if one is None:
            self.taken.sent += 1
            one = self.target.entity(**values)
            self.session.add(one)
        else:
            names = values.keys() - set(self.target.key)
            if names:
                with _spelling(self.outer, spelled):
                    self.note_change(self._same(values), lambda: self._set(one, values, names))
        self._flush()
        return one

    def _set(self, one: Any, values: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in names:
            setattr(one, name, values[name])
        self._flush()

    def _find(self, values: Mapping[str, Any]) -> tuple[Any, Spelled]:
        """Return the record of the key that is given, or None, and how its key is spelled."""
        names = self.target.key
        if not set(names) <= set(values):
            return None, {}
        stored = [
            self.project.backend.stored(self.target.columns[name]).label(f"dbtasks_{name}")
            for name in names
        ]
        statement = select(self.target.entity, *stored).where(*self._same(values))
        row = self.session.execute(statement).first()
        if row is None:
            return None, {}
        one, *key = row
        found = dict(zip(names, key, strict=True))
        mapper = object_mapper(one)
        return one, {
            (table, column.key): found[name]
            for table in mapper.tables
            if isinstance(table, Table)
            for column in table.primary_key
            if (name := mapper.get_property_by_column(column).key) in found
            and found[name] != getattr(one, name)
        }

    def _flush(self) -> None:
        try:
            self.session.flush()
        except (DBAPIError, DbtasksError):
            raise
        except Exception as error:
            if isinstance(error, SQLAlchemyError):
                self.taken.check_reply(error)
            raise project_raised(self.target.name, error) from error


class Tables(Writer):
    """Write records as rows of a table that no class maps."""

    @property
    def connection(self) -> Connection:
        """Return the connection; asking for it is what begins a savepoint of the session."""
        return self.session.connection()

    def _write(self, batch: list[Prepared], first: int | None) -> list[dict[str, Any]]:
        return [self._write_one(record.values) for record in batch]

    def _write_one(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.upsert and self._change(row):
            return {name: row[name] for name in self.target.key}
        self.taken.sent += 1
        result = self.connection.execute(insert(self.target.table).values(row))
        key = result.inserted_primary_key or ()
        return dict(zip(self.target.key, key, strict=False))

    def _change(self, row: dict[str, Any]) -> bool:
        """Change the row that has this key, and say whether there is one."""
        if not set(self.target.key) <= set(row):
            return False
        same = self._same(row)
        if self.connection.scalar(select(1).select_from(self.target.table).where(*same)) is None:
            return False
        new = {name: value for name, value in row.items() if name not in self.target.key}
        if new:
            changed = update_statement(self.target.table).where(*same).values(new)
            result = self.note_change(same, lambda: self.connection.execute(changed))
            if not result.rowcount:
                raise LeftOutError(1, 0)
        return True


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
def _spelling(connection: Connection, spelled: Spelled) -> Iterator[None]:
    """Let each UPDATE of the ORM in the block name its row by the key as it is stored.

    It would name it as the column's type spells it, and find nothing: SQLite stores an instant in
    several spellings.
    """

    def respelled(
        connection: Connection, statement: Any, many: Any, one: Any, options: object
    ) -> tuple[Any, Any, Any]:
        if isinstance(statement, Update):
            stored = {
                f"{table.name}_{name}": value
                for (table, name), value in spelled.items()
                if table is statement.table
            }

            def plain(element: Any, **options: object) -> Any:
                known = isinstance(element, BindParameter) and element.key in stored
                return bindparam(element.key, type_=NullType()) if known else None

            statement = replacement_traverse(statement, {}, plain)
            one, many = {**one, **stored}, [{**each, **stored} for each in many]
        return statement, many, one

    if not spelled:
        yield
        return
    event.listen(connection, "before_execute", respelled, retval=True)
    try:
        yield
    finally:
        event.remove(connection, "before_execute", respelled)


@contextmanager
def naming(number: int | None) -> Iterator[None]:
    """Say in the error which record of a file it was."""
    try:
        yield
    except UsageError as error:
        if number is not None:
            error.message = f"record {number}: {error.message}"
            error.state = ROLLED_BACK if number > BATCH else error.state
        raise
