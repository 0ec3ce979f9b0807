"""Copy the rows of a table in and out by SQLAlchemy Core, as any database allows."""

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    insert,
    select,
    table,
    tuple_,
    type_coerce,
)
from sqlalchemy import update as update_statement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.arrow import Columns
from dbtasks.engines.base.forms import WRITERS, from_jsonl
from dbtasks.engines.base.wire import Document, Row, encode_rows, in_utc, may_be_large, stored_type
from dbtasks.errors import ROLLED_BACK, Rejected

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend

BATCH = 2000
"""Rows that are held at once."""

BATCH_BYTES = 1 << 22
"""Bytes, or characters, of a batch with large values: one of them may be larger."""

FEWEST, MOST = 16, 500
"""Rows that are fetched before their size is known, and where they are small."""

KEYS = 500
"""Keys that one statement names."""

Rows = Sequence[Sequence[Any]]
Key = tuple[Any, ...]
Send = Callable[[Rows], int]
"""Send rows, and return how many the database has taken."""

RowLists = Generator[Sequence[Row], None, None]
"""Lists of rows; what is not read to its end has to be closed."""


class Block(NamedTuple):
    """Hold whole lines of text, and the number of rows that they are."""

    text: bytes | bytearray
    rows: int


class RowError(Exception):
    """Say which row of those that were copied in the database refused: the first is 0.

    It is None where the database does not tell; it may name the row by some of its values then,
    as `key` has them: the columns and the values, each with commas between. `error` is the
    driver's, and `values` are those of the row that it is about, by column.
    """

    def __init__(
        self,
        row: int | None,
        error: DBAPIError,
        key: tuple[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(str(error))
        self.row = row
        self.error = error
        self.key = key
        self.values = values or {}


class LeftOutError(Exception):
    """Say how many of the rows that were given the database has not taken, without an error."""

    def __init__(self, given: int, taken: int) -> None:
        super().__init__(f"{taken} of {given} rows were taken")
        self.given = given
        self.taken = taken

    def told(self, table: str) -> Rejected:
        """Return the error for the user, after all is rolled back."""
        return Rejected(
            f"{table} has taken {self.taken} of {self.given} rows, without an error: a trigger, a "
            "rule, or what it does on conflicts, leaves the others out",
            hint="let it take all rows meanwhile, or give it only those that it takes",
            state=ROLLED_BACK,
        )


class Copying:
    """Copy the rows of one table in and out, within the transaction that is open.

    `copy_out` yields text as it goes into a file, made by the server where it can, and
    `rows_out` the same rows as values. `copy_in` takes rows, and `merge_in` those of which some
    may be there. Values are in the form that `engines.base.wire` describes. A class of its own
    for an engine overrides what is faster.
    """

    takes_wire: ClassVar[bool] = False
    """Whether `copy_in` takes values as they travel, and not those of the column's Python type."""

    def __init__(
        self,
        backend: "Backend",
        connection: Connection,
        table: Table,
        columns: Sequence[Column[Any]],
    ) -> None:
        self.backend = backend
        self.connection = connection
        self.table = table
        self.columns = columns
        self.types = [self._stored_type(one) for one in columns]

    @cached_property
    def is_typed(self) -> bool:
        """Whether the table is known to have only values that its columns can have."""
        return self.backend.typed_columns

    def copy_out(self, form: str, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Block]:
        """Yield the rows in the order of their key, as text in a form: jsonl or csv."""
        for rows in self.rows_out(criteria):
            found = [Block(WRITERS[form](rows), len(rows))]
            del rows
            yield found.pop()

    def rows_out(self, criteria: Sequence[ColumnElement[bool]] = ()) -> RowLists:
        """Yield lists of rows in the order of their key."""
        chosen = [
            self._selected(one, kind) for one, kind in zip(self.columns, self.types, strict=True)
        ]
        statement = select(*chosen).where(*criteria).order_by(*self.table.primary_key)
        for rows in self._fetched(statement):
            found = [self._in_utc(encode_rows(rows))]
            del rows
            yield found.pop()  # so that no large value is held here meanwhile

    def arrow_columns(self) -> Columns:
        """Return how the columns are in Arrow, which has to be installed."""
        return Columns([one.name for one in self.columns], self.types, self.backend)

    def arrow_out(self, columns: Columns) -> Iterator[Any]:
        """Yield the rows as batches of Arrow. Raises MisfitError."""
        for rows in self.rows_out():
            found = [columns.batch(rows)]
            del rows
            yield found.pop()

    def copy_in(self, batches: Iterable[Rows]) -> int:
        """Insert the rows of all batches, and return how many they were.

        What is not given a value gets the column's default of the database, and never that of
        the model. Raises RowError for a row that the database refuses, and LeftOutError where
        it has left some out, as a trigger may.
        """
        done = taken = 0
        for rows in batches:
            taken += self._try(self._send, rows, range(done, done + len(rows)))
            done += len(rows)
        return check_taken(done, taken)

    def merge_in(self, batches: Iterable[Rows], *, update: bool) -> tuple[int, int]:
        """Insert the rows whose primary key is not there; change the others, or leave them.

        Returns how many rows there were, and how many of them were there before.
        """
        done = known = taken = 0
        for rows in batches:
            keys = self._keys_of(rows)
            there = self._existing(keys)
            new = [number for number, key in enumerate(keys) if key not in there]
            old = [number for number, key in enumerate(keys) if key in there] if update else []
            for send, some in ((self._send, new), (self._change, old)):
                numbers = [done + one for one in some]
                taken += self._try(send, [rows[number] for number in some], numbers)
            done += len(rows)
            known += len(rows) - len(new)
            taken += 0 if update else len(rows) - len(new)
        return check_taken(done, taken), known

    def takes(self, kind: TypeEngine[Any], value: object) -> bool:
        """Whether a value is one that only this database knows, and Python has no type for."""
        return False

    def _stored_type(self, one: Column[Any]) -> TypeEngine[Any]:
        """Return the type of what a column itself holds."""
        return stored_type(one.type, self.backend)

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Return what is selected for a column: documents as text, as they are stored."""
        if isinstance(kind, Document):
            return cast(one, Text)
        return type_coerce(one, kind)

    def _fetched(self, statement: Select[Any]) -> Iterator[Rows]:
        """Yield lists of the rows that are selected."""
        options = {"stream_results": True, "max_row_buffer": BATCH}
        with self.connection.execute(statement.execution_options(**options)) as result:
            yield from in_batches(result.fetchmany, self._unlimited)

    @cached_property
    def _unlimited(self) -> list[int]:
        """Return the columns whose values may be large."""
        return [place for place, kind in enumerate(self.types) if may_be_large(kind)]

    @contextmanager
    def _wrapped(self, statement: str) -> Iterator[None]:
        """Turn the driver's errors into SQLAlchemy's, where it is called without SQLAlchemy."""
        dialect = self.connection.dialect
        base = dialect.loaded_dbapi.Error
        driver = self.connection.connection
        try:
            yield
        except base as error:
            lost = dialect.is_disconnect(error, driver, None)
            if lost:  # as SQLAlchemy does: nothing more is sent on it
                self.connection.invalidate(error)
            raise DBAPIError.instance(
                statement, None, error, base, True, lost, dialect=dialect
            ) from error

    def _in_utc(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Say that instants are UTC, where the database has no offset and is given UTC only."""
        zoned = [bool(getattr(kind, "timezone", False)) for kind in self.types]
        if self.backend.keeps_offset or not any(zoned):
            return rows
        return [
            tuple(in_utc(value) if zone else value for zone, value in zip(zoned, row, strict=True))
            for row in rows
        ]

    def _try(self, send: Send, rows: Rows, numbers: Sequence[int]) -> int:
        """Send one batch; when it is refused, look for the row by sending one by one.

        Returns how many rows were taken.
        """
        if not rows:
            return 0
        savepoint = self.connection.begin_nested()
        try:
            taken = send(rows)
            savepoint.commit()
            return taken
        except DBAPIError as error:
            if self._is_gone(error):
                raise RowError(None, error) from error
            refused = error
        savepoint.rollback()
        raise self._find(send, rows, numbers, refused)

    def _find(
        self,
        send: Send,
        rows: Rows,
        numbers: Sequence[int],
        refused: DBAPIError,
    ) -> RowError:
        for number, row in zip(numbers, rows, strict=True):
            try:
                send([row])
            except DBAPIError as error:
                given = dict(zip((one.name for one in self.columns), row, strict=True))
                about = self._about(self.backend.message_of(error))
                return RowError(number, error, values={one.name: given[one.name] for one in about})
        return RowError(None, refused)

    def _about(self, message: str) -> list[Column[Any]]:
        """Return the columns that the driver's message is about: those that it names."""
        return [one for one in self.columns if re.search(rf"\b{re.escape(one.name)}\b", message)]

    def _is_gone(self, error: DBAPIError) -> bool:
        """Whether the connection or the transaction is, so that nothing more can be asked."""
        return (
            error.connection_invalidated
            or self.backend.lost_connection(error)
            or self.backend.is_conflict(error)
            or self.backend.has_ended(self.connection)
        )

    def _send(self, rows: Rows) -> int:
        names = [one.name for one in self.columns]
        given = [dict(zip(names, row, strict=True)) for row in rows]
        self.connection.execute(insert(self._target).inline(), given)
        return len(rows)

    @cached_property
    def _target(self) -> Any:
        """Return the table without what its model would add to a statement."""
        columns = [
            column(one.name, kind) for one, kind in zip(self.columns, self.types, strict=True)
        ]
        return table(self.table.name, *columns, schema=self.table.schema)

    @property
    def _key(self) -> list[int]:
        """Return which of the columns are the primary key."""
        names = [one.name for one in self.columns]
        return [names.index(one.name) for one in self.table.primary_key]

    def _keys_of(self, rows: Rows) -> list[Key]:
        places = self._key
        return [tuple(row[place] for place in places) for row in rows]

    def _existing(self, keys: Sequence[Key]) -> Collection[Key]:
        columns = [self._target.c[self.columns[place].name] for place in self._key]
        found: set[Key] = set()
        for start in range(0, len(keys), KEYS):
            some = keys[start : start + KEYS]
            among = (
                columns[0].in_([key for (key,) in some])
                if len(columns) == 1
                else tuple_(*columns).in_(some)
            )
            found.update(map(tuple, self.connection.execute(select(*columns).where(among))))
        return found

    def _change(self, rows: Rows) -> int:
        """Set the other columns of rows that are there."""
        target, places = self._target, self._key
        others = [place for place in range(len(self.columns)) if place not in places]
        if not rows or not others:
            return len(rows)
        names = [one.name for one in self.columns]
        same = [target.c[names[place]] == bindparam(f"key_{place}") for place in places]
        values: dict[str, Any] = {names[place]: bindparam(f"value_{place}") for place in others}
        marks = [f"{'key' if one in places else 'value'}_{one}" for one in range(len(names))]
        given = [dict(zip(marks, row, strict=True)) for row in rows]
        done = self.connection.execute(update_statement(target).where(*same).values(values), given)
        return done.rowcount if done.supports_sane_multi_rowcount() else len(rows)


def check_taken(given: int, taken: int) -> int:
    """Return the number of rows, which is the same. Raises LeftOutError."""
    if taken != given:
        raise LeftOutError(given, taken)
    return given


def in_batches(
    fetch: Callable[[int], Rows], unlimited: Sequence[int], most: int = BATCH
) -> Iterator[Rows]:
    """Yield what is fetched, in blocks of rows; fewer where columns have large values.

    Nothing that was yielded is held here, so that a large value is free when its reader is done.
    """
    if not unlimited:
        while rows := fetch(most):
            yield rows
        return
    held: list[list[Sequence[Any]]] = [[]]
    size, number = 0, FEWEST
    while rows := fetch(number):
        found = sum(map(len, _values(rows, unlimited)))
        held[0] += rows
        size += found
        rows = ()
        number = max(number // 4, 1) if found > BATCH_BYTES // 4 else min(number * 4, MOST, most)
        if size > BATCH_BYTES or len(held[0]) >= most:
            yield held.pop()
            held, size = [[]], 0
    if held[0]:
        yield held.pop()


def _values(rows: Rows, places: Sequence[int]) -> Iterator[Any]:
    """Yield the texts and bytes of some columns."""
    for place in places:
        for row in rows:
            if isinstance(value := row[place], (str, bytes)):
                yield value


def rows_of(blocks: Iterable[Block]) -> RowLists:
    """Yield the rows of blocks in the form jsonl."""
    for block in blocks:
        yield from_jsonl(block.text)
