"""MySQL and MariaDB, through pymysql or mysqlclient."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    cast,
    collate,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.backend import CONNECT_SECONDS, Backend, Driver
from dbtasks.engines.base.lock import SessionLock
from dbtasks.engines.base.sockets import keep_alive
from dbtasks.engines.base.statements import ADD_WRITE, CHANGES, READS, ROWS, Run
from dbtasks.engines.base.text_match import ESCAPE, ignores_case, like_pattern
from dbtasks.engines.mysql.bulk import MySQLCopying
from dbtasks.engines.mysql.catalogue import MySQLCatalogue
from dbtasks.engines.mysql.column_checks import MySQLColumnChecks
from dbtasks.engines.mysql.comparison import MySQLComparison
from dbtasks.engines.mysql.flush import MySQLEmptying
from dbtasks.engines.mysql.indexes import MySQLIndexing
from dbtasks.engines.mysql.load import MySQLLoading
from dbtasks.engines.mysql.lock import NamedLock
from dbtasks.engines.mysql.packets import refuse_long_statements
from dbtasks.engines.mysql.scratch import MySQLScratch
from dbtasks.engines.mysql.storage import MySQLStorage
from dbtasks.engines.mysql.triggers import MySQLTriggers
from dbtasks.engines.sql.lexer import MYSQL, MYSQL_WITHOUT_ESCAPES
from dbtasks.engines.sql.syntax import Syntax
from dbtasks.errors import Refused

CHARSET = "utf8mb4"
BINARY = "utf8mb4_bin"
LETTERS = "utf8mb4_unicode_520_ci"  # knows 300 pairs of cases more than utf8mb4_bin does
MISSING = frozenset({1146, 1054, 1049})
LOCK_FAILURES = frozenset({1205, 1213})
GONE = frozenset({2006, 2013, 2055, 1053, 1080, 1158, 1159, 1160, 1161, 1184, 1927, 4031})
READ_ONLY = 1792
CONFLICT = 1213
LOCK_TIMEOUT = 1205
SERVER = "(CRC32(CONCAT(@@hostname, ':', @@port)) & 0x7fffffff) * 4294967296"
"""A number for the server, in the upper half of 64 bits: a cluster's servers count alike."""

CLUSTERED = ("wsrep_on", "group_replication_group_name")
"""Variables of clusters, in which a lock is known to its own node only."""
ONE_STATEMENT = 1  # MYSQL_OPTION_MULTI_STATEMENTS_OFF

CODE_COMMENTS = ("/*!", "/*M!")

CATALOGUES = ("mysql", "performance_schema")
"""Databases in which the server keeps what it has; others of its own are only read."""

PLAIN = Syntax(MYSQL_WITHOUT_ESCAPES)

# What ends a transaction by a variable, and what SET does beside variables.
COMMITS = frozenset({"AUTOCOMMIT", "COMPLETION_TYPE", "TRANSACTION"})
OTHER_SET = frozenset({"STATEMENT", "PASSWORD"})


