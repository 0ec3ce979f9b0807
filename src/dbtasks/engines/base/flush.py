"""Empty tables by DELETE, as any engine can: in which order, and what refers to them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, MetaData, Table, inspect
from sqlalchemy import Sequence as NamedSequence

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend

CASCADE, RESTRICT = "CASCADE", "RESTRICT"


@dataclass(frozen=True)
class Reference:
    """Describe a foreign key of the database to one of the tables.

    `child` is quoted, as the columns are; `table` is the child where it is emptied too.
    """

    child: str
    columns: tuple[str, ...]
    parent: Table
    rule: str
    name: str | None
    table: Table | None

    @property
    def rows(self) -> str:
        """Return the condition of the child's rows that refer to some row."""
        return " AND ".join(f"{column} IS NOT NULL" for column in self.columns)


@dataclass(frozen=True)
class Step:
    """Hold a statement, and the table whose rows it takes."""

    sql: str
    table: Table | None = None


class Emptying:
    """Empty tables in a transaction by what SQL alone has: DELETE, children before parents.

    The foreign keys are those of the database, and not of the models. A class of its own for an
    engine overrides what is faster there, or must be otherwise.
    """

    def __init__(
        self,
        backend: "Backend",
        connection: Connection,
        tables: Sequence[Table],
        sequences: Sequence[NamedSequence] = (),
    ) -> None:
        self.backend = backend
        self.connection = connection
        self.tables = tables
        self.sequences = sequences
        self.quote = connection.dialect.identifier_preparer
        self.references = list(self._read_references())

    def referring(self) -> Iterator[tuple[Reference, int]]:
        """Yield each foreign key from a table that stays, and how many rows refer by it."""
        for one in self.references:
            if one.table is None and (rows := self._count_referring(one)):
                yield one, rows

    def count(self) -> dict[Table, int]:
        """Count the rows that the tables have now."""
        return {one: self._scalar(f"SELECT count(*) FROM {self.name(one)}") for one in self.tables}

    def steps(self) -> list[Step]:
        """Return the statements, in their order."""
        return [*self._loosened(), *self._deletes(), *map(Step, self._restarts())]

    def run(self) -> dict[Table, int]:
        """Empty the tables, and return how many rows went from each."""
        counts = {}
        for step in self.steps():
            done = self.connection.exec_driver_sql(step.sql)
            if step.table is not None:
                counts[step.table] = done.rowcount
        return counts

    def filled(self) -> list[Table]:
        """Return the tables that have rows, children before parents."""
        counts = self.count()
        return [one for one in self._order() if counts[one]]

    def empty_again(self) -> None:
        """Delete the rows that triggers have written since `run`."""
        for table in self.filled():
            self.connection.exec_driver_sql(f"DELETE FROM {self.name(table)}")

    def after_commit(self) -> list[str]:
        """Return the statements that restart the keys, where each of them commits."""
        return []

    def _restarts(self) -> list[str]:
        """Return the statements that restart the keys within the transaction."""
        return []

    def _deletes(self) -> Iterator[Step]:
        for table in self._order():
            yield Step(f"DELETE FROM {self.name(table)}", table)

    def _loosened(self) -> Iterator[Step]:
        """Yield what sets the references to NULL that go round among several tables."""
        for one in self._cyclic():
            if one.table is not one.parent:
                yield from self._to_null(one)

    def _to_null(self, reference: Reference) -> Iterator[Step]:
        """Yield what sets a reference to NULL, where it may be."""
        assert reference.table is not None
        free = {self.quote.quote(one.name) for one in reference.table.columns if one.nullable}
        found = [one for one in reference.columns if one in free]
        if found:
            values = ", ".join(f"{one} = NULL" for one in found)
            yield Step(f"UPDATE {reference.child} SET {values} WHERE {reference.rows}")

    def _order(self) -> list[Table]:
        """Return the tables, children before parents; in a cycle somewhere has to be first."""
        left, order = [*self.tables], []
        while left:
            parents = {
                one.parent
                for one in self.references
                if one.table in left and one.table is not one.parent
            }
            free = [table for table in left if table not in parents] or left[:1]
            order += free
            left = [table for table in left if table not in free]
        return order

    def _cyclic(self) -> list[Reference]:
        """Return the references that lead back to their own table, over others or at once."""
        inner = [one for one in self.references if one.table is not None]
        return [one for one in inner if _reaches(inner, one.parent, one.table)]

    def _read_references(self) -> Iterator[Reference]:
        """Read the foreign keys to the tables, of the schemas that they are in."""
        found = {self._key(one.schema, one.name): one for one in self.tables}
        look = inspect(self.connection)
        for schema in {None, *(one.schema for one in self.tables)}:
            for (_, name), keys in look.get_multi_foreign_keys(schema=schema).items():
                child = Table(name, MetaData(), schema=schema)
                for key in keys:
                    referred = self._key(key["referred_schema"] or schema, key["referred_table"])
                    if referred in found:
                        yield Reference(
                            self.name(child),
                            tuple(map(self.quote.quote, key["constrained_columns"])),
                            found[referred],
                            str(key.get("options", {}).get("ondelete") or "").upper(),
                            key["name"],
                            found.get(self._key(schema, name)),
                        )

    def _key(self, schema: str | None, name: str) -> tuple[str, str]:
        """Return what tells one table of the database from another."""
        return schema or self.connection.dialect.default_schema_name or "", name

    def name(self, table: Table) -> str:
        """Return a table's name as it stands in a statement, with its schema."""
        return self.quote.format_table(table)

    def _count_referring(self, reference: Reference) -> int:
        return self._scalar(f"SELECT count(*) FROM {reference.child} WHERE {reference.rows}")

    def _scalar(self, sql: str) -> int:
        return self.connection.exec_driver_sql(sql).scalar() or 0


def _reaches(references: Iterable[Reference], start: Table, goal: Table | None) -> bool:
    """Whether foreign keys lead from one table to another."""
    seen: set[Table] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        if here is goal:
            return True
        if here not in seen:
            seen.add(here)
            todo += [one.parent for one in references if one.table is here]
    return False
