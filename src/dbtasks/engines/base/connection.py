"""Engines for a URL, with credentials that may change, or a project's own engine behind them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import Any, ClassVar, Final, Self

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    PoolProxiedConnection,
    StaticPool,
    create_engine,
    event,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from dbtasks.errors import NoScratch

HEARD = "dbtasks_listeners"
"""The key of a connection's `info` that says how many listeners have heard of it."""

AUTOCOMMIT: Final = "AUTOCOMMIT"


class Connecting:
    """Make engines for the database of one URL, and for others beside it."""

    renewed: Callable[[], URL] | None = None
    """Returns the URL with the user and password of the moment, where these may change."""

    engine: Engine | None = None
    """The engine of the project's own that makes the connections, where there is one."""

    commits: bool = False
    """Whether each statement commits by itself, where one transaction cannot lock all tables."""

    takes_engine: ClassVar[bool] = True
    """Whether the project's own engine makes the connections; to a file its path is enough."""

    def __init__(self, url: URL, root: Path) -> None:
        self.root = root
        self.url = url

    def at(self, url: URL) -> Self:
        """Return the backend of another database of the same kind, with the same credentials."""
        other = type(self)(url, self.root)
        other.renewed, other.engine = self.renewed, self.engine
        return other

    def make_engine(self, url: URL | None = None, **options: Any) -> Engine:
        """Return an engine whose connections have the credentials of the moment."""
        url = self.url if url is None else url
        keywords = {**self.engine_options(), **options}
        if self.commits:
            keywords["isolation_level"] = AUTOCOMMIT
        if self.engine is not None and self.takes_engine:
            keywords["creator"] = partial(_take_connection, self.engine, url.database)
        engine = create_engine(url, **keywords)
        if self.renewed is not None:
            _renew(engine, self.renewed)
        self.prepare_engine(engine)
        if not isinstance(engine.pool, StaticPool):  # in memory the database is gone with it
            _hear(engine)
        return engine

    def engine_options(self) -> dict[str, Any]:
        """Return the keywords for `create_engine`."""
        return {}

    def prepare_engine(self, engine: Engine) -> None:
        """Hang what each new connection needs on the engine's events."""


def _renew(engine: Engine, current: Callable[[], URL]) -> None:
    """Let each new connection have the user and password that `current` returns."""

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: object, positional: list[Any], keywords: dict[str, Any]
    ) -> None:
        now = current()
        url = engine.url.set(username=now.username, password=now.password)
        fresh, named = dialect.create_connect_args(url)
        positional[:] = fresh
        keywords.update(named)


def _hear(engine: Engine) -> None:
    """Open a connection anew that a listener for connecting has come after.

    A command connects before it imports the models, which may register one that sets the schema
    or attaches a file: on a connection without it, other rows would be changed than are shown.
    """

    def listeners() -> int:
        return len(engine.pool.dispatch.connect) + len(engine.dialect.dispatch.do_connect)

    @event.listens_for(engine, "connect")
    def note(connection: object, record: ConnectionPoolEntry) -> None:
        record.info[HEARD] = listeners()

    @event.listens_for(engine, "checkout")
    def check(connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
        if record.info.get(HEARD) != listeners():
            raise DisconnectionError("a listener has come since")  # the pool connects again


def _take_connection(engine: Engine, database: str | None) -> Any:
    """Return a new connection of the driver, made by an engine of the project's own.

    Raises NoScratch for another database than the engine's, where it cannot be told of it.
    """
    if database == engine.url.database:
        pooled = engine.raw_connection()
    else:
        pooled = _connect_to(engine, database)
    connection = pooled.dbapi_connection
    pooled.detach()  # it is ours to close
    return connection


def _connect_to(engine: Engine, database: str | None) -> PoolProxiedConnection:
    """Let an engine of the project's own connect as it does, to another database."""
    _, own = engine.dialect.create_connect_args(engine.url)
    _, other = engine.dialect.create_connect_args(engine.url.set(database=database))
    thread, told = get_ident(), []

    def turn(dialect: Dialect, record: object, positional: object, keywords: Any) -> None:
        if get_ident() == thread:
            keywords.update({key: other[key] for key in other if other[key] != own.get(key)})
            told.append(database)

    event.listen(engine, "do_connect", turn, insert=True)
    try:
        pooled = engine.pool.recreate().connect()
    finally:
        event.remove(engine, "do_connect", turn)
    if not told:  # a function of its own connects (creator=)
        pooled.close()
        raise NoScratch(
            "engine= leads to one database, and this needs a scratch database beside it",
            hint="name an empty database: scratch_url in tasks.py; or give the project a URL: "
            'url="module:function"',
        )
    return pooled


def is_autocommit(connection: Connection) -> bool:
    """Whether each statement commits, by an option of the connection or of its engine.

    An engine's own isolation level is in no option; psycopg, psycopg2 and the adapter of asyncpg
    have an attribute that says it.
    """
    option = connection.get_execution_options().get("isolation_level")
    return option == AUTOCOMMIT or (
        option is None and getattr(connection.connection, "autocommit", False) is True
    )
