"""Scratch databases on a MySQL or MariaDB server."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import Dialect

from dbtasks.engines.base.definitions import SEQUENCE, TABLE, Definition, Key
from dbtasks.engines.base.scratch import MARK, ServerScratch, by_hand
from dbtasks.engines.sql.quoting import identifier
from dbtasks.errors import NoScratch

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend

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
    identity = "SELECT CONCAT(@@hostname, ':', @@port, '/', DATABASE())"
    conditions = """
        SHOW VARIABLES WHERE Variable_name IN (
            'version', 'version_comment', 'sql_mode', 'old_mode', 'lower_case_table_names',
            'character_set_server', 'collation_server', 'character_set_collations',
            'default_collation_for_utf8mb4', 'default_storage_engine', 'enforce_storage_engine',
            'innodb_default_row_format', 'innodb_strict_mode', 'innodb_file_per_table',
            'explicit_defaults_for_timestamp', 'check_constraint_checks', 'foreign_key_checks',
            'restrict_fk_on_non_standard_key', 'sql_require_primary_key', 'time_zone',
            'sql_generate_invisible_primary_key', 'default_table_encryption')
    """
    objects = f"""
        SELECT CONCAT('DROP ', IF(o.type LIKE '%TABLE%', 'TABLE', o.type), ' IF EXISTS `',
                      REPLACE(o.name, '`', '``'), '`')
        FROM (SELECT table_type AS type, table_name AS name FROM information_schema.tables
              WHERE table_schema = DATABASE() AND table_name <> '{MARK}'
              UNION ALL
              SELECT routine_type, routine_name FROM information_schema.routines
              WHERE routine_schema = DATABASE()
              UNION ALL
              SELECT 'EVENT', event_name FROM information_schema.events
              WHERE event_schema = DATABASE()) o
        WHERE :since = 0
    """
    sessions = """
        SELECT CONCAT('KILL ', id) FROM information_schema.processlist
        WHERE db = :name AND id <> CONNECTION_ID()
    """
    grant = r"""
        SELECT CONCAT('GRANT ALL ON `dbtasks\_scratch\_%`.* TO ''',
                      REPLACE(CURRENT_USER(), '@', '''@'''), '''')
    """

    @contextmanager
    def opened(self) -> Iterator[URL]:
        """Yield the URL of a new database; while it is open, no statement may name another.

        A schema is a database here: the project's own would be written to.
        """
        with super().opened() as url, _kept_within(str(url.database)):
            yield url

    @contextmanager
    def emptied(self, own: "Backend") -> Iterator[None]:
        """Let no statement name another database here, too."""
        with super().emptied(own), _kept_within(str(self.backend.url.database)):
            yield

    def statements(self, definitions: Mapping[Key, Definition], dialect: Dialect) -> Iterator[str]:
        """Yield those of sequences and tables."""
        yield "SET SESSION foreign_key_checks = 0"
        for key, definition in definitions.items():
            if key.kind == SEQUENCE:
                name = identifier(dialect, key.name)
                yield f"CREATE SEQUENCE {name} {definition.sql}"
        for key, definition in definitions.items():
            if key.kind == TABLE:
                yield definition.sql
        yield "SET SESSION foreign_key_checks = 1"

    def clear(self, connection: Connection, since: int = 0) -> None:
        """Drop tables whatever refers to them."""
        connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        super().clear(connection, since)


@contextmanager
def _kept_within(database: str) -> Iterator[None]:
    """Raise NoScratch in the block for what this thread would write to another database."""
    thread = get_ident()

    def check(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if get_ident() != thread:
            return
        for found in ELSEWHERE.finditer(STRINGS.sub("''", statement)):
            name = found["database"] or found["schema"]
            if name.lower() not in (database.lower(), "information_schema"):
                raise NoScratch(
                    f"the history, or a model, writes to another database ({name}), which no "
                    "scratch database can stand for",
                    hint=by_hand(),
                )

    event.listen(Engine, "before_cursor_execute", check)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", check)
