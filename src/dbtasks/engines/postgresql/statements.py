"""One statement for each call, on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_statement_a_call(connection: Any) -> Iterator[None]:
    """Let psycopg prepare each statement: PostgreSQL takes no second one with it then.

    psycopg2 cannot, nor may psycopg where it was told never to prepare, as behind a pooler.
    """
    before = getattr(connection, "prepare_threshold", None)
    if before is None:
        yield
        return
    connection.prepare_threshold = 0
    try:
        yield
    finally:
        connection.prepare_threshold = before
