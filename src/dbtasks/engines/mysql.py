"""MySQL and MariaDB, through pymysql or mysqlclient."""

from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Connection, Engine, String, cast, collate, event
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base import CONNECT_SECONDS, Backend, Driver

CHARSET = "utf8mb4"
BINARY = "utf8mb4_bin"
MISSING = frozenset({1146, 1054, 1049})
LOCK_FAILURES = frozenset({1205, 1213})
GONE = frozenset({2006, 2013, 2055, 1053, 1927})


class MySQL(Backend):
    """Speak strict SQL and whole Unicode, and compare text with its case."""

    title = "MySQL"
    drivers = (
        Driver("pymysql", "pymysql", "pymysql"),
        Driver("mysqldb", "MySQLdb", "mysqlclient"),
    )
    async_drivers: ClassVar = {"aiomysql": {}, "asyncmy": {}}
    streams_beside = False

    def __init__(self, url: URL, root: Path) -> None:
        super().__init__(url, root)
        if "charset" not in url.query and self.own_driver:
            self.url = url.update_query_dict({"charset": CHARSET})

    def engine_options(self) -> dict[str, Any]:
        """Bound the time to connect."""
        if "connect_timeout" in self.url.query or not self.own_driver:
            return {}
        return {"connect_args": {"connect_timeout": CONNECT_SECONDS}}

    def prepare_engine(self, engine: Engine) -> None:
        """Refuse what does not fit a column, instead of cutting it."""

        @event.listens_for(engine, "connect")
        def be_strict(connection: Any, record: object) -> None:
            cursor = connection.cursor()
            cursor.execute(
                "SET SESSION sql_mode = "
                "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_TRANS_TABLES')"
            )
            cursor.close()

    def version(self, connection: Connection) -> str:
        """Tell MariaDB from MySQL."""
        name = "MariaDB" if getattr(connection.dialect, "is_mariadb", False) else self.title
        return super().version(connection).replace(self.title, name, 1)

    def equals(self, column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
        """Compare text by LIKE without a wildcard: = ignores case and trailing spaces here."""
        if not isinstance(value, str) or not isinstance(column.type, String):
            return super().equals(column, value)
        return (column == value) & _exact(column).like(_escape(value), escape="/")

    def starts_with(self, column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
        """Match by the characters' codes; the plain LIKE beside it lets an index be used."""
        plain = super().starts_with(column, value)
        return plain & _exact(column).like(_escape(value) + "%", escape="/")

    def message_of(self, error: DBAPIError) -> str:
        """Return the server's message without its number."""
        arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
        return str(arguments[1]) if len(arguments) > 1 else super().message_of(error)

    def is_missing_table(self, error: DBAPIError, message: str) -> bool:
        """Go by the server's number."""
        return _number(error) in MISSING

    def is_lock_failure(self, error: DBAPIError) -> bool:
        """Go by the server's number."""
        return _number(error) in LOCK_FAILURES

    def lost_connection(self, error: DBAPIError) -> bool:
        """Go by the client's number."""
        return _number(error) in GONE


class MariaDB(MySQL):
    """Be MySQL, under the name that the URL gives it."""

    title = "MariaDB"


def _number(error: DBAPIError) -> int:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def _exact(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the text as utf8mb4 whatever the column's own character set is."""
    from sqlalchemy.dialects.mysql import CHAR  # no other database should pay for its dialect

    return collate(cast(column, CHAR(charset=CHARSET)), BINARY)


def _escape(value: str) -> str:
    return value.replace("/", "//").replace("%", "/%").replace("_", "/_")
