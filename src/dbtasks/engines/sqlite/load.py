"""What the load of several tables does around their rows on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings, filterwarnings

from sqlalchemy import Inspector, Table, inspect

from dbtasks.engines.base.load import Loading


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
