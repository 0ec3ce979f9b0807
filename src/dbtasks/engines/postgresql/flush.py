"""Empty tables on PostgreSQL, by TRUNCATE where it can be."""

from collections.abc import Iterator

from sqlalchemy import Table, text

from dbtasks.engines.base.flush import Emptying, Reference, Step
from dbtasks.engines.sql.quoting import as_read

ALL_ROWS = "SET LOCAL row_security = off"
"""Let the server refuse a command whose rows a policy would limit, as pg_dump does."""


class PostgreSQLEmptying(Emptying):
    """Empty by one TRUNCATE, or by one DELETE where a table that stays refers to one that goes.

    TRUNCATE takes no time and leaves no dead rows, but refuses a table that another refers to,
    also when that is empty. The rows are counted behind its lock.
    """

    def count(self) -> dict[Table, int]:
        """Count all rows, or fail."""
        self.connection.exec_driver_sql(ALL_ROWS)
        return super().count()

    def steps(self) -> list[Step]:
        """Lock first: the count holds until the tables are empty."""
        if self._is_referred_to():
            return [Step(self._delete()), *map(Step, self._owned_restarts() + self._restarts())]
        names = ", ".join(map(self.name, self.tables))
        return [
            Step(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"),
            Step(f"TRUNCATE {names} RESTART IDENTITY"),
            *map(Step, self._restarts()),
        ]

    def run(self) -> dict[Table, int]:
        """Empty the tables, and return how many rows went from each."""
        self.connection.exec_driver_sql(ALL_ROWS)
        first, *rest = (step.sql for step in self.steps())
        done = self.connection.exec_driver_sql(first)
        if done.returns_rows:
            counts = dict(zip(self.tables, done.one(), strict=True))
        else:
            counts = self.count()
        for sql in rest:
            self.connection.exec_driver_sql(sql)
        return counts

    def _is_referred_to(self) -> bool:
        return any(one.table is None for one in self.references)

    def _delete(self) -> str:
        """Return one statement for all tables: foreign keys are looked at when it ends."""
        parts = [
            f"t{number} AS (DELETE FROM {self.name(one)} RETURNING 1)"
            for number, one in enumerate(self.tables)
        ]
        counts = [f"(SELECT count(*) FROM t{number})" for number, _ in enumerate(self.tables)]
        return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"

    def _owned_restarts(self) -> list[str]:
        """Restart what TRUNCATE would: the sequences that belong to a column."""
        asked = text(
            "SELECT d.objid::regclass::text FROM pg_depend d JOIN pg_class s ON s.oid = d.objid "
            "WHERE s.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
            " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(:tables) ORDER BY 1"
        )
        names = self.connection.scalars(asked, {"tables": list(self._oids())})
        return [f"ALTER SEQUENCE {_as_sent(name)} RESTART" for name in names]

    def _restarts(self) -> list[str]:
        """Restart the sequences that belong to no column; unlike setval() it can be undone."""
        names = [self.quote.format_sequence(one) for one in self.sequences]
        return [f"ALTER SEQUENCE {name} RESTART" for name in names if self._oid(name)]

    def _read_references(self) -> Iterator[Reference]:
        """Ask for those of all schemas; what is on a partition counts as its table's."""
        found = self._oids()
        asked = text(
            "SELECT coalesce(pg_partition_root(c.conrelid), c.conrelid)::oid, "
            "coalesce(pg_partition_root(c.conrelid), c.conrelid)::regclass::text, "
            "coalesce(pg_partition_root(c.confrelid), c.confrelid)::oid, c.conname, "
            "CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' "
            "WHEN 'd' THEN 'SET DEFAULT' ELSE '' END, "
            "ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a "
            "WHERE a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)) "
            "FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 "
            "AND coalesce(pg_partition_root(c.confrelid), c.confrelid) = ANY(:tables) ORDER BY 2, 4"
        )
        rows = self.connection.execute(asked, {"tables": list(found)})
        for child, name, parent, key, rule, columns in rows:
            sent = tuple(map(_as_sent, columns))
            yield Reference(_as_sent(name), sent, found[parent], rule, key, found.get(child))

    def _oids(self) -> dict[int, Table]:
        return {self._oid(self.name(one)): one for one in self.tables}

    def _oid(self, name: str) -> int:
        asked = text("SELECT to_regclass(:name)::oid")
        return self.connection.scalar(asked, {"name": as_read(self.connection, name)}) or 0


def _as_sent(name: str) -> str:
    """Return a name that the server told as it stands in a statement for the driver."""
    return name.replace("%", "%%")
