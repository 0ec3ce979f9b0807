"""What a load of several tables does around their rows: when foreign keys are looked at."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Column, Connection, Table, and_, column, inspect, select, table

from dbtasks.engines.base.bulk import Copying

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend


@dataclass(frozen=True)
class Orphan:
    """Name a row by what it refers to: a row of a parent that is not there."""

    table: str
    columns: tuple[str, ...]
    values: tuple[Any, ...]
    parent: str


class OrphanError(Exception):
    """Report a row whose parent is missing when all rows are in."""

    def __init__(self, orphan: Orphan) -> None:
        super().__init__(orphan)
        self.orphan = orphan


class Loading:
    """Load the rows of several tables, within the transaction that is open."""

    hastens: ClassVar[bool] = False
    """Whether `hastened` makes a load into empty tables faster."""

    whole_statements: ClassVar[bool] = False
    """Whether rows may refer to rows of their table that come later in the same `copy_in`."""

    def __init__(self, backend: "Backend", connection: Connection, tables: Sequence[Table]) -> None:
        self.backend = backend
        self.connection = connection
        self.tables = tables
        self.quote = connection.dialect.identifier_preparer

    def copying(self, one: Table, columns: Sequence[Column[Any]]) -> Copying:
        """Return what copies the rows of a table."""
        return self.backend.copying(self.backend, self.connection, one, columns)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Look at the foreign keys of the tables after the block, where rows refer to later ones.

        Raises OrphanError for a row whose parent is missing then.
        """
        yield

    def hastened(self) -> AbstractContextManager[None]:
        """Take off for the block what makes a load slow, and validate all when it is put back."""
        return nullcontext()

    def _check_orphans(self) -> None:
        """Raise OrphanError for the first row whose parent is not there."""
        look = inspect(self.connection)
        for one in self.tables:
            for key in look.get_foreign_keys(one.name, schema=one.schema):
                self._check_key(one, dict(key))

    def _check_key(self, one: Table, key: dict[str, Any]) -> None:
        child = _lightly(one.name, one.schema, key["constrained_columns"]).alias("c")
        parent = _lightly(key["referred_table"], key["referred_schema"], key["referred_columns"])
        parent = parent.alias("p")
        joined = child.outerjoin(
            parent, and_(*(a == b for a, b in zip(child.columns, parent.columns, strict=True)))
        )
        statement = (
            select(*child.columns)
            .select_from(joined)
            .where(*(a.is_not(None) for a in child.columns))
            .where(next(iter(parent.columns)).is_(None))
            .limit(1)
        )
        row = self.connection.execute(self._locking(statement)).first()
        if row is not None:
            names = tuple(key["constrained_columns"])
            raise OrphanError(Orphan(one.fullname, names, tuple(row), key["referred_table"]))

    def _locking(self, statement: Any) -> Any:
        """Return the question so that its answer holds until the commit."""
        return statement

    def _scalar(self, sql: str) -> Any:
        return self.connection.exec_driver_sql(sql).scalar()


def _lightly(name: str, schema: str | None, columns: Sequence[str]) -> Any:
    return table(name, *map(column, columns), schema=schema)
