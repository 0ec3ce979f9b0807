"""Empty tables on SQLite, where foreign keys cannot be switched off inside a transaction."""

from collections.abc import Iterator

from sqlalchemy import Table

from dbtasks.engines.base.flush import CASCADE, RESTRICT, Emptying, Reference, Step


class SQLiteEmptying(Emptying):
    """Look at the foreign keys when all is empty, and let no row be looked for without an index.

    Switching them off would end the transaction.
    """

    def run(self) -> dict[Table, int]:
        """Count first: no other can write meanwhile, and what CASCADE takes is not reported."""
        counts = self.count()
        super().run()
        return counts

    def steps(self) -> list[Step]:
        """Defer the foreign keys for as long."""
        on, off = (Step(f"PRAGMA defer_foreign_keys={word}") for word in ("ON", "OFF"))
        return [on, *super().steps(), off]

    def _loosened(self) -> Iterator[Step]:
        """Yield for what the deferring is not enough: RESTRICT, and CASCADE over 1000 levels."""
        for one in self._cyclic():
            if one.rule in (CASCADE, RESTRICT):
                yield from self._to_null(one)

    def _deletes(self) -> Iterator[Step]:
        """Have an index for the references of a table that is full when its parents go.

        Without it SQLite reads the whole table for each row.
        """
        cyclic = self._cyclic()
        for number, one in enumerate(cyclic):
            assert one.table is not None
            name, columns = self.quote.quote(one.table.name), ", ".join(one.columns)
            yield Step(f"CREATE INDEX {self._index(one, number)} ON {name} ({columns})")
        yield from super()._deletes()
        for number, one in enumerate(cyclic):
            yield Step(f"DROP INDEX {self._index(one, number)}")

    def _index(self, reference: Reference, number: int) -> str:
        assert reference.table is not None
        name = f"dbtasks_flush_{number}"
        schema = reference.table.schema
        return f"{self.quote.quote(schema)}.{name}" if schema else name

    def _restarts(self) -> list[str]:
        """Forget the highest keys of AUTOINCREMENT; other tables have none."""
        found = []
        for schema in dict.fromkeys(one.schema or "main" for one in self.tables):
            where = self.quote.quote(schema)
            known = f"SELECT count(*) FROM {where}.sqlite_master WHERE name = 'sqlite_sequence'"
            if self._scalar(known):
                names = [one.name for one in self.tables if (one.schema or "main") == schema]
                listed = ", ".join("'{}'".format(name.replace("'", "''")) for name in names)
                found.append(f"DELETE FROM {where}.sqlite_sequence WHERE name IN ({listed})")
        return found

    def _key(self, schema: str | None, name: str) -> tuple[str, str]:
        """Ignore the case, as SQLite does."""
        return (schema or "main").lower(), name.lower()
