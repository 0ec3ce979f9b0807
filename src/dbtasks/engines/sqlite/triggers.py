"""Triggers of SQLite: dropped for a load, and created again."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from dbtasks.engines.base.triggers import Trigger, Triggers

SQLITE = "SELECT name, tbl_name, sql FROM {}.sqlite_master WHERE type = 'trigger' ORDER BY rowid"


class SQLiteTriggers(Triggers):
    """Drop triggers for as long: the transaction has the only lock, and a rollback restores them.

    SQLite keeps the definition of each, from the name on (https://www.sqlite.org/schematab.html).
    """

    counts_all = True

    @property
    def remaining(self) -> Sequence[Trigger]:
        """Return none."""
        return ()

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Create them again in their order."""
        dropped = [(schema, one) for schema in self._schemas for one in self._of(schema)]
        for schema, one in dropped:
            self._run(f"DROP TRIGGER {schema}.{self._quote(one.name)}")
        before, self.running = self.running, ()
        self.off = before
        yield
        for schema, one in dropped:
            self._run(one.create.replace("CREATE TRIGGER ", f"CREATE TRIGGER {schema}.", 1))
        self.running = before

    def _read(self) -> Sequence[Trigger]:
        return [one for schema in self._schemas for one in self._of(schema)]

    @property
    def _schemas(self) -> Sequence[str]:
        return [*dict.fromkeys(self._quote(one.schema or "main") for one in self.tables)]

    def _of(self, schema: str) -> Sequence[Trigger]:
        """Return the triggers of those of the tables that are in a schema."""
        inside = [one for one in self.tables if self._quote(one.schema or "main") == schema]
        names = {one.name.lower() for one in inside}
        return [one for one in self._in(schema) if one.table.lower() in names]

    def _in(self, schema: str) -> Sequence[Trigger]:
        return [Trigger(*row) for row in self._run(SQLITE.format(schema))]

    def _all(self) -> Sequence[Trigger]:
        return self._in("main")

    def _table_names(self) -> Collection[str]:
        asked = (
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        )
        return [name for (name,) in self._run(asked)]

    def _quote(self, name: str) -> str:
        return self.connection.dialect.identifier_preparer.quote(name)
