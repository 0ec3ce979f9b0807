"""The CHECK within a column, as MariaDB has it: what alters the column takes it off."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, inspect


class ColumnChecks:
    """Have all checks beside the columns, or within them for good."""

    def checks(self, connection: Connection, table: str, schema: str | None) -> Sequence[Any]:
        """Return the checks of a table as SQLAlchemy's inspector tells them."""
        try:
            return inspect(connection).get_check_constraints(table, schema=schema)
        except NotImplementedError:
            return ()

    def column_checks(
        self, connection: Connection, table: str, schema: str | None
    ) -> Mapping[str, str]:
        """Return the checks by their columns that go where these are altered."""
        return {}
