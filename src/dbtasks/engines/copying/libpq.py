"""COPY … TO STDOUT on libpq itself, a message a row: for each psycopg takes three times as long."""

import select
from collections.abc import Iterator
from typing import Any

from psycopg import pq
from psycopg.errors import error_from_result

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
    ended = False
    try:
        yield from _blocks(connection, most)
        ended = True
    finally:
        if not ended:
            connection.get_cancel().cancel()
        failed = _finish(connection)
    if failed is not None:
        raise error_from_result(failed)


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
            if size > LONG:
                break
        if rows:
            yield text, rows


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
