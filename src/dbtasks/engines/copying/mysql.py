"""Copy rows into MySQL and MariaDB."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    DateTime,
    Double,
    Float,
    MetaData,
    Select,
    String,
    Table,
    Time,
    cast,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy import update as update_statement
from sqlalchemy.dialects.mysql import BIGINT, BIT, SET
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.copying.core import Rows
from dbtasks.engines.copying.driver import DriverCopying
from dbtasks.engines.copying.loading import Loading
from dbtasks.engines.copying.singles import LARGEST_SINGLE, shortest_single
from dbtasks.engines.copying.stage import STAGE
from dbtasks.engines.copying.wire import DIGITS
from dbtasks.engines.quoting import quoted

CHECKS = "SET SESSION foreign_key_checks = {}"


DAY = r"(?:0000-[0-9]{2}|[0-9]{4}-00)-[0-9]{2}|[0-9]{4}-[0-9]{2}-00"
SIXTY = r":[0-5][0-9]"
FRACTION = r"(?:\.[0-9]{1,6})?"
SPECIAL: dict[type[TypeEngine[Any]], re.Pattern[str]] = {
    Date: re.compile(DAY),
    DateTime: re.compile(rf"(?:{DAY})T[0-2][0-9]{SIXTY}{SIXTY}{FRACTION}"),
    Time: re.compile(rf"(?:-[0-9]{{2,3}}|2[4-9]|[3-9][0-9]|[0-9]{{3}}){SIXTY}{SIXTY}{FRACTION}"),
}
"""Days that are none, and times that are no time of a day: what Python's types do not have."""


class MySQLCopying(DriverCopying):
    """Leave it to the drivers to put rows together: they know how long a statement may be."""

    rows_a_statement = 1

    def _stored_type(self, one: Column[Any]) -> TypeEngine[Any]:
        """Take a set for the text that it is written as, and bits for a number."""
        kind = super()._stored_type(one)
        if isinstance(kind, BIT):
            return BIGINT(unsigned=True)
        return String() if isinstance(kind, SET) else kind

    def takes(self, kind: TypeEngine[Any], value: object) -> bool:
        """Know days that are none, as 0000-00-00, and times that are longer than a day."""
        known = next((SPECIAL[one] for one in SPECIAL if isinstance(kind, one)), None)
        if known is None or known.fullmatch(str(value)) is None:
            return False
        return "." not in str(value) or self.backend.fraction_digits(kind) == DIGITS

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Let the server write days, times and sets: drivers make others of some, or NULL.

        It writes six digits of a FLOAT, and all of the product with a DOUBLE.
        """
        if isinstance(self.backend.resolve_type(one.type), BIT):
            return cast(one, BIGINT(unsigned=True))
        if self._is_single(kind):
            return type_coerce(type_coerce(one, kind) * literal_column("1e0", Double), Double)
        if isinstance(kind, (Date, Time)) or isinstance(self.backend.resolve_type(one.type), SET):
            return _without_zeros(cast(one, String))
        if isinstance(kind, DateTime):
            return _without_zeros(func.replace(cast(one, String), " ", "T"))
        return super()._selected(one, kind)

    def _fetched(self, statement: Select[Any]) -> Iterator[Rows]:
        """Read numbers of single precision by their shortest digits, as they were written."""
        singles = [self._is_single(kind) for kind in self.types]
        for rows in super()._fetched(statement):
            yield [_shortened(row, singles) for row in rows] if any(singles) else rows

    def _is_single(self, kind: TypeEngine[Any]) -> bool:
        return isinstance(kind, Float) and self.backend.single_precision(kind)

    def merge_in(self, batches: Iterable[Rows], *, update: bool) -> tuple[int, int]:
        """Leave no table beside."""
        try:
            return super().merge_in(batches, update=update)
        finally:
            with suppress(DBAPIError):  # the connection, and what is temporary, may be gone
                self.connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {STAGE}")

    def _change(self, rows: Rows) -> int:
        """Change rows by one statement, where it is let: the drivers send one a row."""
        savepoint = self.connection.begin_nested()
        try:
            self._change_at_once(rows)
        except DBAPIError as error:
            if self._is_gone(error):
                raise
            savepoint.rollback()
            return super()._change(rows)
        savepoint.commit()
        return len(rows)

    def _change_at_once(self, rows: Rows) -> None:
        """Send rows into a table beside, whose columns have the same types, and take them over."""
        names = ", ".join(quoted(self.connection, one) for one in self.columns)
        create = f"CREATE TEMPORARY TABLE IF NOT EXISTS {STAGE} AS SELECT {names} FROM"
        self.connection.exec_driver_sql(f"{create} {quoted(self.connection, self.table)} LIMIT 0")
        self.connection.exec_driver_sql(f"DELETE FROM {STAGE}")
        beside = Table(STAGE, MetaData(), *(Column(one.name, one.type) for one in self.columns))
        MySQLCopying(self.backend, self.connection, beside, [*beside.columns])._send(rows)
        key = self.table.primary_key
        others = [one.name for one in self.columns if one.name not in key]
        same = [self._target.c[one.name] == beside.c[one.name] for one in key]
        values = {name: beside.c[name] for name in others}
        if others:
            self.connection.execute(update_statement(self._target).where(*same).values(values))

    def _about(self, message: str) -> list[Column[Any]]:
        """Leave out what names another table's columns; a primary key is not named at all."""
        named = super()._about(message.partition(" REFERENCES ")[0])
        return named or [one for one in self.columns if one.primary_key]


def _shortened(row: Sequence[Any], singles: Sequence[bool]) -> tuple[Any, ...]:
    return tuple(
        _shortest(value) if single and value is not None else value
        for value, single in zip(row, singles, strict=True)
    )


def _shortest(value: float) -> float:
    """Leave the largest as it is: its shortest text is larger, and out of range here."""
    shortest = shortest_single(value)
    return shortest if abs(shortest) <= LARGEST_SINGLE else value


def _without_zeros(text: ColumnElement[str]) -> ColumnElement[str]:
    """Leave out a fraction that is none, as others do."""
    return func.trim(literal_column("TRAILING '.000000'").op("FROM")(text))


class MySQLLoading(Loading):
    """Look away from foreign keys, which nothing defers here, and look at all of them after."""

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Leave the checks as they were, whatever happens."""
        before = self._scalar("SELECT @@SESSION.foreign_key_checks")
        self.connection.exec_driver_sql(CHECKS.format(0))
        try:
            yield
        finally:
            with suppress(DBAPIError):  # the connection, and its session, may be gone
                self.connection.exec_driver_sql(CHECKS.format(before))
        self._check_orphans()

    def _locking(self, statement: Any) -> Any:
        """See what others have committed since we began, and let no parent go."""
        return statement.with_for_update(read=True)