class MySQL(MySQLComparison, MySQLStorage, MySQLColumnChecks, MySQLIndexing, Backend):
    """Speak strict SQL and whole Unicode, and compare text with its case."""

    reader = "dbtasks.engines.mysql.introspection"
    operations = "dbtasks.engines.mysql.schema"
    title = "MySQL"
    syntax = Syntax(MYSQL)
    clock = "UNIX_TIMESTAMP(SYSDATE(6))"
    drivers = (
        Driver("pymysql", "pymysql", "pymysql"),
        Driver("mysqldb", "MySQLdb", "mysqlclient"),
    )
    async_drivers: ClassVar = {"aiomysql": {}, "asyncmy": {}}
    keys_hold_types = True
    streams_beside = False
    connect_seconds = CONNECT_SECONDS
    counts_merged_once = False
    emptying = MySQLEmptying
    copying = MySQLCopying
    loading = MySQLLoading
    triggers = MySQLTriggers
    catalogue = MySQLCatalogue()
    scratch = MySQLScratch
    transactional = ROWS | CHANGES | READS | {"SET", "DO"}

    def __init__(self, url: URL, root: Path) -> None:
        super().__init__(url, root)
        if "charset" not in url.query and self.own_driver:
            self.url = url.update_query_dict({"charset": CHARSET})

    def is_spoken(self, name: str) -> bool:
        """Take either name for either."""
        return name in ("mysql", "mariadb")

    def engine_options(self) -> dict[str, Any]:
        """Bound the time to connect."""
        if "connect_timeout" in self.url.query or not self.own_driver:
            return {}
        return {"connect_args": {"connect_timeout": CONNECT_SECONDS}}

    def prepare_engine(self, engine: Engine) -> None:
        """Refuse what does not fit a column, instead of cutting it, and keep a key of 0."""

        @event.listens_for(engine, "connect")
        def be_strict(connection: Any, record: object) -> None:
            cursor = connection.cursor()
            cursor.execute(
                "SET SESSION sql_mode = "
                "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), "
                "'STRICT_TRANS_TABLES', 'NO_AUTO_VALUE_ON_ZERO')"
            )
            cursor.close()

        event.listen(engine, "connect", lambda connection, record: keep_alive(connection))
        if self.own_driver:
            refuse_long_statements(engine)

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin the transaction anew, as the one before may see each row as it is by then."""
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def can_roll_back(self, connection: Connection, table: Table) -> bool:
        """Ask the table's storage engine: MyISAM and Aria have no transactions."""
        asked = text(
            "SELECT e.transactions FROM information_schema.tables t "
            "JOIN information_schema.engines e ON e.engine = t.engine "
            "WHERE t.table_schema = COALESCE(:schema, DATABASE()) AND t.table_name = :name"
        )
        found = connection.scalar(asked, {"schema": table.schema, "name": table.name})
        return found is None or str(found).upper() == "YES"

    def version(self, connection: Connection) -> str:
        """Tell MariaDB from MySQL."""
        name = "MariaDB" if getattr(connection.dialect, "is_mariadb", False) else self.title
        return super().version(connection).replace(self.title, name, 1)

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> ColumnElement[bool]:
        """Compare by the characters' codes, and by LIKE: = ignores trailing spaces here.

        The plain comparisons beside it, which find too much, let an index be used.
        """
        exact = _recode(column, BINARY)
        if lookup == "regex":
            return exact.regexp_match(text)
        pattern = like_pattern(lookup, text)
        if ignores_case(lookup):
            return _lower(column).like(_lower(literal(pattern)), escape=ESCAPE)
        found = exact.like(pattern, escape=ESCAPE)
        if lookup in ("exact", "startswith"):
            return and_(*_plain(column, lookup, text), found)
        return found

    def check_statement(self, text: str, *, writes: bool) -> None:
        """Refuse files too, which a read-only transaction does not stop.

        A comment that is code from a version on is read by each server in another way, and so
        may be all that follows it.
        """
        if self._has_code_in_comments(text):
            raise Refused(
                "a comment with an exclamation mark is code on some servers, and not on others",
                hint="write it as code, or leave it out",
            )
        super().check_statement(text, writes=writes)
        if not writes and self._writes_file(text):
            raise Refused("INTO OUTFILE writes a file on the server", hint=ADD_WRITE)

    def changes_catalogue(self, connection: Connection, text: str, run: Run) -> bool:
        """Go by the names: these tables are not rolled back either."""
        words = [token.value.lower() for token in self.syntax.lexer.code(text)]
        named = any(word in CATALOGUES and mark == "." for word, mark in pairwise(words))
        return named or str(connection.scalar(select(func.database()))).lower() in CATALOGUES

    def is_transaction_control(self, words: list[str]) -> bool:
        """Whether a statement begins or ends a transaction, by a variable too."""
        by_variable = words[:1] == ["SET"] and not COMMITS.isdisjoint(words)
        return by_variable or super().is_transaction_control(words)

    def commits_by_itself(self, text: str) -> bool:
        """Roll back no more than rows: what defines or administers commits."""
        words = self.syntax.words(text)
        sets = words[:1] == ["SET"] and not OTHER_SET.isdisjoint(words)
        return sets or self._writes_file(text) or super().commits_by_itself(text)

    def _has_code_in_comments(self, text: str) -> bool:
        """Look for the first: up to it all servers read alike."""
        tokens = (*self.syntax.lexer.tokens(text), *PLAIN.lexer.tokens(text))
        return any(token.text.startswith(CODE_COMMENTS) for token in tokens)

    def _writes_file(self, text: str) -> bool:
        words = {*self.syntax.words(text), *PLAIN.words(text)}
        return not words.isdisjoint({"OUTFILE", "DUMPFILE"})

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Read in a transaction that is read-only; mysqlclient else takes several statements."""
        raw: Any = connection.connection.driver_connection
        if hasattr(raw, "set_server_option"):
            raw.set_server_option(ONE_STATEMENT)
        if not writes:
            connection.exec_driver_sql("START TRANSACTION READ ONLY")
        yield

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Go by the server's number."""
        return not writes and _number(error) == READ_ONLY

    def session_lock(self, connection: Connection) -> SessionLock | None:
        """Return a lock by GET_LOCK, but for a cluster or a proxy between us and the server."""
        if _is_clustered(connection) or not _is_direct(connection):
            return None
        return NamedLock(connection)

    def session_locked(self, connection: Connection) -> bool:
        """Ask whether the name is in use."""
        return NamedLock(connection).is_used()

    def prepare_lease(self, connection: Connection) -> None:
        """Let a cluster's node catch up before it answers."""
        if connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_sync_wait'").first():
            connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 7")

    def is_conflict(self, error: DBAPIError) -> bool:
        """Go by the server's number: a cluster's node reports so what another node has done."""
        return _number(error) == CONFLICT

    def connection_id(self, connection: Connection) -> int | None:
        """Return the server's number of this connection, and above it what tells servers apart."""
        number: int | None = connection.scalar(text(f"SELECT CONNECTION_ID() + {SERVER}"))
        return number

    def is_busy(self, connection: Connection, other: int | None) -> bool:
        """Whether that connection still runs a statement: it goes on when its client is gone."""
        asked = text(
            "SELECT COUNT(*) FROM information_schema.processlist "
            f"WHERE id + {SERVER} = :id AND id <> CONNECTION_ID() "
            "AND command NOT IN ('Sleep', 'Killed')"
        )
        return bool(other and connection.scalar(asked, {"id": other}))

    def limit_lock_wait(self, connection: Connection, seconds: float) -> None:
        """Set both timeouts of the session: for the table's definition, and for its rows."""
        whole = max(1, round(seconds))
        connection.exec_driver_sql(
            f"SET SESSION lock_wait_timeout = {whole}, SESSION innodb_lock_wait_timeout = {whole}"
        )

    def is_lock_timeout(self, error: BaseException | None) -> bool:
        """Go by the server's number."""
        return getattr(error, "args", (0,))[:1] == (LOCK_TIMEOUT,)

    def rolls_back_data(self, connection: Connection) -> bool:
        """Look for tables of MyISAM, Aria and the like."""
        asked = text(
            "SELECT COUNT(*) FROM information_schema.tables t "
            "JOIN information_schema.engines e ON e.engine = t.engine "
            "WHERE t.table_schema = DATABASE() AND e.transactions <> 'YES'"
        )
        return not connection.scalar(asked)

    def open_transactions(self, connection: Connection) -> list[str]:
        """Read InnoDB's list."""
        rows = connection.exec_driver_sql(
            "SELECT t.trx_mysql_thread_id, p.user, p.command, t.trx_started "
            "FROM information_schema.innodb_trx t JOIN information_schema.processlist p "
            "ON p.id = t.trx_mysql_thread_id WHERE p.id <> CONNECTION_ID() "
            "ORDER BY t.trx_started LIMIT 5"
        )
        return [
            f"connection {number} of {user}, {command}, open since {since}"
            for number, user, command, since in rows
        ]

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


