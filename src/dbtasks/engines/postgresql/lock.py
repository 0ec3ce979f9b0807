"""PostgreSQL's advisory lock of a session, and who has it."""

from sqlalchemy import func, select

from dbtasks.engines.base.lock import SessionLock

LOCK_KEY = int.from_bytes(b"dbtasks", "big")  # one key in each database: they do not mix
ADVISORY = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND classid = {LOCK_KEY >> 32} AND objid = {LOCK_KEY & 0xFFFFFFFF}"
)


class AdvisoryLock(SessionLock):
    """Hold PostgreSQL's advisory lock of a session."""

    def take(self) -> bool:
        """Try to take it."""
        return bool(self.connection.scalar(select(func.pg_try_advisory_lock(LOCK_KEY))))

    def is_held(self) -> bool:
        """Look for it among our own locks."""
        ours = self.connection.exec_driver_sql(
            f"SELECT count(*) FROM ({ADVISORY}) l WHERE pid = pg_backend_pid()"
        )
        return bool(ours.scalar())

    def release(self) -> None:
        """Unlock it."""
        self.connection.execute(select(func.pg_advisory_unlock(LOCK_KEY)))
