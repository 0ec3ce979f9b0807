"""What engines tell of their indexes, and SQLAlchemy does not reflect."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from sqlalchemy import Connection


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
