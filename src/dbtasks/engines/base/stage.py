"""A table beside, from which PostgreSQL merges rows into one that has some of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table

from dbtasks.engines.base.bulk import check_taken
from dbtasks.engines.sql.quoting import quoted

STAGE = "dbtasks_stage"


class Stage:
    """Hold rows until all are there, and merge them by one statement."""

    def __init__(
        self, connection: Connection, table: Table, columns: Sequence[Column[Any]]
    ) -> None:
        self.connection = connection
        self.table = quoted(connection, table)
        self.columns = [quoted(connection, one) for one in columns]
        self.key = [quoted(connection, one) for one in table.primary_key]

    def make(self) -> str:
        """Make the table, for this transaction, and return its name."""
        self._run(
            f"CREATE TEMPORARY TABLE {STAGE} ON COMMIT DROP AS "
            f"SELECT {', '.join(self.columns)} FROM {self.table} LIMIT 0"
        )
        return STAGE

    def merge(self, rows: int, *, update: bool) -> int:
        """Insert all rows; change those that are there, or leave them. Returns how many were.

        Raises LeftOutError where a trigger has passed over rows that the table needs.
        """
        names = ", ".join(self.columns)
        known = self._count()
        changes = [f"{one} = EXCLUDED.{one}" for one in self.columns if one not in self.key]
        action = f"UPDATE SET {', '.join(changes)}" if update and changes else "NOTHING"
        merged: int = self._run(
            f"INSERT INTO {self.table} ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT {names} FROM {STAGE} ON CONFLICT ({', '.join(self.key)}) DO {action}"
        ).rowcount
        if action == "NOTHING" and merged + known != rows:  # or they came meanwhile, or elsewhere
            check_taken(rows, self._count())
        if action != "NOTHING" and merged != rows:  # or a change would have changed nothing
            check_taken(rows, rows if self._count(self._are_equal) == rows else merged)
        self._run(f"DROP TABLE {STAGE}")
        return known

    def _count(self, condition: str = "true") -> int:
        """Count the rows whose key the table has."""
        joined = f"{STAGE} s JOIN {self.table} t USING ({', '.join(self.key)})"
        found: int = self._run(f"SELECT count(*) FROM {joined} WHERE {condition}").scalar()
        return found

    @property
    def _are_equal(self) -> str:
        here, there = (", ".join(f"{one}.{name}" for name in self.columns) for one in "st")
        return f"ROW({here})::text = ROW({there})::text"

    def _run(self, sql: str) -> Any:
        return self.connection.exec_driver_sql(sql.replace("%", "%%"))
