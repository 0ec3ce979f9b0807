"""The one row of the lease's table: who has the lock, and its last sign of life."""

import random
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from dbtasks import own_tables
from dbtasks.engines import Backend
from dbtasks.own_tables import NAME_LENGTH

LEASE_SECONDS = 15.0
"""How long a lease lives after its last beat; then another may take it over."""

CONFLICTS = 20
CONFLICT_PAUSE = 0.05

Found = TypeVar("Found")


class Holder(NamedTuple):
    """Describe the row: `fresh` is whether it gave a sign of life, `worker` the connection."""

    owner: str
    text: str
    fresh: bool
    worker: int | None


class Row:
    """Read and write the one row of the lease's table."""

    def __init__(self, backend: Backend, connection: Connection, holder: str) -> None:
        self.backend = backend
        self.connection = connection
        self.table = own_tables.lease(backend.own_schema)
        self.owner = str(uuid4())
        self.holder = holder
        self.now: Any = literal_column(backend.clock)

    def make_table(self) -> None:
        """Make the table where it is missing."""
        if not own_tables.stands(self.connection, self.table):
            own_tables.make_alone(self.backend, self.connection, self.table)

    def stands(self) -> bool:
        """Whether there is a table."""
        return own_tables.stands(self.connection, self.table)

    def read(self) -> Holder | None:
        """Return what the row says, or None where there is none."""
        if not self.stands():
            return None
        table = self.table.c
        fresh = table.beat > self.now - LEASE_SECONDS
        age = self.now - table.started
        found = select(table.owner, table.holder, age, fresh, table.connection_id)
        row = self.execute(lambda: self.connection.execute(found).first())
        if row is None:
            return None
        text = f"{row[1]}, for {float(row[2]):.0f} s"
        return Holder(row[0], text, bool(row[3]), row[4])

    def insert(self, *, beats: bool) -> bool:
        """Put our row there; return whether no other was."""
        row = insert(self.table).values(
            id=1,
            owner=self.owner,
            holder=self.holder[: 2 * NAME_LENGTH],
            started=self.now,
            beat=self.now if beats else None,
        )
        try:
            self.execute(lambda: self.connection.execute(row))
        except IntegrityError:
            self.roll_back()
            return False
        return True

    def beat(self, connection: Connection | None = None) -> bool:
        """Renew our row; return whether it was there."""
        ours = update(self.table).where(self.table.c.owner == self.owner).values(beat=self.now)
        using = connection or self.connection
        return self.execute(lambda: using.execute(ours).rowcount, using) > 0

    def remove(self, owner: str, *, stale: bool = False) -> bool:
        """Remove a row by its owner; a stale one only while it is stale. Return whether."""
        gone = delete(self.table).where(self.table.c.owner == owner)
        if stale:
            gone = gone.where(self.table.c.beat < self.now - LEASE_SECONDS)
        return self.execute(lambda: self.connection.execute(gone).rowcount) > 0

    def clear(self) -> None:
        """Remove whatever row is there."""
        self.execute(lambda: self.connection.execute(delete(self.table)))

    def name_worker(self, number: int | None) -> None:
        """Note the connection that does the work."""
        ours = update(self.table).where(self.table.c.owner == self.owner)
        self.execute(lambda: self.connection.execute(ours.values(connection_id=number)))

    def sign(self, text: str) -> None:
        """Say what we are doing."""
        ours = update(self.table).where(self.table.c.owner == self.owner)
        signed = f"{self.holder} {text}"[: 2 * NAME_LENGTH]
        self.execute(lambda: self.connection.execute(ours.values(holder=signed)))

    def execute(self, run: Callable[[], Found], connection: Connection | None = None) -> Found:
        """Run a statement in autocommit; again, when a cluster's nodes were at odds."""
        for _ in range(CONFLICTS):
            try:
                return run()
            except OperationalError as error:
                if not self.backend.is_conflict(error):
                    raise
                self.roll_back(connection)
                sleep(random.uniform(0, CONFLICT_PAUSE))
        return run()

    def roll_back(self, connection: Connection | None = None) -> None:
        """Clear the connection of an error; a cluster's node may refuse that once too."""
        with suppress(SQLAlchemyError):
            (connection or self.connection).rollback()
