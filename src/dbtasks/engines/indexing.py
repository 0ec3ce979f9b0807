"""What engines tell of their indexes, and SQLAlchemy does not reflect."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

from sqlalchemy import Connection, text

PARTS = text(
    "SELECT index_name, column_name, sub_part, collation FROM information_schema.statistics "
    "WHERE table_schema = COALESCE(:schema, database()) AND table_name = :table "
    "ORDER BY index_name, seq_in_index"
)
DESCENDING = "D"


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
            PARTS, {"schema": schema, "table": table}
        ):
            if column is None:
                hidden.add(name)
            else:
                part = f"{quote(column)}({length})" if length else quote(column)
                found[name].append(f"{part} DESC" if order == DESCENDING else part)
        return {name: parts for name, parts in found.items() if name not in hidden}
