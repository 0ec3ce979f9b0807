"""Locks that a database gives to a session, and how a lease is kept where none can be trusted."""

from abc import ABC, abstractmethod
from typing import ClassVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class SessionLock(ABC):
    """Hold a lock that ends with its connection, which is in autocommit and used for it alone.

    It is polled: who waits inside the server holds up CREATE INDEX CONCURRENTLY.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    def take(self) -> bool:
        """Take the lock if nobody has it, without waiting."""

    @abstractmethod
    def is_held(self) -> bool:
        """Ask the server whether this connection has the lock."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back."""


class Locking:
    """Say what keeps two commands apart on this engine, for the ladder of `locks.py`."""

    locks_by_transaction: ClassVar[bool] = False
    """Whether a transaction that writes keeps all other writers out: no other lock is needed."""

    clock: ClassVar[str] = "EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)"
    """SQL for the seconds since 1970 by the database's clock, which runs inside transactions."""

    names_holder: ClassVar[bool] = False
    """Whether the server can say who has a session's lock."""

    def session_lock(self, connection: Connection) -> SessionLock | None:
        """Return the lock of a session, or None where the engine's cannot be trusted."""
        return None

    def session_locked(self, connection: Connection) -> bool:
        """Whether any session has the lock, also where this connection could not take it."""
        return False

    def prepare_lease(self, connection: Connection) -> None:
        """Make the connection see what other nodes have committed."""

    def is_conflict(self, error: DBAPIError) -> bool:
        """Whether the server gave up a statement that will do when it is sent again."""
        return False

    def sign(self, connection: Connection, text: str) -> None:
        """Show others at the server what a connection is doing."""

    def describe_holder(self, connection: Connection) -> str | None:
        """Return what the server knows of who has the session lock."""
        return None

    def connection_id(self, connection: Connection) -> int | None:
        """Return the number by which the server knows a connection."""
        return None

    def is_busy(self, connection: Connection, other: int | None) -> bool:
        """Whether a statement of an earlier holder, whose process may be gone, still runs."""
        return False

    def limit_lock_wait(self, connection: Connection, seconds: float) -> None:
        """Bound how long the statements of the present transaction wait behind other people's."""

    def wait_for_writers(self, connection: Connection, seconds: float) -> None:
        """Bound the wait for another writer, where its transaction is the lock."""

    def is_lock_timeout(self, error: BaseException | None) -> bool:
        """Whether the driver's error is that of `limit_lock_wait`."""
        return False

    def rolls_back_data(self, connection: Connection) -> bool:
        """Whether all tables roll back the rows of a transaction whose connection is lost."""
        return True

    def exhausts_locks(self, error: DBAPIError) -> bool:
        """Whether a transaction has locked more objects than the server has room for."""
        return False

    def is_invalid(self, connection: Connection, index: str, schema: str | None) -> bool:
        """Whether an index stands there that was never finished, and serves nobody."""
        return False

    def open_transactions(self, connection: Connection) -> list[str]:
        """Describe what other connections have open, the oldest first: it may be in the way."""
        return []
