"""Which records a command changes: named by key or by conditions, or expressly all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from dbtasks.errors import Refused, UsageError
from dbtasks.project import Project
from dbtasks.records.lookups import conditions
from dbtasks.records.targets import Target, find_target
from dbtasks.records.values import convert

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Selection:
    """Hold the records of a target that meet the criteria."""

    project: Project
    target: Target
    criteria: tuple[ColumnElement[bool], ...]
    by_key: bool
    expect: int | None

    def count(self, connection: Connection) -> int:
        """Return the number of records."""
        return connection.scalar(self._select(func.count())) or 0

    def first(self, connection: Connection, number: int) -> list[tuple[Any, ...]]:
        """Return the first records in the order of their key, all columns of each."""
        columns = self.target.columns.values()
        return [tuple(row) for row in connection.execute(self._ordered(*columns).limit(number))]

    def check_expected(self, number: int) -> None:
        """Raise Refused when another number of records was expected."""
        if self.expect is not None and number != self.expect:
            raise Refused(
                f"{number} records match, and --expect says {self.expect}",
                hint="look at them with: inv query --where …",
                state="rolled back",
            )

    def same(self, connection: Connection, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the records that have the keys of these rows, as they are now."""
        size = len(self.target.key)
        columns = list(self.target.columns.values())
        if not rows or not size:
            return []
        matches = _keys(columns[:size]).in_([_one_or_all(row[:size]) for row in rows])
        statement = select(*columns).where(matches).order_by(*columns[:size])
        return [tuple(row) for row in connection.execute(statement)]

    def batch_after(
        self, connection: Connection, last: Key | None, size: int
    ) -> tuple[tuple[ColumnElement[bool], ...], Key] | None:
        """Return the criteria of the next records in the order of their key, and the last key.

        None where there are no more.
        """
        columns = [self.target.columns[name] for name in self.target.key]
        keys = _keys(columns)
        after = () if last is None else (keys > _one_or_all(last),)
        batch = self._ordered(*columns).where(*after).limit(size).subquery()
        descending = [column.desc() for column in batch.columns]
        row = connection.execute(select(batch).order_by(*descending).limit(1)).first()
        if row is None:
            return None
        return (*self.criteria, *after, keys <= _one_or_all(tuple(row))), tuple(row)

    def _ordered(self, *columns: Any) -> Select[Any]:
        return self._select(*columns).order_by(
            *(self.target.columns[name] for name in self.target.key)
        )

    def _select(self, *columns: Any) -> Select[Any]:
        return select(*columns).select_from(self.target.entity).where(*self.criteria)


def _keys(columns: Sequence[ColumnElement[Any]]) -> Any:
    """Return the key's column, or all of them as one value."""
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _one_or_all(key: Key) -> Any:
    return key[0] if len(key) == 1 else tuple_(*key)


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
    criteria = conditions(target, project.backend, where)
    if pk:
        criteria += key_conditions(target, pk)
    return Selection(project, target, tuple(criteria), bool(pk), expect)


def key_conditions(target: Target, pk: Sequence[str]) -> list[ColumnElement[bool]]:
    """Return the conditions of `--pk VALUE`, or of `--pk FIELD=VALUE` for each part of a key."""
    values = read_key(target, pk)
    return [target.columns[name] == value for name, value in values.items()]


def read_key(target: Target, pk: Sequence[str]) -> dict[str, Any]:
    """Return the value of each column of the primary key.

    Raises UsageError for a key that is not the target's.
    """
    given = dict(_parts(target, pk))
    if set(given) != set(target.key) or len(pk) != len(given):
        example = (
            " ".join(f"--pk {name}=…" for name in target.key) if len(target.key) > 1 else "--pk …"
        )
        raise UsageError(
            f"the key of {target.name} is {' and '.join(target.key) or 'not there'}",
            hint=f"write {example}" if target.key else "name the records with --where",
        )
    return {name: convert(given[name], target.columns[name].type, name) for name in target.key}


def _parts(target: Target, pk: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in pk:
        name, mark, value = text.partition("=")
        if mark and name in target.key:
            yield name, value
        elif len(target.key) == 1:
            yield target.key[0], text
        else:
            yield name, value
