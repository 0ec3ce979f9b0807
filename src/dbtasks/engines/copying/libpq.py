"""COPY … TO STDOUT on libpq itself, a message a row: for each psycopg takes three times as long."""

import select
from collections.abc import Iterator
from typing import Any

from psycopg import pq
from psycopg.errors import error_from_result

CHUNK = 2000
"""Rows of the server that are held at once."""


def read_lines(connection: Any, sql: str) -> Iterator[list[bytes]]:
    """Yield lists of the lines that the server sends for a statement, on psycopg's `pgconn`.

    Raises psycopg's error; the statement is cancelled when not all of it is wanted.
    """
    result = connection.exec_(sql.encode())
    if result.status != pq.ExecStatus.COPY_OUT:
        raise error_from_result(result)
    ended = False
    try:
        yield from _chunks(connection)
        ended = True
    finally:
        if not ended:
            connection.get_cancel().cancel()
        failed = _finish(connection)
    if failed is not None:
        raise error_from_result(failed)


def _chunks(connection: Any) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    for line in _messages(connection):
        lines.append(line)
        if len(lines) == CHUNK:
            yield lines
            lines = []
    if lines:
        yield lines


def _messages(connection: Any) -> Iterator[bytes]:
    receive = connection.get_copy_data
    while True:
        size, message = receive(1)
        if size > 0:
            yield bytes(message)
        elif size < 0:
            return
        else:  # nothing yet: wait where an interrupt is heard
            select.select([connection.socket], [], [])
            connection.consume_input()


def _finish(connection: Any) -> Any:
    """Read what is left of the statement, and return the result of one that failed."""
    failed = None
    while (result := connection.get_result()) is not None:
        if result.status == pq.ExecStatus.COPY_OUT:
            for _ in _messages(connection):
                pass
        elif result.status == pq.ExecStatus.FATAL_ERROR:
            failed = result
    return failed
