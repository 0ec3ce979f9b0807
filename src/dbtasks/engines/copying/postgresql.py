"""Copy rows in and out of PostgreSQL by COPY, through psycopg or psycopg2."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Interval,
    LargeBinary,
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

from dbtasks.engines.copying.ahead import ahead
from dbtasks.engines.copying.arrow import Columns
from dbtasks.engines.copying.core import (
    BATCH,
    Block,
    Copying,
    RowError,
    RowLists,
    Rows,
    check_taken,
    rows_of,
)
from dbtasks.engines.copying.forms import CSV, JSONL
from dbtasks.engines.copying.stage import Stage
from dbtasks.engines.copying.wire import DIGITS, Document, duration_of
from dbtasks.engines.quoting import quoted
from dbtasks.engines.storage import FILLED

FORMS = {
    JSONL: r"FORMAT csv, NULL 'null', ESCAPE E'\\'",
    CSV: "FORMAT csv",
}
"""CSV with every text in quotes, which a backslash escapes, is JSON but for control characters."""

CONTROL = bytes(code for code in range(32) if code != ord("\n"))
ESCAPES = {code: f"\\u{code:04x}".encode() for code in range(32)}
CONTROLS = re.compile(rb"[\x00-\x1f]")
LINE = re.compile(rb'(?:[^"\n]++|"(?:[^"\\]++|\\.)*+")*+\n', re.DOTALL)
"""A row of that CSV, which may be several lines."""

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

ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})

BARE = (Integer, Boolean)
"""Types that stand without quotes in JSON."""


class PostgreSQLCopying(Copying):
    """Let the server write and read text."""

    takes_wire = True

    def copy_out(self, form: str, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Block]:
        """Yield what COPY sends; a part of the table, and decorated values, go by SQLAlchemy."""
        if criteria or not self._by_copy:
            yield from super().copy_out(form, criteria)
            return
        for sent, rows in self._sent(form, BATCH):
            yield Block(_json_lines(sent, rows) if form == JSONL else sent, rows)

    def rows_out(self, criteria: Sequence[ColumnElement[bool]] = ()) -> RowLists:
        """Yield the rows of what COPY sends."""
        if criteria or not self._by_copy:
            self._settle()
            return super().rows_out(criteria)
        return rows_of(self.copy_out(JSONL))

    def arrow_out(self, columns: Columns) -> Iterator[Any]:
        """Let Arrow read the CSV that COPY sends."""
        if not self._by_copy:
            yield from super().arrow_out(columns)
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
        from dbtasks.engines.copying.libpq import read_blocks  # psycopg may not be there

        self._settle()
        with self._wrapped("COPY"):
            yield from read_blocks(self._libpq, self._statement(form), most)

    def _settle(self) -> None:
        for one in SETTINGS:
            self.connection.exec_driver_sql(f"SET LOCAL {one}")

    @property
    def _names(self) -> str:
        return ", ".join(self._quoted(one) for one in self.columns)

    def _copy_into(self, table: str, batches: Iterable[Rows]) -> tuple[int, int]:
        """Return how many rows were sent, and how many the server has taken."""
        sql = f"COPY {table} ({self._names}) FROM STDIN"
        sender = _Sender(batches, [_sent_of(kind) for kind in self.types])
        self._settle()
        cursor = self.connection.connection.cursor()
        try:
            with self._wrapped("COPY"):
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
        finally:
            cursor.close()
        if sender.failed is not None:  # psycopg2 would put an error of its own in its place
            raise sender.failed
        return sender.rows, taken

    def takes(self, kind: TypeEngine[Any], value: object) -> bool:
        """Know what Python's types do not have, also in an array, and bytes in an array."""
        if isinstance(kind, ARRAY):
            if isinstance(kind.item_type, LargeBinary):
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
        return literal_column(f"({_text_of(self._quoted(one), kind)})::text", Text).label(one.name)

    def _statement(self, form: str) -> str:
        table = self._quoted(self.table)
        names = [self._quoted(one) for one in self.columns]
        chosen = [
            f"{_text_of(name, kind)} AS {name}"
            for name, kind in zip(names, self.types, strict=True)
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


class _Sender:
    """Give the rows of all batches as COPY wants them, as texts or as a file to read from."""

    def __init__(
        self, batches: Iterable[Rows], sent: Sequence[Callable[[Any], Any] | None]
    ) -> None:
        self.batches = batches
        self.sent = sent
        self.rows = 0
        self.failed: BaseException | None = None
        self._texts = self.texts()
        self._rest = b""

    def texts(self) -> Iterator[bytes]:
        """Yield the text of one batch after the other."""
        for rows in self.batches:
            self.rows += len(rows)
            if rows:
                yield _copy_text(rows, self.sent)

    def read(self, size: int) -> bytes:
        """Return as much as psycopg2 asks for, as the file that it takes this for."""
        try:
            while len(self._rest) < size and (text := next(self._texts, b"")):
                self._rest += text
        except BaseException as error:
            self.failed = error
            return b""
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def _copy_text(rows: Rows, sent: Sequence[Callable[[Any], Any] | None]) -> bytes:
    """Return rows in COPY's text form; what needs no escaping, which is most, in one go."""
    columns = [
        values if one is None else [None if value is None else one(value) for value in values]
        for one, values in zip(sent, zip(*rows, strict=True), strict=True)
    ]
    nulls = sum(values.count(None) for values in columns)
    text = _joined([_texts(values, str) for values in columns])
    tabs, ends = len(rows) * (len(columns) - 1), len(rows)
    whole = (text.count("\\"), text.count("\t"), text.count("\n"), text.count("\r"))
    if whole != (nulls, tabs, ends, 0):
        text = _joined([_texts(values, _escaped) for values in columns])
    return text.encode()


def _joined(columns: Sequence[Iterable[str]]) -> str:
    return "".join([f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))])


