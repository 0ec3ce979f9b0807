"""The lease: a row that its holder renews, for where no lock of a session can be trusted."""

from contextlib import suppress
from threading import Event, Thread

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dbtasks.locks.rung import Rung
from dbtasks.project import Project

BEAT_SECONDS = 3.0
"""How often the holder of a lease renews it."""


class Lease(Rung):
    """Hold a row, and renew it by a thread; who does not renew it loses it."""

    def __init__(self, project: Project, connection: Connection, purpose: str) -> None:
        super().__init__(project, connection, purpose)
        self.ended = Event()
        self.thread: Thread | None = None
        self.backend.prepare_lease(connection)

    def take(self) -> bool:
        """Insert the row, in place of one that has expired."""
        self.row.make_table()
        row = self.row.read()
        if row is not None:
            if row.fresh or not self.row.remove(row.owner, stale=True):
                return False
            self.worker = row.worker
        if not self.row.insert(beats=True):
            return False
        if self.backend.session_locked(self.connection):  # somebody who is not behind a pooler
            self.row.remove(self.row.owner)
            return False
        return True

    def settle(self) -> None:
        """Begin to renew it."""
        self.thread = Thread(target=self._renew, name="dbtasks lease", daemon=True)
        self.thread.start()

    def check(self) -> None:
        """Renew it now: that fails when another has taken it."""
        try:
            held = self.row.beat()
        except SQLAlchemyError:
            held = False
        if not held:
            raise self.lost()

    def fence(self, connection: Connection) -> None:
        """Lock our row until the transaction ends: nobody takes it over meanwhile."""
        if not self.row.beat(connection):
            raise self.lost()

    def release(self) -> None:
        """End the thread, and remove the row."""
        self.ended.set()
        if self.thread is not None:
            self.thread.join(BEAT_SECONDS)  # it may wait for a server that is gone
        self.leave()

    def holder(self) -> str | None:
        """Read the row."""
        with suppress(SQLAlchemyError):
            row = self.row.read()
            if row is not None:
                return row.text + self.operation()
            if self.backend.session_locked(self.connection):
                return self.backend.describe_holder(self.connection) or "another command"
        return None

    def _renew(self) -> None:
        """Beat on a connection of its own until the lock is released, or lost."""
        while not self.ended.wait(BEAT_SECONDS):
            with suppress(Exception), self.project.autocommitting() as connection:
                while self.row.beat(connection):
                    if self.ended.wait(BEAT_SECONDS):
                        return
                return  # lost: check() says so
