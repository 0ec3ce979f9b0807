"""Copy rows into SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager

from dbtasks.engines.copying.driver import DriverCopying
from dbtasks.engines.copying.loading import Loading


class SQLiteCopying(DriverCopying):
    """Insert many rows with one statement."""


class SQLiteLoading(Loading):
    """Defer the foreign keys to the commit; before it look for what is missing, to name it."""

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer them in this transaction: the commit ends it."""
        self.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        yield
        self._check_orphans()
