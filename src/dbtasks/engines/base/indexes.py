"""What engines tell of their indexes, and SQLAlchemy does not reflect."""

from collections.abc import Mapping
from typing import ClassVar

from sqlalchemy import Connection


class Indexing:
    """Reflect all indexes by SQLAlchemy."""

    hides_indexes: ClassVar[bool] = False
    """Whether there are indexes that SQLAlchemy does not reflect: `hidden_indexes` has them."""

    keys_need_indexes: ClassVar[bool] = False
    """Whether an index cannot be dropped while a foreign key of its columns is there."""

    def index_statements(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return what makes those indexes as they are that SQLAlchemy makes otherwise, or not."""
        return {}
