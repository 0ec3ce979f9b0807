"""Packets of MySQL and MariaDB: what is longer than one is refused before it is sent.

The server would end the connection, or say neither what is too long nor where.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from sqlalchemy import Connection, Engine, event

from dbtasks.errors import Rejected
from dbtasks.interrupts import ending

STATEMENT = 1 << 12
"""Bytes of a statement besides its large values, and of a value that is not large."""

NUMBER = re.compile(r"__\d+\Z")
"""What SQLAlchemy adds to the name of a column where one statement has several rows."""

ESCAPED = "\0\n\r\x1a\"'\\"


def packet_size(connection: Connection) -> int:
    """Return how long a statement may be, in bytes; it is asked once a connection."""
    if "dbtasks_packet" not in connection.info:
        found = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar()
        connection.info["dbtasks_packet"] = int(found or 0)
    return int(connection.info["dbtasks_packet"])


def writes_hexadecimal(connection: Connection) -> bool:
    """Whether the driver writes bytes with two digits each, as PyMySQL does since 1.2."""
    if "dbtasks_hexadecimal" not in connection.info:
        cursor: Any = connection.connection.cursor()
        with ending(cursor.close):
            written = len(cursor.mogrify("%s", (b"-" * STATEMENT,)))
        connection.info["dbtasks_hexadecimal"] = written > 2 * STATEMENT
    return bool(connection.info["dbtasks_hexadecimal"])


def size_of(value: Any, *, hexadecimal: bool = False) -> int:
    """Return how long a text, or bytes, are in a statement, where the drivers escape them."""
    if not isinstance(value, (str, bytes)):
        return 0
    if hexadecimal and isinstance(value, bytes):
        return 2 * len(value)
    if len(value) < STATEMENT:
        return len(value)
    if isinstance(value, str):
        return len(value.encode()) + sum(map(value.count, ESCAPED))
    return len(value) + sum(value.count(one.encode()) for one in ESCAPED)


def check_packet(connection: Connection, what: str, sizes: Mapping[str, int]) -> None:
    """Raise Rejected for sizes by column that no packet holds together."""
    total, packet = sum(sizes.values()), packet_size(connection)
    if total + STATEMENT > packet:
        raise Rejected(
            f"{what} takes {total} bytes, most of them for {max(sizes, key=sizes.__getitem__)}, "
            f"and the server's max_allowed_packet is {packet}",
            hint="raise max_allowed_packet in the server's configuration, "
            "or by SET GLOBAL max_allowed_packet = …, and try again",
        )


def refuse_long_statements(engine: Engine) -> None:
    """Check each statement of SQLAlchemy with large values before it is sent."""

    @event.listens_for(engine, "before_cursor_execute")
    def check(
        connection: Connection, cursor: Any, statement: str, values: Any, context: Any, many: bool
    ) -> None:
        compiled = context and context.compiled
        names = getattr(compiled, "positiontup", None) or ()  # of DDL there are none
        for row in _rows(values, many) if compiled else ():
            _check_row(connection, names, row)


def _rows(values: Any, many: bool) -> Sequence[Any]:
    """Return what the statement is sent with, once for each time.

    One INSERT of many rows, as SQLAlchemy sends it where keys are returned, has all their values
    in one sequence or mapping, and counts as many too.
    """
    several = many and isinstance(values, Sequence) and isinstance(values[0], (Sequence, Mapping))
    return values if several and not isinstance(values[0], (str, bytes)) else [values]


def _check_row(connection: Connection, names: Sequence[str], row: Any) -> None:
    given = row.items() if isinstance(row, Mapping) else zip(cycle(names), row, strict=False)
    large = [(name, one) for name, one in given if isinstance(one, (str, bytes))]
    if sum(len(one) for _, one in large) <= STATEMENT:
        return
    hexadecimal = writes_hexadecimal(connection)
    sizes: Counter[str] = Counter()
    for name, value in large:
        sizes[NUMBER.sub("", name)] += size_of(value, hexadecimal=hexadecimal)
    check_packet(connection, "the statement", sizes)
