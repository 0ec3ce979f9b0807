"""What the load of several tables does around their rows on MySQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbtasks.engines.base.load import Loading
from dbtasks.interrupts import ending

CHECKS = "SET SESSION foreign_key_checks = {}"


class MySQLLoading(Loading):
    """Look away from foreign keys, which nothing defers here, and look at all of them after."""

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Leave the checks as they were, whatever happens."""
        before = self._scalar("SELECT @@SESSION.foreign_key_checks")
        with ending(lambda: self.connection.exec_driver_sql(CHECKS.format(before))):
            self.connection.exec_driver_sql(CHECKS.format(0))
            yield
        self._check_orphans()

    def _locking(self, statement: Any) -> Any:
        """See what others have committed since we began, and let no parent go."""
        return statement.with_for_update(read=True)
