"""Insert rows by the driver itself, many with one statement: SQLAlchemy takes twice as long."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar

from dbtasks.engines.base.bulk import Copying, Rows

PARAMETERS = 180
"""Values that one statement is given; with more of them it does not get faster."""


class DriverCopying(Copying):
    """Insert by the driver's executemany, each statement with several rows."""

    rows_a_statement: ClassVar[int | None] = None
    """How many rows a statement has; None for as many as fit PARAMETERS."""

    def _send(self, rows: Rows) -> int:
        sent = self._bound(rows)
        size = self.rows_a_statement or max(1, PARAMETERS // len(self.columns))
        whole = len(sent) // size * size
        taken = 0
        if whole:
            grouped = [
                tuple(chain.from_iterable(sent[start : start + size]))
                for start in range(0, whole, size)
            ]
            taken += self.connection.exec_driver_sql(self._statement(size), grouped).rowcount
        if whole < len(sent):
            rest = list(map(tuple, sent[whole:]))
            taken += self.connection.exec_driver_sql(self._statement(1), rest).rowcount
        return taken

    def _bound(self, rows: Rows) -> Rows:
        """Return the rows as the driver takes them."""
        if not any(self._processors):
            return rows
        return list(zip(*self._bound_columns(rows), strict=True))

    def _bound_columns(self, rows: Rows) -> Iterator[Any]:
        for process, values in zip(self._processors, zip(*rows, strict=True), strict=True):
            yield values if process is None else self._bind(process, values)

    def _bind(self, process: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
        """Return values of a column as the driver takes them."""
        # NULL is NULL, whatever a type makes of it.
        return [None if value is None else process(value) for value in values]

    def _statement(self, rows: int, marks: Sequence[str] = ()) -> str:
        quote = self.connection.dialect.identifier_preparer
        names = ", ".join(quote.format_column(one) for one in self.columns)
        mark = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
        values = f"({', '.join(marks or [mark] * len(self.columns))})"
        return (
            f"INSERT INTO {quote.format_table(self.table)} ({names}) "
            f"VALUES {', '.join([values] * rows)}"
        )

    @cached_property
    def _processors(self) -> list[Any]:
        dialect = self.connection.dialect
        return [kind.dialect_impl(dialect).bind_processor(dialect) for kind in self.types]
