"""The lock of a database session: it ends with the connection, and so with its process."""

from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dbtasks.engines.base.lock import SessionLock
from dbtasks.errors import Rejected
from dbtasks.locks.rung import Rung
from dbtasks.project import Project


class Session(Rung):
    """Hold the lock of a database session; a row says who we are, where the server does not."""

    def __init__(
        self, project: Project, connection: Connection, purpose: str, lock: SessionLock
    ) -> None:
        super().__init__(project, connection, purpose)
        self.lock = lock

    def take(self) -> bool:
        """Take it, unless somebody who cannot see it has a lease."""
        if not self.lock.take():
            return False
        if not self.backend.names_holder:
            with suppress(SQLAlchemyError, Rejected):  # a role that may not make tables
                self.row.make_table()
        row = self.row.read()
        if row is not None and row.fresh:
            self.lock.release()
            return False
        self.worker = row.worker if row else None
        return True

    def settle(self) -> None:
        """Say who we are, once nobody is in the way."""
        if self.row.stands():
            self.row.clear()
            self.row.insert(beats=False)
        self.backend.sign(self.connection, f"holds {self.row.holder}")

    def check(self) -> None:
        """Ask the server."""
        try:
            held = self.lock.is_held()
        except SQLAlchemyError:
            held = False
        if not held:
            raise self.lost()

    def sign(self, text: str) -> None:
        """Tell the server, or note it in the row."""
        super().sign(text)
        self.backend.sign(self.connection, f"holds {self.row.holder} {text}")

    def release(self) -> None:
        """Remove the row and unlock."""
        self.leave()
        self.lock.release()

    def holder(self) -> str | None:
        """Ask the server, or the row."""
        with suppress(SQLAlchemyError):
            row = self.row.read()
            if self.backend.session_locked(self.connection) or (row and row.fresh):
                found = self.backend.describe_holder(self.connection)
                return (found or (row.text if row else "another command")) + self.operation()
        return None
