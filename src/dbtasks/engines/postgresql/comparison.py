"""Documents and texts of PostgreSQL compared and sorted by their values."""

from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, Text, cast, collate, literal
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.comparison import OPERATORS, Comparison, Condition
from dbtasks.engines.base.storage import FILLED
from dbtasks.engines.base.text_match import ESCAPE, ignores_case, like_pattern


class PostgreSQLComparison(Comparison):
    """Compare documents as jsonb, as json has no equality, and texts by their characters."""

    def compare(self, column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
        """Compare a document by its value, and a CHAR without the blanks that fill it up.

        A range is typed as a text, which the server compares with no column of ranges.
        """
        from sqlalchemy.dialects.postgresql import (  # no other database should pay for its dialect
            TSVECTOR,
        )
        from sqlalchemy.dialects.postgresql.ranges import AbstractRange

        kind = column.type
        if self._binary_type(kind) is not None:
            given = self._binary(literal(value, kind))
            found: Condition = OPERATORS[lookup](self._binary(column), given)
            return found
        if isinstance(kind, (AbstractRange, TSVECTOR)) and isinstance(value, str):
            return super().compare(column, lookup, cast(literal(value, Text), kind))
        return super().compare(column, lookup, _unfilled(kind, value))

    def shown(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read several ranges as the server writes them."""
        from sqlalchemy.dialects.postgresql.ranges import AbstractMultiRange  # as above

        if isinstance(self.resolve_type(column.type), AbstractMultiRange):
            return cast(column, Text)
        return super().shown(column)

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> Condition:
        """Compare as PostgreSQL does, but for a column that ignores case by its type.

        The blanks that fill a CHAR up are printed, and are no part of what is compared.
        """
        subject = _by_characters(column)
        if lookup in ("exact", "iexact"):
            text = _unfilled(column.type, text)
        if lookup == "exact" and subject is not column:
            return (column == text) & (subject == text)
        if ignores_case(lookup):
            return subject.ilike(like_pattern(lookup, text), escape=ESCAPE)
        return super().match(subject, lookup, text)

    def sortable(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Sort documents as jsonb does."""
        column = self._undecorated(column)
        if self._binary_type(column.type) is not None:
            return self._binary(column)
        return super().sortable(column)

    def _binary(self, document: ColumnElement[Any]) -> ColumnElement[Any]:
        kind = self._binary_type(document.type)
        return document if kind is None or kind is document.type else cast(document, kind)

    def _binary_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any] | None:
        """Return the type with an equality for one of documents, or of arrays of them."""
        from sqlalchemy.dialects.postgresql import JSONB  # as above

        if isinstance(kind, JSON):
            return kind if isinstance(kind, JSONB) else JSONB()
        if isinstance(kind, ARRAY) and isinstance(kind.item_type, JSON):
            return kind if isinstance(kind.item_type, JSONB) else ARRAY(JSONB())
        return None


def _by_characters(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as plain text where its type is citext, padded, or has a collation."""
    if column.type.__visit_name__ in ("CITEXT", *FILLED):
        return cast(column, Text)
    if getattr(column.type, "collation", None):
        return collate(column, "default")  # ILIKE wants one that knows letters, LIKE a plain one
    return column


def _unfilled(kind: TypeEngine[Any], value: Any) -> Any:
    """Return the text of a CHAR without the blanks that fill it up."""
    is_filled = isinstance(value, str) and kind.__visit_name__ in FILLED
    return value.rstrip(" ") if is_filled else value