def _is_clustered(connection: Connection) -> bool:
    found = connection.exec_driver_sql(
        "SHOW VARIABLES WHERE Variable_name IN "
        "(" + ", ".join(f"'{name}'" for name in CLUSTERED) + ")"
    )
    return any(str(value).upper() not in ("OFF", "0", "") for _, value in found)


def _is_direct(connection: Connection) -> bool:
    """Whether the connection's number is the one that the driver was told when it connected."""
    told = getattr(connection.connection.driver_connection, "thread_id", None)
    return told is not None and told() == connection.scalar(text("SELECT CONNECTION_ID()"))


def _plain(column: ColumnElement[Any], lookup: str, text: str) -> Iterator[ColumnElement[bool]]:
    """Compare by the column's collation as much of the text as its character set surely has.

    The server refuses to compare a latin1 column with a text that latin1 cannot hold.
    """
    declared = getattr(column.type, "collation", None) or getattr(column.type, "charset", None)
    head = text if str(declared).startswith(CHARSET) else _ascii_head(text)
    if lookup == "exact" and head == text:
        yield column == text
    elif head:
        yield column.like(like_pattern("startswith", head), escape=ESCAPE)


def _ascii_head(text: str) -> str:
    return "".join(takewhile(str.isascii, text))


def _recode(text: ColumnElement[Any], collation: str) -> ColumnElement[Any]:
    """Return the text as utf8mb4 whatever the column's own character set is."""
    from sqlalchemy.dialects.mysql import CHAR  # no other database should pay for its dialect

    return collate(cast(text, CHAR(charset=CHARSET)), collation)


def _lower(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the text in lower case, with its accents."""
    return collate(func.lower(_recode(text, LETTERS)), BINARY)
