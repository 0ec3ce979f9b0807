"""The engine's plan for a statement, asked for with the statement's own parameters."""

from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement

Plan = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class Explain(Executable, ClauseElement):
    """Put a word such as EXPLAIN before a statement."""

    inherit_cache = False

    def __init__(self, prefix: str, statement: Any) -> None:
        self.prefix = prefix
        self.statement = statement


@compiles(Explain)
def compile_explain(element: Explain, compiler: Any, **options: Any) -> str:
    """Return the SQL, its parameters collected by the compiler."""
    return f"{element.prefix} {compiler.process(element.statement, **options)}"


def explain(connection: Connection, prefix: str, statement: Any) -> Plan:
    """Return the names of the plan's columns, and its rows."""
    cursor: Any = connection.execute(Explain(prefix, statement)).cursor
    # From the driver: SQLAlchemy would take the plan's columns for those of the statement.
    return tuple(one[0] for one in cursor.description), [tuple(row) for row in cursor.fetchall()]
