"""Triggers of the tables that a load writes: turn them off for it, and see what they change.

`pg_restore --disable-triggers` and `mysqldump`, which creates triggers after the rows, do the same:
the rows of a dump already hold what the triggers once made of them.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection, Table

from dbtasks.engines.sql.quoting import as_read, quoted

AS_IT_IS = {"no_parameters": True}


class Trigger(NamedTuple):
    """Name a trigger and its table; `create` is its definition, or what it runs, where known."""

    name: str
    table: str
    create: str = ""

    def __str__(self) -> str:
        return f"{self.name} of {self.table}"


class Change(NamedTuple):
    """Count the rows that a transaction has written into a table."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def net(self) -> int:
        """Return by how many rows the table has grown."""
        return self.added - self.removed

    def minus(self, other: "Change") -> "Change":
        """Return what came after another count."""
        return Change(*(mine - its for mine, its in zip(self, other, strict=True)))

    def plus(self, other: "Change") -> "Change":
        """Return both together."""
        return Change(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __str__(self) -> str:
        added, changed, removed = self
        if added < 0:  # counted, and not followed
            added, removed = 0, removed - added
        parts = (("added", added), ("changed", changed), ("removed", removed))
        return ", ".join(f"{_number(rows)} {word}" for word, rows in parts if rows)


def _words(trigger: Trigger) -> set[str]:
    return {word.lower() for word in re.findall(r"\w+", trigger.create)}


def _number(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


class Triggers:
    """Know the triggers of some tables, within the transaction that is open.

    `running` are those that run on its writes, `off` those that `disabled` has turned off. Tables
    are counted, those that the triggers name among them: a class of its own for an engine overrides
    what it can do better.
    """

    counts_all: ClassVar[bool] = False
    """Whether tables are counted quickly, and no other transaction can write to them meanwhile."""

    why: ClassVar[str] = "this database cannot turn triggers off inside a transaction"

    def __init__(self, connection: Connection, tables: Sequence[Table]) -> None:
        self.connection = connection
        self.tables = tables
        self.running: Sequence[Trigger] = self._read()
        self.off: Sequence[Trigger] = ()
        self.watches = False
        self._before: Mapping[str, Change] = {}

    @property
    def remaining(self) -> Sequence[Trigger]:
        """Return the triggers that `disabled` cannot turn off, though they are to be."""
        return self.running

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Turn off what can be; when the block raises, the rollback restores it."""
        yield

    def watch(self, *, closely: bool = True) -> None:
        """Begin to see what is written: into these tables, and those that triggers write to.

        Unless `closely`, nothing is counted where no trigger runs.
        """
        self.watches = bool(self.running) or closely
        if self.watches:
            self._before = self._written()

    def changes(self) -> dict[str, Change]:
        """Return what was written since, by the name of the table, as `Table.fullname` has it."""
        if not self.watches:
            return {}
        after = self._written()
        found = {one: after[one].minus(self._before.get(one, Change())) for one in after}
        gone = {one: Change().minus(before) for one, before in self._before.items()}
        return {one: change for one, change in {**gone, **found}.items() if any(change)}

    def outside(self) -> dict[Trigger, Sequence[str]]:
        """Return for triggers that were off the tables that they name and that are not these."""
        known = {one.name.lower() for one in self.tables}
        names = [one for one in self._table_names() if one.lower() not in known] if self.off else []
        named = {one: [name for name in names if name.lower() in _words(one)] for one in self.off}
        return {one: found for one, found in named.items() if found}

    def _read(self) -> Sequence[Trigger]:
        return ()

    def _written(self) -> Mapping[str, Change]:
        """Count the tables; the difference of two counts is what was written."""
        names = {one.fullname: quoted(self.connection, one) for one in self.tables}
        quote = self.connection.dialect.identifier_preparer.quote
        known = {one.name for one in self.tables}
        mentioned = [name for name in self._mentioned() if name not in known]
        names |= {name: as_read(self.connection, quote(name)) for name in mentioned}
        counts = {
            name: self._run(f"SELECT count(*) FROM {sql}").scalar() for name, sql in names.items()
        }
        return {name: Change(rows or 0) for name, rows in counts.items()}

    def _mentioned(self) -> Collection[str]:
        """Return the tables that the triggers name, and those that their triggers name."""
        if not self.running:
            return ()
        names, triggers = self._table_names(), self._all()
        found: set[str] = set()
        level = [*self.running]
        while level:
            words = {word for one in level for word in _words(one)}
            new = {name for name in names if name.lower() in words} - found
            found |= new
            level = [one for one in triggers if one.table in new]
        return found

    def _all(self) -> Sequence[Trigger]:
        """Return all triggers of the database."""
        return ()

    def _table_names(self) -> Collection[str]:
        return ()

    def _run(self, sql: str) -> Any:
        return self.connection.exec_driver_sql(sql, execution_options=AS_IT_IS)
