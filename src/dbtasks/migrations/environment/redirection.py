"""Send what connects while env.py runs to the project's database, whatever URL it has."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import current_thread
from time import sleep
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import AdaptedConnection, Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dbtasks.engines import mask
from dbtasks.engines.base.backend import url_hint
from dbtasks.engines.base.connection import AUTOCOMMIT
from dbtasks.errors import DbtasksError, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.environment.body import Handover
from dbtasks.migrations.environment.workers import Workers
from dbtasks.project import Project

MARK = "dbtasks_redirected_from"
"""The key of a connection's `info` that says where env.py wanted to go."""

PAUSE = 0.05


class Connections:
    """Send what env.py connects to the project's database, and remember it."""

    def __init__(self, handover: Handover, logs: Callable[[], None]) -> None:
        self.handover = handover
        self.logs = logs
        self.project = handover.project
        self.workers = Workers()
        self.own = {handover.connection.dialect}
        self.own |= {self.project.engine(create=one).dialect for one in (False, True)}
        self.given = self.project.current_url()
        self.records: list[ConnectionPoolEntry] = []
        self.configured: tuple[object, ...] | None = None
        self.elsewhere: Connection | None = None

    def connect(
        self,
        dialect: Dialect,
        record: ConnectionPoolEntry,
        positional: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Connect to the project's database, whatever the engine's URL is."""
        if not self.workers.is_at_work or dialect in self.own:
            return None
        self.logs()
        self._check(dialect, positional, keywords)
        backend = self.project.backend
        at, arguments = backend.redirect(dialect, keywords, self.given, create=self.handover.writes)
        record.info[MARK] = self._place(positional, keywords)
        self.records.append(record)
        with self._explained(dialect):
            connection = dialect.connect(*at, **arguments)
            if backend.commits:
                dialect.set_isolation_level(connection, AUTOCOMMIT)
            return connection

    def is_redirected(self, connection: Connection) -> bool:
        """Whether a connection is one that env.py made, and that was sent to our database."""
        return MARK in connection.info

    def check(self, connection: Connection) -> None:
        """Refuse to migrate on a connection that leads we do not know where."""
        if connection.dialect in self.own:
            return
        if MARK not in connection.info:
            raise Refused(
                "the project's env.py connects in a way that cannot be followed, and may lead to "
                "another database: by a function of its own (creator=), in a thread that ran "
                "before it, or before it was run",
                hint="let it make its engine from config's sqlalchemy.url, or end with: from "
                "dbtasks.migrations import environment; environment.run(Base.metadata)",
            )
        if current_thread() is not self.workers.caller:
            self.elsewhere = connection
        if self.configured not in (None, connection.info[MARK]):
            raise self._several()
        self.configured = connection.info[MARK]

    def forget(self) -> None:
        """Let no engine that lives on keep a connection of ours.

        One that is in use, or needs the event loop that it is of, ends when its engine finds it.
        """
        for record in self.records:
            waits = record.in_use or isinstance(record.dbapi_connection, AdaptedConnection)
            record.info.pop(MARK, None)
            record.invalidate(soft=waits)

    def end_work(self) -> None:
        """Let the thread that migrates stop at its next statement, and wait for it."""
        if self.elsewhere is not None:
            event.listen(self.elsewhere, "before_cursor_execute", _interrupt)
            while any(record.in_use for record in self.records):
                sleep(PAUSE)

    def _check(
        self, dialect: Dialect, positional: Sequence[Any], keywords: Mapping[str, Any]
    ) -> None:
        """Refuse what cannot be sent to the project's database."""
        if not self.project.backend.is_spoken(dialect.name):
            raise another_kind(self.project, _url_of(dialect, positional, keywords))
        if self.project.backend.in_memory:
            raise Refused(
                "the project's env.py opens a connection of its own, and a database in memory "
                "has one only, which is ours",
                hint="take a file, as in sqlite:///app.db; or let env.py end with: from "
                "dbtasks.migrations import environment; environment.run(Base.metadata)",
            )
        place = self._place(positional, keywords)
        if any(one.in_use and one.info.get(MARK, place) != place for one in self.records):
            raise self._several()

    def _place(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[object, ...]:
        location = self.project.backend.location
        return (*positional, *sorted((k, str(v)) for k, v in keywords.items() if k in location))

    def _several(self) -> Refused:
        return Refused(
            "the project's env.py migrates several databases in one run, and a command has one: "
            f"{self.project.describe()}",
            hint="give each database a collection(...) with an alembic.ini and an env.py of its "
            "own; docs/migrations.md",
        )

    @contextmanager
    def _explained(self, dialect: Dialect) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, DbtasksError):
            raise
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise UsageError(
                f"the driver {dialect.driver} of the project's env.py does not take this URL: "
                f"{error}",
                hint=url_hint(),
            ) from error
        except Exception as error:  # each driver has its own, and asyncio adds some
            failed = error if str(error) else OSError(type(error).__name__)
            raise self.project.backend.explain_connecting(DBAPIError(None, None, failed)) from error


@contextmanager
def redirected(handover: Handover, logs: Callable[[], None]) -> Iterator[Connections]:
    """Watch what connects, of any engine, while the block runs."""
    connections = Connections(handover, logs)
    transactions = handover.project.backend.real_transactions(
        connections.is_redirected, writes=handover.writes
    )
    with ExitStack() as stack:
        stack.callback(connections.forget)
        stack.enter_context(connections.workers.following())
        stack.enter_context(transactions)
        event.listen(Engine, "do_connect", connections.connect)
        stack.callback(event.remove, Engine, "do_connect", connections.connect)
        try:
            yield connections
        except Exception:
            raise
        except BaseException:  # an interrupt, which comes to the main thread only
            connections.end_work()
            raise


def another_kind(project: Project, url: URL) -> Refused:
    """Return the error for an env.py that goes to another kind of database."""
    return Refused(
        f"the project's env.py goes to {mask(url)}, which is another kind of database than the "
        f"project's: {project.describe()}",
        hint="let it take its URL from config's sqlalchemy.url, which is the project's; or fix "
        f"the project's ({command_line('settings')})",
    )


def _interrupt(*sent: object) -> None:
    raise KeyboardInterrupt


def _url_of(dialect: Dialect, positional: Sequence[Any], keywords: Mapping[str, Any]) -> URL:
    """Return where a connection was to lead, without who and by which password."""
    named = [keywords.get(key) for key in ("database", "dbname", "db", "dsn", "service_name")]
    # A driver's own connection string, as ODBC's, has the password too.
    database = next(
        (str(one) for one in (*named, *positional) if one and "=" not in str(one)), None
    )
    host = keywords.get("host") if isinstance(keywords.get("host"), str) else None
    return URL.create(dialect.name, host=host, database=database)
