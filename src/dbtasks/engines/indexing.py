"""What engines tell of their indexes, and SQLAlchemy does not reflect."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from sqlalchemy import Connection, inspect, text

from dbtasks.engines.created import read_created

MYSQL_PARTS = text(
    "SELECT index_name, column_name, sub_part, collation FROM information_schema.statistics "
    "WHERE table_schema = COALESCE(:schema, database()) AND table_name = :table "
    "ORDER BY index_name, seq_in_index"
)
DESCENDING = "D"

POSTGRESQL_STATEMENTS = text(
    "SELECT i.relname, pg_get_indexdef(i.oid, 0, true) FROM pg_index x "
    "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE t.relname = :table AND n.nspname = COALESCE(:schema, current_schema()) "
    "AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = x.indexrelid "
    "AND c.conrelid = x.indrelid)"
)

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


class Indexing:
    """Reflect all indexes by SQLAlchemy."""

    hides_indexes: ClassVar[bool] = False
    """Whether there are indexes that SQLAlchemy does not reflect: `hidden_indexes` has them."""

    keys_need_indexes: ClassVar[bool] = False
    """Whether an index cannot be dropped while a foreign key of its columns is there."""

    def hidden_indexes(self, connection: Connection, table: str) -> Mapping[str, str]:
        """Return the statements of a table's indexes that SQLAlchemy does not reflect, by name."""
        return {}

    def index_parts(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, Sequence[str]]:
        """Return the columns, as they stand in SQL, of indexes that are reflected in part."""
        return {}

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return what makes those indexes as they are that SQLAlchemy makes otherwise, or not."""
        return {}


class MySQLIndexing(Indexing):
    """Ask MySQL for the order of an index, and for the length of its columns."""

    keys_need_indexes = True

    def index_parts(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, Sequence[str]]:
        """Return them for all but those on expressions."""
        quote = connection.dialect.identifier_preparer.quote
        found: dict[str, list[str]] = defaultdict(list)
        hidden = set()
        for name, column, length, order in connection.execute(
            MYSQL_PARTS, {"schema": schema, "table": table}
        ):
            if column is None:
                hidden.add(name)
            else:
                part = f"{quote(column)}({length})" if length else quote(column)
                found[name].append(f"{part} DESC" if order == DESCENDING else part)
        return {name: parts for name, parts in found.items() if name not in hidden}

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them for those that are in another order."""
        preparer = connection.dialect.identifier_preparer
        on = f"{preparer.quote_schema(schema)}." if schema else ""
        known = inspect(connection).get_indexes(table, schema=schema)
        unique = {one["name"] for one in known if one["unique"]}
        return {
            name: f"CREATE {'UNIQUE ' if name in unique else ''}INDEX {preparer.quote(name)} "
            f"ON {on}{preparer.quote(table)} ({', '.join(parts)})"
            for name, parts in self.index_parts(connection, table, schema).items()
            if any(one.endswith(" DESC") for one in parts)
        }


class PostgreSQLIndexing(Indexing):
    """Ask PostgreSQL, as SQLAlchemy knows no order of an expression."""

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return them for all that are of no constraint."""
        found = connection.execute(POSTGRESQL_STATEMENTS, {"table": table, "schema": schema})
        return {str(name): str(sql) for name, sql in found}


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
