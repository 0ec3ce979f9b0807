"""Scratch databases on a MySQL or MariaDB server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

from sqlalchemy import URL, Engine, event

from dbtasks.engines.base.scratch import PREFIX, ServerScratch, by_hand
from dbtasks.errors import UsageError

STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*'")
ELSEWHERE = re.compile(
    r"""
    (?: \b (?:TABLE | VIEW | TRIGGER | SEQUENCE | INTO | UPDATE | DELETE\s+FROM | REFERENCES |
           INDEX\s+\S+\s+ON)
        \s+ (?:IF\s+(?:NOT\s+)?EXISTS\s+)? `?(?P<schema>[\w$]+)`? \s*\.\s* [`\w]
    ) | ^\s* (?:USE | (?:CREATE | ALTER | DROP)\s+(?:DATABASE | SCHEMA))
        \s+ (?:IF\s+(?:NOT\s+)?EXISTS\s+)? `?(?P<database>[\w$]+)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What of MySQL names the database that a statement writes to."""


class MySQLScratch(ServerScratch):
    """Make a database of a MySQL or MariaDB server."""

    entrances = ("information_schema",)
    names = "SHOW DATABASES"
    sessions = """
        SELECT CONCAT('KILL ', id) FROM information_schema.processlist
        WHERE db = :name AND id <> CONNECTION_ID()
    """
    types = """
        SELECT column_name, column_type FROM information_schema.columns
        WHERE table_schema = COALESCE(:schema, database()) AND table_name = :table
    """
    grant = "GRANT ALL ON `dbtasks\\_scratch\\_%`.* TO … lets the user make such databases"

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database; while it is open, no statement may name another.

        A schema is a database here: the project's own would be written to.
        """
        with super().opened() as url, _kept_within():
            yield url


@contextmanager
def _kept_within() -> Iterator[None]:
    """Raise UsageError in the block for what this thread would write to another database."""
    thread = get_ident()

    def check(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if get_ident() != thread:
            return
        for found in ELSEWHERE.finditer(STRINGS.sub("''", statement)):
            name = found["database"] or found["schema"]
            if not name.lower().startswith((PREFIX, "information_schema")):
                raise UsageError(
                    f"the history, or a model, writes to another database ({name}), which no "
                    "scratch database can stand for",
                    hint=by_hand(),
                )

    event.listen(Engine, "before_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", check)
