"""What MySQL tells of its indexes, and SQLAlchemy does not reflect."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, inspect, text

from dbtasks.engines.base.indexes import Indexing

MYSQL_PARTS = text(
    "SELECT index_name, column_name, sub_part, collation FROM information_schema.statistics "
    "WHERE table_schema = COALESCE(:schema, database()) AND table_name = :table "
    "ORDER BY index_name, seq_in_index"
)
DESCENDING = "D"


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