def _texts(values: Sequence[Any], text: Callable[[Any], str]) -> Iterable[str]:
    kinds = {*map(type, values)}
    if kinds == {str} and text is str:
        return values
    if kinds == {int}:
        return map(str, values)
    return [r"\N" if value is None else text(value) for value in values]


def _escaped(value: Any) -> str:
    return str(value).translate(ESCAPED)


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


def _text_of(name: str, kind: TypeEngine[Any]) -> str:
    """Return what makes the server write a value as it travels."""
    if isinstance(kind, DateTime):
        return f"to_json({name}) #>> '{{}}'"
    if isinstance(kind, LargeBinary):
        return f"translate(encode({name}, 'base64'), E'\\n', '')"
    if isinstance(kind, ARRAY):
        documents = isinstance(kind.item_type, Document)
        return f"to_json({name}{'::text[]' if documents else ''})::text"
    as_text = isinstance(kind, Boolean) or kind.__visit_name__ in FILLED
    return f"{name}::text" if as_text else name


def _json_lines(text: bytearray, rows: int) -> bytes:
    """Make lines of JSON of lines of CSV; control characters are most often not there."""
    if len(text.translate(None, CONTROL)) == len(text) and text.count(b"\n") == rows:
        return b"[" + text[:-1].replace(b"\n", b"]\n[") + b"]\n"
    lines = LINE.findall(text)
    return b"".join(b"[" + CONTROLS.sub(_escape, line[:-1]) + b"]\n" for line in lines)


def _escape(found: re.Match[bytes]) -> bytes:
    return ESCAPES[found[0][0]]


def _sent_of(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """Return what makes of a value what the server reads, where it is not the same."""
    if isinstance(kind, LargeBinary):
        return lambda value: f"\\x{base64.b64decode(value).hex()}"
    if isinstance(kind, Interval) and not kind.native:
        return lambda value: kind.epoch + duration_of(value)
    if isinstance(kind, ARRAY):
        return lambda value: _array(json.loads(value, parse_float=Decimal))
    return None


def _array(value: Any) -> str:
    """Return a list as PostgreSQL writes arrays."""
    if isinstance(value, list):
        return "{" + ",".join(map(_array, value)) + "}"
    if value is None:
        return "NULL"
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


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
