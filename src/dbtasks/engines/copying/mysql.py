"""Copy rows into MySQL and MariaDB."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.copying.driver import DriverCopying
from dbtasks.engines.copying.loading import Loading

CHECKS = "SET SESSION foreign_key_checks = {}"


class MySQLCopying(DriverCopying):
    """Leave it to the drivers to put rows together: they know how long a statement may be."""

    rows_a_statement = 1

    def _about(self, message: str) -> list[Column[Any]]:
        """Leave out what names another table's columns; a primary key is not named at all."""
        named = super()._about(message.partition(" REFERENCES ")[0])
        return named or [one for one in self.columns if one.primary_key]


class MySQLLoading(Loading):
    """Look away from foreign keys, which nothing defers here, and look at all of them after."""

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Leave the checks as they were, whatever happens."""
        before = self._scalar("SELECT @@SESSION.foreign_key_checks")
        self.connection.exec_driver_sql(CHECKS.format(0))
        try:
            yield
        finally:
            with suppress(DBAPIError):  # the connection, and its session, may be gone
                self.connection.exec_driver_sql(CHECKS.format(before))
        self._check_orphans()

    def _locking(self, statement: Any) -> Any:
        """See what others have committed since we began, and let no parent go."""
        return statement.with_for_update(read=True)
