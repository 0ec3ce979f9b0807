"""Copy rows in and out of SQLite."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from operator import is_
from typing import Any
from warnings import catch_warnings, filterwarnings

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Inspector,
    Integer,
    LargeBinary,
    Numeric,
    Select,
    String,
    Table,
    Text,
    and_,
    cast,
    func,
    inspect,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from dbtasks.engines.copying.classes import ColumnReader
from dbtasks.engines.copying.core import BATCH, Block, Rows
from dbtasks.engines.copying.driver import DriverCopying
from dbtasks.engines.copying.forms import JSONL
from dbtasks.engines.copying.loading import Loading
from dbtasks.engines.copying.wire import BinaryNumeric, Document

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
        for rows in self._stored(statement):
            yield Block("".join([f"{text}\n" for (text,) in rows]).encode(), len(rows))

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
        for rows in self._stored(statement):
            stored = list(zip(*rows, strict=True))
            found = [one.read(each) for one, each in zip(readers, stored, strict=True)]
            same = all(map(is_, found, stored))
            yield rows if same else list(zip(*found, strict=True))

    def _stored(self, statement: Select[Any]) -> Iterator[Rows]:
        """Yield what the driver fetches."""
        result = self.connection.execute(statement)
        cursor: Any = result.cursor  # the result fetches nothing by itself
        with closing(result), self._wrapped("SELECT"):
            while rows := cursor.fetchmany(BATCH):
                yield rows

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Select what is stored: nothing is cast."""
        return type_coerce(one, kind)

    def _about(self, message: str) -> list[Column[Any]]:
        """Take all foreign keys, where a message does not say which it is about."""
        if message.startswith("FOREIGN KEY"):
            return [one for one in self.columns if one.foreign_keys]
        return super()._about(message)


class SQLiteLoading(Loading):
    """Defer the foreign keys to the commit; before it look for what is missing, to name it."""

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer them in this transaction: the commit ends it.

        While a row waits for its parent, SQLite looks at each new row for those that wait for it:
        without an index it reads the whole table, every time.
        """
        self.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        names = []
        for number, (one, columns) in enumerate(self._unindexed()):
            names.append(self._qualified(one, f"dbtasks_load_{number}"))
            on = f"{self.quote.quote(one.name)} ({', '.join(map(self.quote.quote, columns))})"
            self.connection.exec_driver_sql(f"CREATE INDEX {names[-1]} ON {on}")
        yield
        self._check_orphans()
        for name in names:
            self.connection.exec_driver_sql(f"DROP INDEX {name}")

    def _unindexed(self) -> list[tuple[Table, list[str]]]:
        """Return the columns by which these tables refer to each other, without an index."""
        look = inspect(self.connection)
        with catch_warnings():
            filterwarnings("ignore")  # of indexes on expressions, which no foreign key can use
            return self._referring(look)

    def _referring(self, look: Inspector) -> list[tuple[Table, list[str]]]:
        loaded = {one.name.lower() for one in self.tables}
        return [
            (one, key["constrained_columns"])
            for one in self.tables
            for key in look.get_foreign_keys(one.name, schema=one.schema)
            if key["referred_table"].lower() in loaded
            and not {*key["constrained_columns"]} & _first_columns(look, one)
        ]

    def _qualified(self, one: Table, name: str) -> str:
        return f"{self.quote.quote(one.schema)}.{name}" if one.schema else name


def _first_columns(look: Inspector, one: Table) -> set[Any]:
    """Return the columns that an index of all of a table's rows begins with."""
    lists: list[Any] = [look.get_pk_constraint(one.name, schema=one.schema)["constrained_columns"]]
    lists += [
        index["column_names"]
        for index in look.get_indexes(one.name, schema=one.schema)
        if "sqlite_where" not in index.get("dialect_options", {})
    ]
    unique = look.get_unique_constraints(one.name, schema=one.schema)
    lists += [index["column_names"] for index in unique]
    return {names[0] for names in lists if names}
