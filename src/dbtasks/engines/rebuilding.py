"""What SQLite has beside a table that is made anew, and would lose or refuse."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

VIEWS_AND_TRIGGERS = """
SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY rowid
"""


class Dependent(NamedTuple):
    """Hold the statements that drop a view or a trigger, and make it again."""

    drop: str
    create: str


def read_dependents(connection: Connection, table: str) -> Sequence[Dependent]:
    """Return the views and triggers that name a table, or a view that does, in their order.

    A view of a table that is away for a moment lets SQLite rename none; a trigger goes with it.
    """
    names, found = {table}, []
    for kind, name, on, sql in connection.exec_driver_sql(VIEWS_AND_TRIGGERS):
        if on in names or any(re.search(rf"\b{re.escape(one)}\b", sql, re.I) for one in names):
            names |= {name} if kind == "view" else set()
            quoted = name.replace('"', '""')
            found.append(Dependent(f'DROP {kind.upper()} "{quoted}"', sql))
    return found
