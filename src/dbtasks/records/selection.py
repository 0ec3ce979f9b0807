"""Which records a command changes: named by key or by conditions, or expressly all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select, tuple_

from dbtasks.engines import Backend
from dbtasks.errors import ROLLED_BACK, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.lookups.conditions import conditions, convert_known
from dbtasks.lookups.targets import Target, find_target, of_mapper
from dbtasks.project import Project
from dbtasks.values.printing import shown

Key = tuple[Any, ...]
Criteria = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True)
class Selection:
    """Hold the records of a target that meet the criteria."""

    project: Project
    target: Target
    criteria: Criteria
    expect: int | None
    asks_itself: bool
    """Whether the conditions look at other records of the same table."""

    def count(self, connection: Connection) -> int:
        """Return the number of records."""
        return self.count_of(connection, self.criteria)

    def count_of(self, connection: Connection, criteria: Criteria) -> int:
        """Return the number of records that meet other criteria."""
        counted = select(func.count()).select_from(self.target.entity).where(*criteria)
        return connection.scalar(counted) or 0

    def first(self, connection: Connection, number: int) -> list[tuple[Any, ...]]:
        """Return the first records in the order of their key, all columns of each."""
        shown = self._shown()
        return [tuple(row) for row in connection.execute(self._ordered(*shown).limit(number))]

    def check_expected(self, number: int, state: str = ROLLED_BACK) -> None:
        """Raise Refused when another number of records was expected."""
        if self.expect is not None and number != self.expect:
            raise Refused(
                f"{number} records match, and --expect says {self.expect}",
                hint=f"look at them with: {command_line('query', where='FIELD=VALUE')}",
                state=state,
            )

    def same(
        self, connection: Connection, rows: Sequence[tuple[Any, ...]], new: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Return the records of these rows as they are now, `new` being set; () for one gone."""
        columns = self._shown()
        names = self.target.key
        keys = [tuple(map(new.get, names, row)) for row in rows]
        if not keys or not names:
            return []
        matches = or_(*(self._has_key(key) for key in keys))
        found = [tuple(row) for row in connection.execute(select(*columns).where(matches))]
        by_key = {row[: len(names)]: row for row in found}
        return [by_key.get(key, ()) for key in keys]

    def _has_key(self, key: Sequence[Any]) -> ColumnElement[bool]:
        equals = self.project.backend.equals
        return and_(*map(equals, self._key_columns(), key))

    def last_key(self, connection: Connection) -> Key | None:
        """Return the highest key of the table as it is stored, whether selected or not."""
        columns = self._stored_key()
        descending = select(*columns).order_by(*(column.desc() for column in columns))
        row = connection.execute(descending.limit(1)).first()
        return None if row is None else tuple(row)

    def batch(
        self, connection: Connection, after: Key | None, end: Key, size: int
    ) -> tuple[Criteria, Key, bool]:
        """Return the criteria of the next records by key, its last key, and whether more follow.

        No record beyond `end` is among them.
        """
        columns = self._stored_key()
        criteria = self.criteria if after is None else (*self.criteria, _beyond(columns, after))
        within = (*criteria, _until(columns, end))
        found = select(*columns).select_from(self.target.entity).where(*within)
        rows = connection.execute(found.order_by(*columns).offset(size - 1).limit(2)).all()
        last = tuple(rows[0]) if rows else end
        # One upper bound: of two, SQLite takes the first, and reads on to the end each time.
        return (*criteria, _until(columns, last)), last, len(rows) > 1

    def for_change(self, criteria: Criteria) -> Criteria:
        """Return criteria for an UPDATE or DELETE, which MySQL forbids to ask its own table.

        Those that do ask a copy of the keys: DISTINCT keeps it from being merged.
        """
        columns = self._key_columns()
        if not columns or not self.asks_itself:
            return criteria
        found = select(*columns).select_from(self.target.entity).where(*criteria)
        copied = select(*found.distinct().subquery().columns)
        return ((columns[0] if len(columns) == 1 else tuple_(*columns)).in_(copied),)

    def _shown(self) -> list[ColumnElement[Any]]:
        return [shown(one, self.project.backend) for one in self.target.columns.values()]

    def _key_columns(self) -> list[ColumnElement[Any]]:
        return [self.target.columns[name] for name in self.target.key]

    def _stored_key(self) -> list[ColumnElement[Any]]:
        """Return what batches go along: an index has it in its order, and not that of values."""
        return [self.project.backend.stored(one) for one in self._key_columns()]

    def _ordered(self, *columns: Any) -> Select[Any]:
        key = map(self.project.backend.sortable, self._key_columns())
        return self._select(*columns).order_by(*key)

    def _select(self, *columns: Any) -> Select[Any]:
        return select(*columns).select_from(self.target.entity).where(*self.criteria)


