"""One command at a time on a database: the lock ladder.

Where a transaction keeps other writers out (SQLite), that is the lock. Otherwise it is a lock of
the database session, on a connection of its own; and where that cannot be trusted, behind a
pooler or in a cluster, a lease: a row with the holder's heartbeat, by the database's clock.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dbtasks import own_tables
from dbtasks.errors import NOTHING_CHANGED, Locked, Rejected
from dbtasks.interrupts import ending
from dbtasks.locks.lease import Lease
from dbtasks.locks.rung import Lock, LockLost, Rung
from dbtasks.locks.session import Session
from dbtasks.project import Project

__all__ = ["WAIT_SECONDS", "Lock", "LockLost", "OnWait", "hold", "unlock"]

WAIT_SECONDS = 60.0
"""How long a command waits for another that holds the lock, unless told."""

UPGRADE_SECONDS = 10.0
"""How long an upgrade of our tables waits behind transactions that read them."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5

OnWait = Callable[[str], None]


@contextmanager
def hold(
    project: Project,
    purpose: str,
    *,
    wait: float = WAIT_SECONDS,
    on_wait: OnWait | None = None,
) -> Iterator[Lock]:
    """Hold the database's lock while the block runs.

    Waits up to `wait` seconds for another holder, whom `on_wait` is told of once. Raises Locked,
    which names the holder, when that is not enough. Our tables are in this version's format then,
    if the role may change them. Raises Refused where a newer version has made them.
    """
    if project.backend.locks_by_transaction:
        with project.migrating(writes=False) as connection, connection.begin():
            older = own_tables.is_older(connection, project.backend.own_schema)
        if older:
            _upgrade(project, Lock())
        yield Lock()
        return
    with project.autocommitting() as connection:
        lock = _choose(project, connection, purpose)
        # What cannot be released ends with the session, or unrenewed.
        with ending(lock.release, ignoring=(SQLAlchemyError,)):
            _take(lock, project, wait, on_wait)
            if own_tables.is_older(connection, project.backend.own_schema):
                _upgrade(project, lock)
            yield lock


def unlock(project: Project) -> str | None:
    """Remove a lease whose holder is gone, and return who it was; None where there is no lock.

    Raises Locked for one that is alive, which is never removed.
    """
    if project.backend.locks_by_transaction:
        return None
    with project.autocommitting() as connection:
        lock = _choose(project, connection, "unlock")
        holder = lock.holder()
        if holder is None:
            return None
        if not lock.remove_stale():
            raise Locked(
                f"the lock on {project.name} is held by {holder}",
                hint="let it finish, or end that process: its lock ends with it",
            )
        return holder


def _upgrade(project: Project, lock: Lock) -> None:
    """Bring our tables to this version's format, in a transaction beside the command's own.

    A role that may not does without: only what needs the new format refuses.
    """
    with suppress(Rejected), project.connect(writes=True, beside=True) as connection:
        if not project.backend.in_memory:
            connection.detach()  # the limit would stay with a connection of the pool
        project.backend.limit_lock_wait(connection, UPGRADE_SECONDS)
        lock.check()
        lock.fence(connection)
        own_tables.make(project.backend, connection)


def _choose(project: Project, connection: Connection, purpose: str) -> Rung:
    lock = project.backend.session_lock(connection)
    if lock is None:
        return Lease(project, connection, purpose)
    return Session(project, connection, purpose, lock)


def _take(lock: Rung, project: Project, wait: float, on_wait: OnWait | None) -> None:
    """Poll until the lock is ours, and the last statement of its last holder has ended."""
    until = monotonic() + wait
    pause = FIRST_PAUSE
    told = taken = False
    while True:
        taken = taken or lock.take()
        if taken and not lock.is_busy():
            lock.settle()
            return
        if monotonic() >= until:
            if taken:
                lock.release()
            raise _still_locked(lock, project, wait)
        if on_wait is not None and not told:
            told = True
            on_wait(lock.holder() or "another command")
        sleep(min(pause * random.uniform(0.5, 1), max(0, until - monotonic())))
        pause = min(pause * 2, LONGEST_PAUSE)


def _still_locked(lock: Rung, project: Project, wait: float) -> Locked:
    holder = lock.holder()
    if holder is None or lock.is_busy():
        holder = "a command that is gone, whose last statement still runs"
    return Locked(
        f"{project.name} is locked by {holder}; waited {wait:g} s",
        hint="run it again when that is done, or wait longer with --wait SECONDS",
        state=NOTHING_CHANGED,
    )
