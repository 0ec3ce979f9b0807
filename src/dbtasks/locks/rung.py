"""What every lock has in common: who holds it, who waits, and how it is lost."""

from abc import ABC, abstractmethod

from sqlalchemy import Connection, select

from dbtasks import own_tables, person
from dbtasks.errors import Locked
from dbtasks.hints import command_line
from dbtasks.locks.row import Row
from dbtasks.project import Project


class LockLost(Locked):
    """Report that another run has taken the lock from us: we were taken for gone."""


class Lock:
    """Keep other commands out until it is released, and know whether it still does.

    This one leaves it to the database, whose writing transactions keep each other out.
    """

    def check(self) -> None:
        """Raise Locked unless the database says that the lock is still ours."""

    def fence(self, connection: Connection) -> None:
        """Make the transaction of a connection fail unless the lock is ours when it commits."""

    def name_worker(self, number: int | None) -> None:
        """Tell whoever comes after us which connection does the work."""

    def sign(self, text: str) -> None:
        """Tell whoever waits what is being done."""


class Rung(Lock, ABC):
    """Be one step of the ladder: a lock that is taken and released by a connection of its own."""

    def __init__(self, project: Project, connection: Connection, purpose: str) -> None:
        self.project = project
        self.backend = project.backend
        self.connection = connection
        self.purpose = purpose
        self.row = Row(self.backend, connection, f"{person.process()} {purpose}")
        self.worker: int | None = None
        self.working: int | None = None

    @abstractmethod
    def take(self) -> bool:
        """Take the lock if nobody has it."""

    @abstractmethod
    def settle(self) -> None:
        """Begin what belongs to a lock that was taken, once nobody is in the way."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back."""

    @abstractmethod
    def holder(self) -> str | None:
        """Return who has it, or None."""

    def remove_stale(self) -> bool:
        """Remove what a holder has left that is gone; return whether there was such a thing."""
        row = self.row.read()
        return row is not None and not row.fresh and self.row.remove(row.owner, stale=True)

    def is_busy(self) -> bool:
        """Whether the last statement of a holder that is gone still runs."""
        return self.backend.is_busy(self.connection, self.worker)

    def sign(self, text: str) -> None:
        """Note it in the row."""
        if self.row.stands():
            self.row.sign(text)

    def operation(self) -> str:
        """Return the operation that the journal has under way, if it can be read."""
        table = own_tables.migration(self.backend.own_schema)
        if not own_tables.stands(self.connection, table):
            return ""
        running = select(table.c.what).where(table.c.state == "running")
        what = self.connection.scalar(running.order_by(table.c.id.desc()).limit(1))
        return f", {what}" if what else ""

    def name_worker(self, number: int | None) -> None:
        """Note it in the row."""
        self.working = number
        if self.row.stands():
            self.row.name_worker(number)

    def leave(self) -> None:
        """Remove our row, unless a statement of ours still runs: the next holder waits for it."""
        if self.row.stands() and not self.backend.is_busy(self.connection, self.working):
            self.row.remove(self.row.owner)

    def lost(self) -> LockLost:
        """Return the error for a lock that is no longer ours."""
        return LockLost(
            f"the lock on {self.project.name} was lost: {self.holder() or 'nobody'} has it now",
            hint=f"look with: {command_line('showmigrations')}, and run the command again",
        )
