"""The lock of a session by GET_LOCK, on MySQL and MariaDB."""

from hashlib import sha256

from sqlalchemy import Connection, text

from dbtasks.engines.base.lock import SessionLock


class NamedLock(SessionLock):
    """Hold a lock by GET_LOCK, whose names are the whole server's."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        database = str(connection.scalar(text("SELECT DATABASE()")))
        self.name = f"dbtasks {sha256(database.encode()).hexdigest()[:32]}"

    def take(self) -> bool:
        """Try to take it."""
        return self._ask("GET_LOCK(:name, 0)") == 1

    def is_held(self) -> bool:
        """Ask who has it."""
        return self._ask("IS_USED_LOCK(:name) = CONNECTION_ID()") == 1

    def is_used(self) -> bool:
        """Ask whether any connection has it."""
        return self._ask("IS_USED_LOCK(:name)") is not None

    def release(self) -> None:
        """Give it back."""
        self._ask("RELEASE_LOCK(:name)")

    def _ask(self, what: str) -> int | None:
        answer: int | None = self.connection.scalar(text(f"SELECT {what}"), {"name": self.name})
        return answer
