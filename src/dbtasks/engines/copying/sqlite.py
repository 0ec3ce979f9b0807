"""Copy rows in and out of SQLite."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from operator import is_
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Inspector,
    Numeric,
    Select,
    Table,
    inspect,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from dbtasks.engines.copying.classes import ColumnReader
from dbtasks.engines.copying.core import BATCH, Rows
from dbtasks.engines.copying.driver import DriverCopying
from dbtasks.engines.copying.loading import Loading
from dbtasks.engines.copying.wire import BinaryNumeric

DECIMALS = 323
"""Decimals of the smallest number that there is."""


class SQLiteCopying(DriverCopying):
    """Fetch the driver's own rows, for which SQLAlchemy takes twice as long."""

    def _stored_type(self, one: Column[Any]) -> TypeEngine[Any]:
        """Take a Numeric for what is stored, with all decimals: SQLAlchemy reads ten of them."""
        kind = super()._stored_type(one)
        if not isinstance(kind, Numeric) or isinstance(kind, Float) or not kind.asdecimal:
            return kind
        return BinaryNumeric(kind.precision, kind.scale, decimal_return_scale=DECIMALS)

    def _fetched(self, statement: Select[Any]) -> Iterator[Rows]:
        """Yield what the driver fetches, read column by column."""
        dialect = self.connection.dialect
        readers = [ColumnReader(kind, dialect) for kind in self.types]
        result = self.connection.execute(statement)
        cursor: Any = result.cursor  # the result fetches nothing by itself
        with closing(result), self._wrapped("SELECT"):
            while rows := cursor.fetchmany(BATCH):
                stored = list(zip(*rows, strict=True))
                found = [one.read(each) for one, each in zip(readers, stored, strict=True)]
                same = all(map(is_, found, stored))
                yield rows if same else list(zip(*found, strict=True))

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
