"""The journal of migrations: what was run, by whom, and how far a revision came that stopped.

Where DDL is part of the transaction a row is written with its revision. Where it commits, the row
stands before the first statement, and is brought up to date around each one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, literal_column, null, or_, select, update

from dbtasks import own_tables, person
from dbtasks.engines import Backend
from dbtasks.engines.base.connection import is_autocommit
from dbtasks.migrations.history.revision import Applied, Revision
from dbtasks.own_tables import NAME_LENGTH

UNFINISHED = ["id", "revision", "backwards", "done", "what", "digest", "state", "started", "holder"]
"""Columns that every format has: who only reads may meet an older one."""

RUNNING = "running"
FAILED = "failed"
APPLIED = "applied"
RESOLVED = "resolved"


@dataclass(frozen=True)
class Unfinished:
    """Describe a revision that stopped part way: `done` operations are applied.

    `what` is the next, where it had begun; it is `in_doubt` when nobody saw how it ended.
    """

    id: int
    revision: str
    backwards: bool
    done: int
    what: str | None
    digest: str
    in_doubt: bool
    at: datetime
    by: str


class Journal:
    """Read and write the journal's table on one connection.

    `off` is set where there may be none: then nothing is written.
    """

    off = False

    def __init__(self, backend: Backend, connection: Connection) -> None:
        self.backend = backend
        self.connection = connection
        self.table: Table = own_tables.migration(backend.own_schema)
        self.now: Any = literal_column(backend.clock)
        self.by = person.describe()[: 2 * NAME_LENGTH]
        self.adding = insert(self.table).values(started=self.now)
        self.waiting: list[Mapping[str, Any]] = []
        self.format: int | None = None

    def stands(self) -> bool:
        """Whether there is a journal. Raises Refused for one that a newer version writes."""
        self.format = self.format or own_tables.check_format(self.connection, self.table.schema)
        return own_tables.stands(self.connection, self.table)

    def make(self) -> None:
        """Make the table where it is missing."""
        own_tables.make(self.backend, self.connection, self.table)
        self.format = own_tables.FORMAT

    def upgrade(self) -> None:
        """Bring the table to this version's format, where the lock's holder was not allowed to."""
        if self.format != own_tables.FORMAT:
            self.make()

    def unfinished(self) -> Unfinished | None:
        """Return the revision that stopped part way, if there is one.

        Where no operation had begun there is nothing of it, and nothing to be brought in order.
        """
        if not self.stands():
            return None
        c = self.table.c
        begun = or_(c.done > 0, c.what.is_not(None))
        columns = (c[name] for name in UNFINISHED)
        found = select(*columns).where(c.state.in_([RUNNING, FAILED]), begun)
        found = found.order_by(c.id.desc())
        row = self.connection.execute(found).mappings().first()
        if row is None:
            return None
        return Unfinished(
            row["id"],
            row["revision"],
            row["backwards"],
            row["done"],
            row["what"],
            row["digest"],
            row["state"] == RUNNING and row["what"] is not None,
            _time(row["started"]),
            row["holder"],
        )

    def applied(self) -> dict[str, Applied]:
        """Return for each revision its last way up."""
        if not self.stands():
            return {}
        c = self.table.c
        checksum = null() if self.format == 1 else c.checksum
        done = select(c.revision, c.started, c.seconds, c.holder, checksum).order_by(c.id)
        rows = self.connection.execute(done.where(c.state == APPLIED, c.backwards.is_(False)))
        return {
            revision: Applied(_time(started), seconds, holder, checksum)
            for revision, started, seconds, holder, checksum in rows
        }

    def parents(self) -> dict[str, tuple[str, ...]]:
        """Return the parents of each revision that was ever applied."""
        if not self.stands():
            return {}
        rows = self.connection.execute(select(self.table.c.revision, self.table.c.parents))
        return {row.revision: tuple(row.parents.split()) for row in rows}

    def write(self, revision: "Revision", *, backwards: bool, **values: Any) -> int:
        """Add a row, and return its id."""
        if self.off:
            return 0
        self.restore()
        written = self.connection.execute(self.adding, self._row(revision, backwards, values))
        (key,) = written.inserted_primary_key or (0,)
        return int(key)

    def write_later(self, revision: "Revision", *, backwards: bool, **values: Any) -> None:
        """Add a row with the next `flush`, which is to come before the transaction's end."""
        if not self.off:
            self.waiting.append(self._row(revision, backwards, values))

    def flush(self) -> None:
        """Add the rows that wait, in their order."""
        if self.waiting:
            self.restore()
            self.connection.execute(self.adding, self.waiting)
            self.waiting = []

    def _row(
        self, revision: "Revision", backwards: bool, values: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        row = {
            "revision": revision.id,
            "parents": " ".join(revision.parents),
            "backwards": backwards,
            "done": 0,
            "digest": "",
            "seconds": None,
            "holder": self.by,
        }
        return {**row, **values}

    def change(self, key: int, **values: Any) -> bool:
        """Bring a row up to date; return whether it exists."""
        if self.off:
            return True
        self.restore()
        row = update(self.table).where(self.table.c.id == key)
        return self.connection.execute(row.values(values)).rowcount > 0

    def restore(self) -> None:
        """Make the table again where a revision has dropped it, in a way that nobody saw."""
        if not own_tables.stands(self.connection, self.table):
            self.make()

    def done(self, key: int) -> int | None:
        """Return how many operations a row has as done, or None where it is not there."""
        row = select(self.table.c.done).where(self.table.c.id == key)
        return self.connection.scalar(row) if self.stands() else None

    def close(self, key: int) -> None:
        """Note that a person has brought the revision in order, and commit."""
        self.change(key, state=RESOLVED)
        self.commit()

    def commit(self) -> None:
        """Commit at the server: SQLAlchemy's transaction is Alembic's, and goes on.

        In autocommit there is nothing to commit.
        """
        if not is_autocommit(self.connection) and not self.backend.has_ended(self.connection):
            self.connection.exec_driver_sql("COMMIT")

    def remove(self, key: int) -> None:
        """Remove a row that tells of nothing."""
        self.connection.execute(delete(self.table).where(self.table.c.id == key))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
