"""What SQLite tells of its indexes, and SQLAlchemy does not reflect."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from dbtasks.engines.base.indexes import Indexing
from dbtasks.engines.sqlite.created import read_created

BINARY = "BINARY"
"""What a column of SQLite is sorted by that says nothing else."""

SQLITE_STATEMENTS = """
SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL
"""
SQLITE_PARTS = 'SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno'


class Part(NamedTuple):
    """Hold a part of an index of SQLite: a column, None for an expression, and how it is sorted.

    `collation` is there where it is not the column's own.
    """

    column: str | None
    down: bool
    collation: str | None

    @property
    def plain(self) -> bool:
        """Whether it is a column and no more."""
        return self.column is not None and not self.down and self.collation is None

    def sql(self, quote: Callable[[str], str]) -> str:
        """Return a column as it stands in the statement."""
        collated = f" COLLATE {quote(self.collation)}" if self.collation else ""
        return f"{quote(str(self.column))}{collated}{' DESC' if self.down else ''}"


class SQLiteIndexing(Indexing):
    """Ask SQLite for the order and the collation of an index, and for those on expressions."""

    hides_indexes = True

    def hidden_indexes(self, connection: Connection, table: str) -> Mapping[str, str]:
        """Return the statements of the indexes on expressions."""
        parts = _all_parts(connection, table)
        return {
            name: sql
            for name, sql in _statements(connection, table).items()
            if any(one.column is None for one in parts[name])
        }

    def index_parts(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, Sequence[str]]:
        """Return them for all but those on expressions."""
        quote = connection.dialect.identifier_preparer.quote
        return {
            name: [one.sql(quote) for one in parts]
            for name, parts in _all_parts(connection, table).items()
            if all(one.column is not None for one in parts)
        }

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them for those on expressions, and in another order."""
        parts = _all_parts(connection, table)
        return {
            name: sql
            for name, sql in _statements(connection, table).items()
            if not all(one.plain for one in parts[name])
        }

    def sorted_parts(self, connection: Connection, table: str) -> Mapping[str, Sequence[Part]]:
        """Return the parts of the indexes on columns that are reflected as if these were plain."""
        return {
            name: parts
            for name, parts in _all_parts(connection, table).items()
            if all(one.column is not None for one in parts) and not all(one.plain for one in parts)
        }


def _statements(connection: Connection, table: str) -> dict[str, str]:
    """Return the statements of the indexes that are of no constraint."""
    found = connection.exec_driver_sql(SQLITE_STATEMENTS, (table,))
    return {str(name): str(sql) for name, sql in found}


def _all_parts(connection: Connection, table: str) -> Mapping[str, Sequence[Part]]:
    """Return the parts of each index that is of no constraint."""
    names = [*_statements(connection, table)]
    own = read_created(connection, table).collations if names else {}
    return {name: _parts(connection, name, own) for name in names}


def _parts(connection: Connection, index: str, own: Mapping[str, str]) -> Sequence[Part]:
    """Return the parts of an index, of whose columns some have a collation of their own."""
    found = connection.exec_driver_sql(SQLITE_PARTS, (index,))
    return [
        Part(column, bool(down), _other(collation, own.get(str(column).lower(), BINARY)))
        for column, down, collation in found
    ]


def _other(collation: str, own: str) -> str | None:
    return None if collation.lower() == own.lower() else collation
