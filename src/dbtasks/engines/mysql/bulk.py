"""Copy rows into MySQL and MariaDB."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
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

from dbtasks.engines.base.bulk import Rows
from dbtasks.engines.base.bulk_driver import DriverCopying
from dbtasks.engines.base.singles import LARGEST_SINGLE, shortest_single
from dbtasks.engines.base.stage import STAGE
from dbtasks.engines.base.wire import DIGITS, LARGE
from dbtasks.engines.mysql.packets import check_packet, size_of, writes_hexadecimal
from dbtasks.engines.sql.quoting import quoted
from dbtasks.interrupts import ending

PARTS = 16
"""Parts of a value that are sent one by one, if they are not small then."""


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

    def _send(self, rows: Rows) -> int:
        """Refuse a row that is longer than a packet: the server would end the connection."""
        names = [self.columns[place].name for place in self._unlimited]
        for row in rows if names else ():
            sizes = (size_of(row[place]) for place in self._unlimited)
            given = dict(zip(names, sizes, strict=True))
            check_packet(self.connection, f"a row of {self.table.fullname}", given)
        taken = 0
        for in_parts, some in groupby(rows, self._goes_in_parts):
            if in_parts:
                taken += sum(map(self._send_in_parts, self._bound([*some])))
            else:
                taken += super()._send([*some])
        return taken

    def _goes_in_parts(self, row: Sequence[Any]) -> bool:
        """Whether a row has large bytes, and the driver would write each with two digits."""
        large = (isinstance(row[one], bytes) and len(row[one]) > LARGE for one in self._unlimited)
        return any(large) and writes_hexadecimal(self.connection)

    def _send_in_parts(self, row: Sequence[Any]) -> int:
        """Insert a row with large bytes from variables, which the server puts together."""
        marks, values, variables = [], [], []
        for place, value in enumerate(row):
            if isinstance(value, bytes) and len(value) > LARGE:
                variables.append(f"@dbtasks_{place}")
                marks.append(variables[-1])
                self._put_together(variables[-1], value)
            else:
                marks.append("%s")
                values.append(value)
        done = self.connection.exec_driver_sql(self._statement(1, marks), tuple(values))
        for variable in variables:
            self.connection.exec_driver_sql(f"SET {variable} = NULL")
        return done.rowcount

    def _put_together(self, variable: str, value: bytes) -> None:
        size = max(LARGE, len(value) // PARTS)
        self.connection.exec_driver_sql(f"SET {variable} = X''")
        for start in range(0, len(value), size):
            part = value[start : start + size]
            self.connection.exec_driver_sql(f"SET {variable} = CONCAT({variable}, %s)", (part,))

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
        drop = f"DROP TEMPORARY TABLE IF EXISTS {STAGE}"
        with ending(lambda: self.connection.exec_driver_sql(drop)):
            return super().merge_in(batches, update=update)

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