# Not (a, b) > (x, y): Oracle has no such comparison, and MySQL no index for it.
def _beyond(columns: Sequence[ColumnElement[Any]], key: Key) -> ColumnElement[bool]:
    """Compare the key's columns: after this key."""
    column, value = columns[0], _literal(columns[0], key[0])
    if len(columns) == 1:
        beyond: ColumnElement[bool] = column > value
        return beyond
    return and_(column >= value, or_(column > value, _beyond(columns[1:], key[1:])))


def _until(columns: Sequence[ColumnElement[Any]], key: Key) -> ColumnElement[bool]:
    """Compare the key's columns: this key, or before it."""
    column, value = columns[0], _literal(columns[0], key[0])
    if len(columns) == 1:
        until: ColumnElement[bool] = column <= value
        return until
    return and_(column <= value, or_(column < value, _until(columns[1:], key[1:])))


def _literal(column: ColumnElement[Any], value: Any) -> ColumnElement[Any]:
    """Return a value to compare with: SQLAlchemy has no order for a plain True."""
    return literal(value, column.type)


def select_records(
    project: Project,
    model: str | None,
    *,
    pk: Sequence[str] = (),
    where: Sequence[str] = (),
    everything: bool = False,
    expect: int | None = None,
) -> Selection:
    """Return the records that `--pk`, `--where` or `--all` name.

    Raises UsageError where none of them is given, or `--all` beside another.
    """
    if everything and (pk or where):
        raise UsageError("--all goes with neither --where nor --pk", hint="leave one out")
    if not (everything or pk or where):
        raise UsageError(
            "no record is named", hint="add --where FIELD=VALUE or --pk, or --all for every record"
        )
    target = find_target(project, model)
    if target.mapper is not None and len(target.mapper.tables) > 1:
        raise UsageError(
            f"{target.name} is kept in several tables, and one statement changes one",
            hint=f"use the ORM, or {command_line('sql', write=True)}",
        )
    criteria = conditions(target, project.backend, where)
    if pk:
        criteria += key_conditions(target, project.backend, pk)
    return Selection(project, target, tuple(criteria), expect, _leads_back(target, where))


def _leads_back(target: Target, where: Sequence[str]) -> bool:
    """Whether the path of a condition comes over the target's own table."""
    for text in where:
        here = target
        for name in text.partition("=")[0].split("."):
            step = name if name in here.relationships else name.rpartition("__")[0]
            if step not in here.relationships:
                break
            here = of_mapper(here.relationships[step].property.mapper)
            if here.table is target.table:
                return True
    return False


def check_rolls_back(project: Project, connection: Connection, target: Target) -> None:
    """Raise Refused for a table whose rows cannot be rolled back, before they are changed."""
    if not project.backend.can_roll_back(connection, target.table):
        raise Refused(
            f"the table {target.table.name} has no transactions: nothing could be taken back",
            hint=f"look with: {command_line('query', where='FIELD=VALUE')}; and leave out "
            "--dry-run and --expect, or ALTER TABLE … ENGINE=InnoDB",
        )


def key_conditions(
    target: Target, backend: Backend, pk: Sequence[str]
) -> list[ColumnElement[bool]]:
    """Return the conditions of `--pk VALUE`, or of `--pk FIELD=VALUE` for each part of a key."""
    values = read_key(target, backend, pk)
    return [backend.equals(target.columns[name], value) for name, value in values.items()]


def read_key(target: Target, backend: Backend, pk: Sequence[str]) -> dict[str, Any]:
    """Return the value of each column of the primary key.

    Raises UsageError for a key that is not the target's.
    """
    given = dict(_parts(target, pk))
    if set(given) != set(target.key) or len(pk) != len(given):
        several = len(target.key) > 1
        example = " ".join(f"--pk {name}=VALUE" if several else "--pk VALUE" for name in target.key)
        raise UsageError(
            f"the key of {target.name} is {' and '.join(target.key) or 'not there'}",
            hint=f"write {example}" if target.key else "name the records with --where",
        )
    return {
        name: convert_known(backend, given[name], target.columns[name].type, name)
        for name in target.key
    }


def _parts(target: Target, pk: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in pk:
        name, mark, value = text.partition("=")
        if mark and name in target.key:
            yield name, value
        elif len(target.key) == 1:
            yield target.key[0], text
        else:
            yield name, value
