"""COPY … TO STDOUT on libpq itself, a message a row: for each psycopg takes three times as long."""

import select
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from psycopg import pq
from psycopg.errors import error_from_result

from dbtasks.engines.base.wire import Buffer
from dbtasks.interrupts import clean_up

SIGNATURE = b"PGCOPY\n\xff\r\n\0"

ROWS, LONG = 2000, 1 << 13
"""Rows that are held at once, and the bytes of one that is the last of them."""


def read_blocks(connection: Any, sql: str, most: int = ROWS) -> Iterator[tuple[bytearray, int]]:
    """Yield the text that the server sends for a statement, and how many rows it is, by blocks.

    `connection` is psycopg's `pgconn`, `most` the rows of a block.

    Raises psycopg's error; the statement is cancelled when not all of it is wanted.
    """
    result = connection.exec_(sql.encode())
    if result.status != pq.ExecStatus.COPY_OUT:
        raise error_from_result(result)
    try:
        yield from _blocks(connection, most)
    except BaseException as error:
        clean_up(lambda: connection.get_cancel().cancel(), error)
        clean_up(lambda: _finish(connection), error)
        raise
    failed = _finish(connection)
    if failed is not None:
        raise error_from_result(failed)


def read_binary(connection: Any, sql: str) -> Iterator[list[memoryview | None]]:
    """Yield the fields of each row of a binary COPY; NULL is None.

    A row is a message of the length of its fields, each behind its own length; the first message
    may have the header (https://www.postgresql.org/docs/current/sql-copy.html).
    """
    for block, _ in read_blocks(connection, sql, 1):
        view = memoryview(block)
        if block.startswith(SIGNATURE):
            extension = int.from_bytes(view[15:19])
            view = view[19 + extension :]
        if len(view) > 2:  # otherwise it is the header alone, or the end
            fields = [_fields(view)]
            del block, view
            yield fields.pop()  # so that no large value is held here meanwhile


def read_sliced(
    connection: Any, sql: str, sliced: Sequence[int]
) -> Generator[list[Buffer | None], None, None]:
    """Yield the fields of rows of which some come in slices, and are put together.

    Before the fields of each message stands how many more of the same row follow.
    """
    messages = read_binary(connection, sql)
    for left, *fields in messages:
        row: list[Buffer | None] = [*fields]
        for number in range(int.from_bytes(left or b"") - 1, -1, -1):
            left, *fields = next(messages)
            if int.from_bytes(left or b"") != number:
                raise AssertionError("the slices of a row are not in their order")
            for place in sliced:
                row[place] = _appended(row[place], fields[place])
        found = [row]
        del row, left, fields
        yield found.pop()  # so that no large value is held here meanwhile


def _appended(value: Buffer | None, more: memoryview | None) -> Buffer | None:
    if value is None or not more:
        return value
    whole = value if isinstance(value, bytearray) else bytearray(value)
    whole += more
    return whole


def _fields(view: memoryview) -> list[memoryview | None]:
    found: list[memoryview | None] = []
    place = 2
    for _ in range(int.from_bytes(view[:2])):
        size = int.from_bytes(view[place : place + 4], signed=True)
        place += 4
        found.append(None if size < 0 else view[place : place + size])
        place += max(size, 0)
    return found


def _blocks(connection: Any, most: int) -> Iterator[tuple[bytearray, int]]:
    """Put messages together: a list of them would take half as long again."""
    receive = connection.get_copy_data
    size = 0
    while size >= 0:
        text, rows = bytearray(), 0
        for rows in range(1, most + 1):
            size, message = receive(1)
            while not size:  # nothing yet: wait where an interrupt is heard
                select.select([connection.socket], [], [])
                connection.consume_input()
                size, message = receive(1)
            if size < 0:
                rows -= 1
                break
            text += message
            message = b""
            if size > LONG:
                break
        if rows:
            found = [(text, rows)]
            del text
            yield found.pop()  # so that no large value is held here meanwhile


def _finish(connection: Any) -> Any:
    """Read what is left of the statement, and return the result of one that failed."""
    failed = None
    while (result := connection.get_result()) is not None:
        if result.status == pq.ExecStatus.COPY_OUT:
            for _ in _blocks(connection, ROWS):
                pass
        elif result.status == pq.ExecStatus.FATAL_ERROR:
            failed = result
    return failed
