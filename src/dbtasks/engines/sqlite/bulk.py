"""Copy rows in and out of SQLite."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from operator import is_
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    Select,
    String,
    Text,
    and_,
    cast,
    column,
    func,
    literal,
    not_,
    or_,
    select,
    table,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from dbtasks.engines.base.bulk import KEYS, Block, Key, Rows, in_batches
from dbtasks.engines.base.bulk_driver import DriverCopying
from dbtasks.engines.base.forms import JSONL
from dbtasks.engines.base.wire import (
    BinaryNumeric,
    Document,
    Kept,
    is_large,
    pieces_of,
    stored_type,
)
from dbtasks.engines.sqlite.classes import ColumnReader
from dbtasks.engines.sqlite.keys import key_of

DECIMALS = 323
"""Decimals of the smallest number that there is."""

JSON_SINCE = (3, 38)
"""The version since which every SQLite can write JSON."""

ARGUMENTS = 100
"""Arguments that a function takes in every version."""

WIDEST = 2**63 - 1
"""The largest whole number that there is."""


class SQLiteCopying(DriverCopying):
    """Fetch the driver's own rows, for which SQLAlchemy takes twice as long."""

    def _stored_type(self, one: Column[Any]) -> TypeEngine[Any]:
        """Take a Numeric for what is stored, with all decimals: SQLAlchemy reads ten of them."""
        kind = super()._stored_type(one)
        if not isinstance(kind, Numeric) or isinstance(kind, Float) or not kind.asdecimal:
            return kind
        return BinaryNumeric(kind.precision, kind.scale, decimal_return_scale=DECIMALS)

    @cached_property
    def is_typed(self) -> bool:
        """Ask the database where the columns are whole numbers and texts: that is faster."""
        if not self._is_plain:
            return False
        columns = zip(self.columns, self.types, strict=True)
        misfit = or_(*(self._misfit(one, kind) for one, kind in columns))
        found = self.connection.execute(select(literal(1)).where(misfit).limit(1))
        return found.first() is None

    def copy_out(self, form: str, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Block]:
        """Let the database write the lines, where it writes the same: that takes half the time."""
        if form != JSONL or not self.is_typed:
            yield from super().copy_out(form, criteria)
            return
        line = type_coerce(func.json_array(*self.columns), Text)
        statement = select(line).where(*criteria).order_by(*self.table.primary_key)
        for rows in self._stored(statement, [0] if self._unlimited else []):
            found = [Block(_lines(rows), len(rows))]
            del rows
            yield found.pop()

    @property
    def _is_plain(self) -> bool:
        """Whether the columns hold whole numbers and texts, of which nothing else is made."""
        dialect = self.connection.dialect
        return (
            (dialect.server_version_info or ()) >= JSON_SINCE
            and len(self.columns) <= ARGUMENTS
            and all(
                isinstance(kind, (Integer, String))
                and not isinstance(kind, Document)
                and ColumnReader(kind, dialect).process is None
                for kind in self.types
            )
        )

    def _misfit(self, one: Column[Any], kind: TypeEngine[Any]) -> ColumnElement[bool]:
        """Return whether a column has a value that it cannot have."""
        stored = type_coerce(one, kind)
        classes = ["integer" if isinstance(kind, Integer) else "text"]
        wrong = func.typeof(stored).not_in([*classes, "null"] if one.nullable else classes)
        if isinstance(kind, Integer):
            smallest, largest = self.backend.integer_range(kind)
            if largest < WIDEST:
                return or_(wrong, not_(stored.between(smallest, largest)))
        elif isinstance(kind, String) and kind.length is not None:
            nul = func.instr(stored, func.char(0)) > 0  # up to it the characters are counted
            long = or_(func.length(stored) > kind.length, nul)
            return or_(wrong, and_(func.length(cast(one, LargeBinary)) > kind.length, long))
        return wrong

    def _fetched(self, statement: Select[Any]) -> Iterator[Rows]:
        """Yield what is stored, read column by column."""
        dialect = self.connection.dialect
        readers = [ColumnReader(kind, dialect) for kind in self.types]
        for rows in self._stored(statement, self._unlimited):
            found = [_read(readers, rows)]
            del rows
            yield found.pop()

    def _stored(self, statement: Select[Any], unlimited: Sequence[int]) -> Iterator[Rows]:
        """Yield what the driver fetches."""
        result = self.connection.execute(statement)
        cursor: Any = result.cursor  # the result fetches nothing by itself
        with closing(result), self._wrapped("SELECT"):
            yield from in_batches(cursor.fetchmany, unlimited)

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Select what is stored: nothing is cast."""
        return type_coerce(one, kind)

    def _bind(self, process: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
        """Keep the texts that were stored in another spelling."""
        if Kept not in {*map(type, values)}:
            return super()._bind(process, values)
        return [
            one.stored if isinstance(one, Kept) else None if one is None else process(one)
            for one in values
        ]

    @cached_property
    def _target(self) -> Any:
        """Return the table with what is stored of values that have several spellings."""
        spelled = self.backend.has_spellings
        columns = [
            column(one.name, NullType() if spelled(kind) else kind)
            for one, kind in zip(self.columns, self.types, strict=True)
        ]
        return table(self.table.name, *columns, schema=self.table.schema)

    @cached_property
    def _spelled(self) -> Sequence[int]:
        """Return which columns of the key may spell one value in several ways."""
        return [one for one in self._key if self.backend.has_spellings(self.types[one])]

    def merge_in(self, batches: Iterable[Rows], *, update: bool) -> tuple[int, int]:
        """Find rows by the values of their keys, of which an index is made for as long."""
        if not self._spelled:
            return super().merge_in(batches, update=update)
        dialect, table = self.connection.dialect, self.table
        quote = dialect.identifier_preparer
        schema = f"{quote.quote_schema(table.schema)}." if table.schema else ""
        key = ", ".join(str(one.compile(dialect=dialect)) for one in self._values_of_key)
        self.connection.exec_driver_sql(
            f"CREATE INDEX {schema}dbtasks_upsert ON {quote.quote(table.name)} ({key})"
        )
        counts = super().merge_in(batches, update=update)
        self.connection.exec_driver_sql(f"DROP INDEX {schema}dbtasks_upsert")
        return counts

    @cached_property
    def _key_types(self) -> Sequence[TypeEngine[Any]]:
        """Return the types that read the key as the models do: a Numeric by its scale."""
        return [stored_type(self.columns[place].type, self.backend) for place in self._key]

    @cached_property
    def _values_of_key(self) -> Sequence[ColumnElement[Any]]:
        """Return what compares the columns of the key by value."""
        key = zip(self._key, self._key_types, strict=True)
        columns = (column(self.columns[place].name, kind) for place, kind in key)
        return [*map(self.backend.sortable, columns)]

    def _existing(self, keys: Sequence[Key]) -> Collection[Key]:
        """Find rows by the values of their keys, and remember how these are spelled."""
        if not self._spelled:
            return super()._existing(keys)
        self._stored_keys: dict[Key, Key] = {}
        for start in range(0, len(keys), KEYS):
            some = {self._value_of(key): key for key in keys[start : start + KEYS]}
            for value, stored in self._stored_by_value(list(some)):
                if value in some:
                    self._stored_keys[some[value]] = stored
        return self._stored_keys

    def _stored_by_value(self, values: Sequence[Key]) -> Iterator[tuple[Key, Key]]:
        """Yield the keys of rows by value, and as they are stored; others may be among them."""
        given = zip(self._values_of_key, zip(*values, strict=True), strict=True)
        among = [one.in_(each) for one, each in given]
        stored = [type_coerce(column(self.columns[place].name), NullType()) for place in self._key]
        chosen = [*self._values_of_key, *stored]
        named = (one.label(f"dbtasks_{number}") for number, one in enumerate(chosen))
        for row in self.connection.execute(select(*named).select_from(self._target).where(*among)):
            yield tuple(row[: len(stored)]), tuple(row[len(stored) :])

    def _value_of(self, key: Key) -> Key:
        return tuple(
            key_of(value.value if isinstance(value, Kept) else value, kind)
            if place in self._spelled
            else value
            for place, kind, value in zip(self._key, self._key_types, key, strict=True)
        )

    def _change(self, rows: Rows) -> int:
        stored = [self._stored_key(key) for key in self._keys_of(rows)]
        bound = [
            self._bind(process, values) if process and self.backend.has_spellings(kind) else values
            for process, kind, values in zip(
                self._processors, self.types, zip(*rows, strict=True), strict=True
            )
        ]
        for place, values in zip(self._key, zip(*stored, strict=True), strict=True) if rows else ():
            bound[place] = values
        return super()._change(list(zip(*bound, strict=True)))

    def _stored_key(self, key: Key) -> Key:
        return self._stored_keys[key] if self._spelled else key

    def _about(self, message: str) -> list[Column[Any]]:
        """Take all foreign keys, where a message does not say which it is about."""
        if message.startswith("FOREIGN KEY"):
            return [one for one in self.columns if one.foreign_keys]
        return super()._about(message)


def _lines(rows: Rows) -> bytes | bytearray:
    """Return texts as lines; large ones are not copied by the way."""
    if not is_large([text for (text,) in rows]):
        return "".join([f"{text}\n" for (text,) in rows]).encode()
    lines = bytearray()
    for (text,) in rows:
        for piece in pieces_of(text):
            lines += piece.encode()
        lines += b"\n"
    return lines


def _read(readers: Sequence[ColumnReader], rows: Rows) -> Rows:
    """Return what is stored, read column by column."""
    stored = list(zip(*rows, strict=True))
    found = [one.read(each) for one, each in zip(readers, stored, strict=True)]
    same = all(map(is_, found, stored))
    return rows if same else list(zip(*found, strict=True))
