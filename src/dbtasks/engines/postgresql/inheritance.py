"""Tables that show rows of those that inherit from them, or are their partitions."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property

from sqlalchemy import BigInteger, ColumnElement, Table, func, literal_column, select, text

from dbtasks.engines.base.inheritance import Inheritance
from dbtasks.engines.sql.quoting import quoted

PAIRS = text("SELECT inhparent::bigint, inhrelid::bigint FROM pg_inherits")


class PostgreSQLInheritance(Inheritance):
    """Read who inherits from whom: a table shows all of it (PostgreSQL's manual, 5.11)."""

    def heirs(self, table: Table) -> Sequence[Table]:
        """Return those that inherit from it, also over others."""
        if not self._heirs:
            return ()
        numbers = {self._number(one): one for one in self.tables if one is not table}
        below = self._below([self._number(table)])
        return [numbers[one] for one in below if one in numbers]

    def own(self, table: Table) -> Sequence[ColumnElement[bool]]:
        """Look at where each row is stored."""
        heirs = [self._number(one) for one in self.heirs(table)]
        gone = sorted({*heirs, *self._below(heirs)})
        return [literal_column("tableoid", BigInteger).not_in(gone)] if gone else []

    @cached_property
    def _heirs(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for parent, heir in self.connection.execute(PAIRS):
            found[parent].append(heir)
        return found

    def _below(self, start: Collection[int]) -> list[int]:
        """Return all that inherit from some tables, level by level."""
        found: dict[int, None] = {}
        level = [*start]
        while level:
            level = [heir for one in level for heir in self._heirs[one] if heir not in found]
            found |= dict.fromkeys(level)
        return [*found]

    def _number(self, table: Table) -> int:
        """Return what the server calls a table by."""
        name = quoted(self.connection, table)
        number = func.to_regclass(name).op("::")(literal_column("oid"))
        return self.connection.scalar(select(number)) or 0
