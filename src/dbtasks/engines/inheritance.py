"""Tables of PostgreSQL that inherit from others, or are parts of them: both show their rows."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, Integer, Table, func, literal_column, select, text

from dbtasks.engines.quoting import quoted

PAIRS = text("SELECT inhparent::bigint, inhrelid::bigint FROM pg_inherits")


def rows_without_heirs(
    connection: Connection, table: Table, others: Collection[Table]
) -> list[ColumnElement[bool]]:
    """Return the condition of the rows of a table that none of the others has as its own.

    A table shows the rows of all that inherit from it (PostgreSQL's manual, 5.11).
    """
    heirs: dict[int, list[int]] = defaultdict(list)
    for parent, heir in connection.execute(PAIRS):
        heirs[parent].append(heir)
    below = _below(heirs, [_number(connection, table)]) if heirs else set()
    if not below:
        return []
    named = below.intersection(_number(connection, one) for one in others if one is not table)
    gone = sorted(named | _below(heirs, named))
    return [literal_column("tableoid", Integer).not_in(gone)] if gone else []


def _below(heirs: dict[int, list[int]], start: Collection[int]) -> set[int]:
    """Return all that inherit from some tables, over others too."""
    found: set[int] = set()
    todo = [*start]
    while todo:
        new = [one for one in heirs[todo.pop()] if one not in found]
        found.update(new)
        todo += new
    return found


def _number(connection: Connection, table: Table) -> int:
    """Return what the server calls a table by."""
    name = quoted(connection, table)
    return connection.scalar(select(func.to_regclass(name).op("::")(literal_column("oid")))) or 0
