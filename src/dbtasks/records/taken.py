"""Whether the database takes the rows that it is given, and keeps those that it has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.orm.exc import StaleDataError

from dbtasks.engines.base.bulk import LeftOutError
from dbtasks.errors import ROLLED_BACK, Rejected
from dbtasks.lookups.targets import Target
from dbtasks.project import Project
from dbtasks.tally import Tally


class Taken:
    """Compare the new rows that a target is sent, in `sent`, with those that it has then."""

    def __init__(self, project: Project, connection: Connection, target: Target) -> None:
        self.sent = 0
        self._target = target
        self._project = project
        self._connection = connection
        self._tally = Tally(project)
        self._tally.watch(connection)
        self._begun = 0, self._inserts()

    @contextmanager
    def checked(self, *, by_size: bool = False) -> Iterator[None]:
        """Compare both after the block, or `by_size` with how much its tables have grown.

        A trigger may put a row into another table than the one that it was sent to. Raises
        LeftOutError, and Rejected where rows are deleted to make room for others.
        """
        self._begun = self.sent, self._inserts()
        before = self._sizes() if by_size else []
        with keeping_rows(self._project, self._connection, self._target, lambda: self._new):
            yield
        if by_size:
            taken = min(now - then for now, then in zip(self._sizes(), before, strict=True))
        else:
            taken = min(rows for _, rows in self._replies())
        if taken < self._new:
            raise LeftOutError(self._new, taken)

    def check_reply(self, error: Exception) -> None:
        """Raise LeftOutError for an error of the ORM that misses a row in a reply."""
        if isinstance(error, StaleDataError):
            raise LeftOutError(1, 0) from error
        for statements, rows in self._replies():
            if statements and rows < self._new:
                raise LeftOutError(self._new, rows) from error

    @property
    def _new(self) -> int:
        return self.sent - self._begun[0]

    def _inserts(self) -> list[tuple[int, int]]:
        return [self._tally.inserts(table) for table in _tables_of(self._target)]

    def _replies(self) -> Iterator[tuple[int, int]]:
        """Yield how many INSERTs each table was sent, and how many rows they added."""
        for now, then in zip(self._inserts(), self._begun[1], strict=True):
            yield now[0] - then[0], now[1] - then[1]

    def _sizes(self) -> list[int]:
        return [_size(self._connection, table) for table in _tables_of(self._target)]


@contextmanager
def keeping_rows(
    project: Project, connection: Connection, target: Target, new: Callable[[], int] = lambda: 0
) -> Iterator[None]:
    """Raise Rejected where rows of the target are deleted to make room for others.

    Another database would refuse the duplicate; SQLite does as the table's ON CONFLICT says.
    `new` returns how many rows the block has added.
    """
    replacing = project.backend.catalogue.replacing(connection)
    tables = [table for table in _tables_of(target) if table.name.lower() in replacing]
    before = [_size(connection, table) for table in tables]
    yield
    for table, size in zip(tables, before, strict=True):
        lost = size + new() - _size(connection, table)
        if lost > 0:
            raise Rejected(
                f"{table.fullname} would lose {lost} {'row' if lost == 1 else 'rows'} with the "
                "same key or unique value, by its ON CONFLICT REPLACE",
                hint="change or delete what is there first",
                state=ROLLED_BACK,
            )


def _tables_of(target: Target) -> list[Table]:
    """Return the tables that have a row for each record."""
    if target.mapper is None:
        return [target.table]
    return [table for table in target.mapper.tables if isinstance(table, Table)]


def _size(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0
