"""Copy the rows of a table in and out by SQLAlchemy Core, as any database allows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    cast,
    column,
    insert,
    select,
    table,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.copying.forms import JSONL, WRITERS, from_jsonl
from dbtasks.engines.copying.wire import Row, encode_rows, stored_type

if TYPE_CHECKING:
    from dbtasks.engines.base import Backend

BATCH = 2000
"""Rows that are held at once."""

Rows = Sequence[Sequence[Any]]


class Block(NamedTuple):
    """Hold whole lines of text, and the number of rows that they are."""

    text: bytes
    rows: int


class RowError(Exception):
    """Say which row of those that were copied in the database refused: the first is 0.

    It is None where the database does not tell. `error` is the driver's.
    """

    def __init__(self, row: int | None, error: DBAPIError) -> None:
        super().__init__(str(error))
        self.row = row
        self.error = error


class Copying:
    """Copy the rows of one table in and out, within the transaction that is open.

    `copy_out` yields text as it goes into a file, made by the server where it can, and
    `rows_out` the same rows as values. `copy_in` takes rows. Values are in the form that
    `engines.copying.wire` describes. A class of its own for an engine overrides what is faster.
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
        self.types = [stored_type(one.type, backend) for one in columns]

    def copy_out(self, form: str, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Block]:
        """Yield the rows in the order of their key, as text in a form: jsonl or csv."""
        for rows in self.rows_out(criteria):
            yield Block(WRITERS[form](rows), len(rows))

    def rows_out(self, criteria: Sequence[ColumnElement[bool]] = ()) -> Iterator[Sequence[Row]]:
        """Yield lists of rows in the order of their key."""
        chosen = [
            self._selected(one, kind) for one, kind in zip(self.columns, self.types, strict=True)
        ]
        statement = select(*chosen).where(*criteria).order_by(*self.table.primary_key)
        result = self.connection.execute(statement.execution_options(yield_per=BATCH))
        for rows in result.partitions():
            yield encode_rows(rows)

    def copy_in(self, batches: Iterable[Rows]) -> int:
        """Insert the rows of all batches, and return how many they were.

        What is not given a value gets the column's default of the database, and never that of
        the model. Raises RowError for a row that the database refuses.
        """
        done = 0
        for rows in batches:
            self._insert(rows, done)
            done += len(rows)
        return done

    def _selected(self, one: Column[Any], kind: Any) -> ColumnElement[Any]:
        """Return what is selected for a column: documents as text, as they are stored."""
        if isinstance(kind, JSON) and not isinstance(kind, ARRAY):
            return cast(one, Text)
        return type_coerce(one, kind)

    def _insert(self, rows: Rows, done: int) -> None:
        """Insert one batch; when it is refused, look for the row by inserting one by one."""
        savepoint = self.connection.begin_nested()
        try:
            self._send(rows)
            savepoint.commit()
            return
        except DBAPIError as error:
            if self._is_gone(error):
                raise RowError(None, error) from error
            refused = error
        savepoint.rollback()
        raise self._find(rows, done, refused)

    def _find(self, rows: Rows, done: int, refused: DBAPIError) -> RowError:
        for number, row in enumerate(rows):
            try:
                self._send([row])
            except DBAPIError as error:
                return RowError(done + number, error)
        return RowError(None, refused)

    def _is_gone(self, error: DBAPIError) -> bool:
        """Whether the connection or the transaction is, so that nothing more can be asked."""
        return (
            error.connection_invalidated
            or self.backend.lost_connection(error)
            or self.backend.is_conflict(error)
            or self.backend.has_ended(self.connection)
        )

    def _send(self, rows: Rows) -> None:
        names = [one.name for one in self.columns]
        target = table(
            self.table.name,
            *(column(name, kind) for name, kind in zip(names, self.types, strict=True)),
            schema=self.table.schema,
        )
        given = [dict(zip(names, row, strict=True)) for row in rows]
        self.connection.execute(insert(target).inline(), given)


def rows_of(blocks: Iterable[Block]) -> Iterator[Sequence[Row]]:
    """Yield the rows of blocks in the form jsonl."""
    for block in blocks:
        yield from_jsonl(block.text)


__all__ = ["BATCH", "JSONL", "Block", "Copying", "RowError", "Rows", "rows_of"]
