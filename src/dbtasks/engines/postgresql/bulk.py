"""Copy rows in and out of PostgreSQL by COPY, through psycopg or psycopg2."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Interval,
    Table,
    Text,
    TypeDecorator,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.ahead import ahead
from dbtasks.engines.base.arrow import Columns
from dbtasks.engines.base.bulk import (
    BATCH,
    Block,
    Copying,
    RowError,
    RowLists,
    Rows,
    check_taken,
    rows_of,
)
from dbtasks.engines.base.forms import CSV, JSONL
from dbtasks.engines.base.stage import Stage
from dbtasks.engines.base.wire import DIGITS, LARGE, holds_bytes
from dbtasks.engines.postgresql.copy_binary import ALL_SMALL, SLICE, Sliced, binary_batches
from dbtasks.engines.postgresql.copy_text import BARE, Sender, json_lines, sent_of, text_of
from dbtasks.engines.sql.quoting import quoted
from dbtasks.interrupts import ending

FORMS = {
    JSONL: r"FORMAT csv, NULL 'null', ESCAPE E'\\'",
    CSV: "FORMAT csv",
}
"""CSV with every text in quotes, which a backslash escapes, is JSON but for control characters."""

SETTINGS = (
    "DateStyle = 'ISO, YMD'",
    "IntervalStyle = 'iso_8601'",
    "TimeZone = 'UTC'",
    "extra_float_digits = 1",
    "lc_monetary = 'C'",
)
"""How the server writes values, and reads amounts of money, for this transaction."""

TRIGGERS = text(
    "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(:name) "
    "AND tgtype & 7 = 7 AND NOT tgisinternal)"
)
"""The bits are those of pg_trigger.h: for each row, before, an insert."""

ARROW_BATCH = 20_000
"""Rows that Arrow is given at once."""

KEY = re.compile(r"^Key \((.*?)\)=\((.*)\) is not present", re.DOTALL)
PLACE = re.compile(r"^COPY .*?, line (\d+)")
HOUR = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
ZONE = r"[+-][0-9]{2}(?::[0-9]{2}){0,2}"
INTERVAL = re.compile(
    r"-?infinity|P(?=.)(?:-?[0-9]{1,9}[YMWD])*"
    r"(?:T(?=.)(?:-?[0-9]{1,9}[HM])*(?:-?[0-9]{1,9}(?:\.[0-9]{1,6})?S)?)?"
)
SPECIAL = re.compile(r"infinity| BC\Z|\A[0-9]{5}|\A24:|\AP|[+-][0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
"""Days without end, before our era or far away, midnight as 24:00, months, seconds of an offset."""

TEXT_IN_ARRAY = re.compile(r'"([^"]*)"')


class PostgreSQLCopying(Copying):
    """Let the server write and read text."""

    takes_wire = True

    def copy_out(self, form: str, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Block]:
        """Yield what COPY sends; a part of the table, and decorated values, go by SQLAlchemy."""
        if criteria or not self._by_copy:
            yield from super().copy_out(form, criteria)
            return
        if self._longest_bytes > LARGE:
            yield from super().copy_out(form)
            return
        for sent, rows in self._sent(form, BATCH):
            found = [Block(json_lines(sent, rows) if form == JSONL else sent, rows)]
            del sent
            yield found.pop()  # so that no large value is held here meanwhile

    def rows_out(self, criteria: Sequence[ColumnElement[bool]] = ()) -> RowLists:
        """Yield the rows of what COPY sends."""
        if criteria or not self._by_copy:
            self._settle()
            return super().rows_out(criteria)
        if self._longest_bytes > LARGE:
            return self._binary_rows()
        return rows_of(self.copy_out(JSONL))

    def arrow_out(self, columns: Columns) -> Iterator[Any]:
        """Let Arrow read the CSV that COPY sends: of a large value it would make copies."""
        if not self._by_copy:
            yield from super().arrow_out(columns)
            return
        if self._longest_bytes > LARGE or self._longest > SLICE:
            for rows in self._binary_rows(columns.takes_buffer):
                found = [columns.batch(rows)]
                del rows
                yield found.pop()
            return
        texts = (text for text, _ in self._sent(CSV, ARROW_BATCH))
        yield from ahead(columns.batch_of_csv, texts)

    def copy_in(self, batches: Iterable[Rows]) -> int:
        """Send all rows with one COPY, so that they may refer to each other."""
        before = self._count() if self._has_triggers else None
        given, taken = self._copy_into(self._quoted(self.table), batches)
        if taken != given and before is not None:  # a trigger may have put them into a part of it
            taken = self._count() - before
        return check_taken(given, taken)

    def merge_in(self, batches: Iterable[Rows], *, update: bool) -> tuple[int, int]:
        """Send all rows into a table beside, and insert or change from there by one statement."""
        stage = Stage(self.connection, self.table, self.columns)
        done, _ = self._copy_into(stage.make(), batches)
        try:
            return done, stage.merge(done, update=update)
        except DBAPIError as error:
            raise RowError(None, error, _key_of(error)) from error

    def _count(self) -> int:
        return self.connection.scalar(select(func.count()).select_from(self._target)) or 0

    @property
    def _has_triggers(self) -> bool:
        """Whether the table has some that look at each row before it is inserted."""
        return bool(self.connection.scalar(TRIGGERS, {"name": self._quoted(self.table)}))

    def _sent(self, form: str, most: int) -> Iterator[tuple[bytearray, int]]:
        """Yield what COPY sends, by blocks of so many rows at most."""
        from dbtasks.engines.postgresql.libpq import read_blocks  # psycopg may not be there

        self._settle()
        with self._cancellable(), self._wrapped("COPY"):
            yield from read_blocks(self._libpq, self._statement(form), most)

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        """Keep the transaction, and what it sees, where not all of a COPY is wanted."""
        savepoint = self.connection.begin_nested()
        try:
            yield
        except GeneratorExit:
            savepoint.rollback()
            raise
        savepoint.commit()

    @cached_property
    def _longest_bytes(self) -> int:
        """Return the length of the longest value of bytes: as text it would be a third longer."""
        kinds = enumerate(self.types)
        return self._longest_of([place for place, one in kinds if holds_bytes(one)])

    @cached_property
    def _longest(self) -> int:
        """Return the length of the longest value, as bytes or as text in UTF-8."""
        return self._longest_of(self._unlimited)

    def _longest_of(self, places: Sequence[int]) -> int:
        """Return how long the longest value of some columns is; 0 where none can be large."""
        if not places or self.connection.scalar(ALL_SMALL, {"name": self._quoted(self.table)}):
            return 0
        return self._driver_sql(self._sliced.longest(places)).scalar() or 0

    @property
    def _sliced(self) -> Sliced:
        names = [self._quoted(one) for one in self.columns]
        key = [self._quoted(one) for one in self.table.primary_key]
        return Sliced(self._quoted(self.table), names, self.types, key)

    def _driver_sql(self, sql: str) -> Any:
        return self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

    def _binary_rows(self, kept: Callable[[int], bool] = lambda place: False) -> RowLists:
        """Yield the rows of a binary COPY; large values of the columns `kept` stay buffers."""
        from dbtasks.engines.postgresql.libpq import read_sliced  # psycopg may not be there

        self._settle()
        statement = self._sliced.statement(self._unlimited, self._longest)
        sliced = read_sliced(self._libpq, statement, self._unlimited)
        with self._cancellable(), self._wrapped("COPY"), closing(sliced) as rows:
            yield from binary_batches(rows, self.types, kept)

    def _settle(self) -> None:
        for one in SETTINGS:
            self.connection.exec_driver_sql(f"SET LOCAL {one}")

    @property
    def _names(self) -> str:
        return ", ".join(self._quoted(one) for one in self.columns)

    def _copy_into(self, table: str, batches: Iterable[Rows]) -> tuple[int, int]:
        """Return how many rows were sent, and how many the server has taken."""
        sql = f"COPY {table} ({self._names}) FROM STDIN"
        sender = Sender(batches, [sent_of(kind) for kind in self.types])
        self._settle()
        cursor = self.connection.connection.cursor()
        try:
            with ending(cursor.close), self._wrapped("COPY"):
                if hasattr(cursor, "copy_expert"):
                    cursor.copy_expert(sql, sender)
                else:
                    with cursor.copy(sql) as copy:
                        for text in sender.texts():
                            copy.write(text)
                taken = cursor.rowcount
        except DBAPIError as error:
            if sender.failed is None:
                raise RowError(_row_of(error), error, _key_of(error)) from error
        if sender.failed is not None:  # psycopg2 would put an error of its own in its place
            raise sender.failed
        return sender.rows, taken

    def takes(self, kind: TypeEngine[Any], value: object) -> bool:
        """Know what Python's types do not have, also in an array, and bytes in an array."""
        if isinstance(kind, ARRAY):
            if holds_bytes(kind.item_type):
                return True
            texts = TEXT_IN_ARRAY.findall(str(value))
            special = any(map(SPECIAL.search, texts))
            return special and all(self._is_written(kind.item_type, one) for one in texts)
        return SPECIAL.search(str(value)) is not None and self._is_written(kind, str(value))

    def _is_written(self, kind: TypeEngine[Any], text: str) -> bool:
        """Whether the server writes such a text, of a type that Python has less of."""
        known = _form_of(kind)
        if known is None or known.fullmatch(text) is None:
            return False
        return "." not in text or self.backend.fraction_digits(kind) == DIGITS

    def _quoted(self, named: Table | Column[Any]) -> str:
        return quoted(self.connection, named)

    @property
    def _libpq(self) -> Any:
        """Return psycopg's connection of libpq; psycopg2 has none."""
        return getattr(self.connection.connection.driver_connection, "pgconn", None)

    @property
    def _by_copy(self) -> bool:
        """Whether the server can write all of the values: a decorator is Python's."""
        return self._libpq is not None and not any(map(_is_decorated, self.types))

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Let the server write the value here too: drivers do not read all that it has."""
        if isinstance(kind, BARE) or _is_decorated(kind):
            return super()._selected(one, kind)
        return literal_column(f"({text_of(self._quoted(one), kind)})::text", Text).label(one.name)

    def _statement(self, form: str) -> str:
        table = self._quoted(self.table)
        names = [self._quoted(one) for one in self.columns]
        chosen = [
            f"{text_of(name, kind)} AS {name}" for name, kind in zip(names, self.types, strict=True)
        ]
        key = ", ".join(f"t.{self._quoted(one)}" for one in self.table.primary_key)
        query = f"SELECT {', '.join(chosen)} FROM {table} t" + (f" ORDER BY {key}" if key else "")
        options = FORMS[form]
        quoted = [
            name for name, kind in zip(names, self.types, strict=True) if not isinstance(kind, BARE)
        ]
        if quoted and form == JSONL:
            options += f", FORCE_QUOTE ({', '.join(quoted)})"
        return f"COPY ({query}) TO STDOUT ({options})"


def _form_of(kind: TypeEngine[Any]) -> re.Pattern[str] | None:
    """Return the form in which the server writes values, of types that Python has less of."""
    zone = ZONE if getattr(kind, "timezone", False) else ""
    found = _python_type(kind)
    if found is timedelta:
        return None if _is_decorated(kind) or getattr(kind, "fields", None) else INTERVAL
    if found is date:
        return re.compile(r"-?infinity|[0-9]{4,6}-[0-9]{2}-[0-9]{2}(?: BC)?")
    if found is datetime:
        day = r"[0-9]{4,6}-[0-9]{2}-[0-9]{2}"
        return re.compile(rf"-?infinity|{day}T{HOUR}(?:{zone})(?: BC)?")
    return re.compile(rf"{HOUR}(?:{zone})") if found is time else None


def _python_type(kind: TypeEngine[Any]) -> type | None:
    try:
        return kind.python_type
    except NotImplementedError:
        return None


def _is_decorated(kind: TypeEngine[Any]) -> bool:
    """Whether Python makes the values: the project's own code, or that of an interval's date."""
    return isinstance(kind, TypeDecorator) and not (isinstance(kind, Interval) and kind.native)


def _row_of(error: DBAPIError) -> int | None:
    """Return the row that the server says its error was at."""
    context = getattr(getattr(error.orig, "diag", None), "context", None) or ""
    place = PLACE.match(context)
    return int(place[1]) - 1 if place else None


def _key_of(error: DBAPIError) -> tuple[str, str] | None:
    """Return the columns and the values by which the server names a row without a parent."""
    detail = getattr(getattr(error.orig, "diag", None), "message_detail", None) or ""
    found = KEY.match(detail)
    return (found[1], found[2]) if found else None
