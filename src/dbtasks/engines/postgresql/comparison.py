"""Documents of PostgreSQL compared and sorted by their values."""

from typing import Any

from sqlalchemy import JSON, ColumnElement, cast, literal

from dbtasks.engines.base.comparison import OPERATORS, Comparison, Condition


class PostgreSQLComparison(Comparison):
    """Compare documents as jsonb: json has no equality."""

    def compare(self, column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
        """Compare a document by its value."""
        if not isinstance(column.type, JSON):
            return super().compare(column, lookup, value)
        given = self._binary(literal(value, column.type))
        found: Condition = OPERATORS[lookup](self._binary(column), given)
        return found

    def sortable(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Sort documents as jsonb does."""
        column = self._undecorated(column)
        is_document = isinstance(column.type, JSON)
        return self._binary(column) if is_document else super().sortable(column)

    def _binary(self, document: ColumnElement[Any]) -> ColumnElement[Any]:
        from sqlalchemy.dialects.postgresql import (  # no other database should pay for its dialect
            JSONB,
        )

        return document if isinstance(document.type, JSONB) else cast(document, JSONB)
