"""Columns of SQLite compared and sorted by their values, whatever their spelling."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    INTEGER,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    or_,
    true,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from dbtasks.engines.base.comparison import MOST_RANGES, OPERATORS, Comparison, Condition
from dbtasks.engines.sqlite.keys import SPELLED, Keys, key_of, near

ENDS: dict[str, Callable[..., Any]] = {"gte": min, "lte": max}

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class SQLiteComparison(Comparison):
    """Compare keys that a function of ours makes of what is stored.

    Beside it stands a condition on the column itself, which finds too much, so that an index can
    be used.
    """

    @property
    def calls_functions(self) -> bool:
        """Whether the driver takes functions written in Python."""
        return True

    @cached_property
    def keys(self) -> Keys:
        """Return the types that the function `dbtasks_key` knows."""
        return Keys()

    def compare(self, column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
        """Compare by a key, which is NULL where the type cannot read what is stored."""
        kind = column.type
        if isinstance(kind, NullType):
            return _compare_untyped(column, lookup, value)
        if value is None or not self.has_spellings(kind):
            return super().compare(column, lookup, self._numeric(column, value))
        key: Any = literal(key_of(value, kind), NullType())
        return and_(self._near(column, lookup, [value]), OPERATORS[lookup](self._key(column), key))

    def differs(self, column: ColumnElement[Any], value: Any) -> Condition:
        """Compare the keys alone: a value without one, which its type cannot read, has no other."""
        sent, inner = self._sent(column.type, value), self._undecorated(column)
        if sent is None or not self.has_spellings(inner.type):
            return super().differs(column, value)
        condition: Condition = self._key(inner) != literal(key_of(sent, inner.type), NullType())
        return condition

    def _numeric(self, column: ColumnElement[Any], value: Any) -> Any:
        """Return a whole number that SQLite compares as one with texts too.

        It compares by the types of both sides (https://www.sqlite.org/datatype3.html): those of
        a column that another tool made TEXT, or nothing, would make a text of a bare number. A
        key is found by its text.
        """
        is_key = getattr(column, "primary_key", False)
        if value is None or is_key or not isinstance(column.type, Integer):
            return value
        return cast(bindparam(column.key, value, unique=True), INTEGER)

    def among(self, column: ColumnElement[Any], values: Sequence[Any]) -> Condition:
        """Put the ranges of all values into one condition: SQLite uses no index for nested ones."""
        sent = [self._sent(column.type, one) for one in values]
        inner = self._undecorated(column)
        if None in sent or not self.has_spellings(inner.type):
            return super().among(column, values)
        keys = [key_of(one, inner.type) for one in sent]
        return and_(self._near(inner, "exact", sent), self._key(inner).in_(keys))

    def _near(self, column: ColumnElement[Any], lookup: str, values: Sequence[Any]) -> Condition:
        """Return a condition that an index serves, and that all meet whose key meets the other."""
        kind, stored = column.type, self.stored(column)
        if self._has_own_format(kind):
            return true()
        if len(values) > MOST_RANGES:
            keys: list[Any] = [(key_of(one, kind), one) for one in values]
            ends = [(name, end(keys, key=itemgetter(0))[1]) for name, end in ENDS.items()]
            bounds = [near(stored, kind, *end) for end in ends]
            return and_(true(), *(one for one in bounds if one is not None))
        found = [near(stored, kind, lookup, one) for one in values]
        return or_(*(true() if one is None else one for one in found))

    def sortable(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Sort by the key too."""
        column = self._undecorated(column)
        return self._key(column) if self.has_spellings(column.type) else super().sortable(column)

    def stored(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return it without its type."""
        return type_coerce(column, NullType())

    def has_spellings(self, kind: TypeEngine[Any]) -> bool:
        """Whether it does, and a function of ours makes keys of them."""
        return self.calls_functions and isinstance(kind, SPELLED)

    def keeps_spelling(self, kind: TypeEngine[Any]) -> bool:
        """Whether it does: a format of the project's own reads no other."""
        return self.has_spellings(kind) and not self._has_own_format(kind)

    def _has_own_format(self, kind: TypeEngine[Any]) -> bool:
        return getattr(kind.dialect_impl(self.dialect), "_reg", None) is not None

    def _key(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        name = self.keys.name_of(column.type, self.dialect)
        # A literal, so that an index can be made of it.
        return func.dbtasks_key(self.stored(column), literal_column(f"'{name}'"), type_=NullType())


def _compare_untyped(column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
    """Compare a column that may hold anything: numbers with numbers, texts with texts."""
    text = str(value)
    number = _number_of(text)
    if lookup == "exact":
        return column.in_([one for one in (text, number, _bytes_of(text)) if one is not None])
    compared: Condition = OPERATORS[lookup](column, literal(text if number is None else number))
    # Numbers stand before all texts, and texts before all bytes.
    if number is not None:
        return and_(compared, column < literal("")) if lookup in ("gt", "gte") else compared
    end = column < literal(b"") if lookup in ("gt", "gte") else column >= literal("")
    return and_(compared, end)


def _number_of(text: str) -> int | float | None:
    if not NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    whole = number == number.to_integral_value() and abs(number) < 2**63
    return int(number) if whole else float(number)


def _bytes_of(text: str) -> bytes | None:
    import base64  # few columns hold bytes

    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
