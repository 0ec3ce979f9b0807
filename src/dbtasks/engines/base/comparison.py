"""Columns compared and sorted by their values, and not by how a database spells these."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from operator import eq, ge, gt, le, lt
from typing import Any, TypeGuard

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Enum,
    Float,
    Interval,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    type_coerce,
)
from sqlalchemy.sql.operators import and_ as and_op
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from dbtasks.engines.base.singles import nearest_single, shortest_single
from dbtasks.engines.base.storage import Storage
from dbtasks.engines.base.text_match import ESCAPE, ignores_case, is_text, like_pattern
from dbtasks.engines.base.types import AllDigits

Condition = ColumnElement[bool]

ORDER: dict[str, Callable[[Any, Any], Any]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
OPERATORS = {"exact": eq, **ORDER}

MOST_RANGES = 50
"""Values that stand in one row of conditions: SQLite nests no more than 1,000."""


class Comparison(Storage):
    """Find what is printed, and order values as Python does.

    The databases do so themselves for most types; a class of its own for an engine overrides
    what it does differently.
    """

    def equals(self, column: ColumnElement[Any], value: Any) -> Condition:
        """Compare a column by value; text by its characters, as `match` does."""
        value = self._sent(column.type, value)
        column = self._undecorated(column)
        if isinstance(value, str) and is_text(column):
            return self.match(column, "exact", value)
        return self.compare(column, "exact", value)

    def differs(self, column: ColumnElement[Any], value: Any) -> Condition:
        """Compare a column by value: what equals nothing, as NULL, does not differ either."""
        return ~self.equals(column, value)

    def among(self, column: ColumnElement[Any], values: Sequence[Any]) -> Condition:
        """Compare a column with several values: it equals one of them."""
        conditions = [self.equals(column, one) for one in values]
        if len(values) <= MOST_RANGES:
            return or_(false(), *conditions)
        groups = (conditions[at : at + MOST_RANGES] for at in range(0, len(values), MOST_RANGES))
        # SQLAlchemy would take the brackets away again, were they not of another type.
        each = (or_(false(), *some).self_group(and_op) for some in groups)
        return or_(*(type_coerce(one, NullType()) for one in each))

    def compare(self, column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
        """Compare a column with a value by a lookup: exact, gt, gte, lt or lte."""
        kind = column.type
        if lookup in ORDER and isinstance(kind, Enum):
            return or_(false(), *(column == one for one in _members(kind, lookup, value)))
        if self.single_precision(kind) and isinstance(value, (int, float, Decimal)):
            return _compare_single(column, lookup, float(value))
        if isinstance(kind, Float) and isinstance(value, Decimal):
            value = literal(float(value), Float(53))  # servers read a decimal in another way
        # A literal for an order, as SQLAlchemy has none for a plain True.
        plain = lookup not in ORDER or isinstance(value, ColumnElement)
        other = value if plain else literal(value, kind)
        found: Condition = OPERATORS[lookup](column, other)
        return found

    def sortable(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return what to sort by; enums in the order of their declaration."""
        column = self._undecorated(column)
        kind = column.type
        if not isinstance(kind, Enum) or (kind.native_enum and self.typed_enums):
            return column
        places = [(column == one, place) for place, one in enumerate(_values(kind))]
        return case(*places) if places else column

    def shown(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a column to be printed: with all that is stored, where its type reads less."""
        kind = self.resolve_type(column.type)
        if isinstance(kind, ARRAY) and _cuts_digits(kind.item_type):
            items = ARRAY(AllDigits(), as_tuple=kind.as_tuple, dimensions=kind.dimensions)
            return type_coerce(column, items)
        return (
            type_coerce(column, AllDigits())
            if self.typed_columns and _cuts_digits(kind)
            else column
        )

    def stored(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a column as what it stores: a row is found again by what was read of it."""
        return column

    def has_spellings(self, kind: TypeEngine[Any]) -> bool:
        """Whether a column may store one value of this type in several spellings."""
        return False

    def keeps_spelling(self, kind: TypeEngine[Any]) -> bool:
        """Whether a column reads a text in any spelling, so that it may be stored as it was."""
        return False

    def match(self, column: ColumnElement[Any], lookup: str, text: str) -> Condition:
        """Compare a text column by a lookup: exact, contains, startswith, endswith or regex.

        Case, accents and spaces count; with an `i` before its name (not regex) case does not.
        What stands in the text stands for itself, but in a regex. NULL never matches.
        """
        if lookup == "regex":
            return column.regexp_match(text)
        if lookup == "exact":
            equal: Condition = column == text
            return equal
        pattern = like_pattern(lookup, text)
        if ignores_case(lookup):
            return func.lower(column).like(func.lower(pattern), escape=ESCAPE)
        return column.like(pattern, escape=ESCAPE)

    def _sent(self, kind: TypeEngine[Any], value: Any) -> Any:
        """Return what the decorators of a type make of a value."""
        for one in self._decorators(kind):
            if type(one).process_bind_param is not TypeDecorator.process_bind_param:
                value = one.process_bind_param(value, self.dialect)
        return value

    def as_here(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a column with the variant of its type that this database has."""
        kind = self.resolve_type(column.type)
        return column if kind is column.type else type_coerce(column, kind)

    def _undecorated(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a column as what it stores below its decorators."""
        kind = self.resolve_type(column.type)
        for one in self._decorators(kind):
            kind = self._below(one)
        return column if kind is column.type else type_coerce(column, kind)

    def _decorators(self, kind: TypeEngine[Any]) -> Iterator[TypeDecorator[Any]]:
        """Yield the decorators of a type, the outermost first."""
        kind = self.resolve_type(kind)
        while _is_transparent(kind):
            yield kind
            kind = self._below(kind)

    def _below(self, kind: TypeDecorator[Any]) -> TypeEngine[Any]:
        return self.resolve_type(kind.load_dialect_impl(self.dialect))


def _cuts_digits(kind: TypeEngine[Any]) -> bool:
    """Whether SQLAlchemy reads ten decimals of a binary number."""
    return isinstance(kind, Float) and kind.asdecimal and getattr(kind, "scale", None) is None


def _is_transparent(kind: TypeEngine[Any]) -> TypeGuard[TypeDecorator[Any]]:
    """Whether a decorator's values can be compared as what is stored: it has no SQL of its own."""
    if not isinstance(kind, TypeDecorator) or isinstance(kind, Interval):
        return False
    own = ("bind_expression", "column_expression", "comparator_factory")
    return all(getattr(type(kind), name) is getattr(TypeDecorator, name) for name in own)


def _values(kind: Enum) -> list[Any]:
    return list(kind.enum_class.__members__.values()) if kind.enum_class else list(kind.enums)


def _members(kind: Enum, lookup: str, value: Any) -> Iterable[Any]:
    """Return what stands before or after a value of an enum: databases do not agree on it."""
    members = _values(kind)
    place = members.index(value)
    return (one for index, one in enumerate(members) if ORDER[lookup](index, place))


def _compare_single(column: ColumnElement[Any], lookup: str, value: float) -> Condition:
    """Compare a column of single precision by its shortest digits: it holds others than 0.1."""
    try:
        held = nearest_single(value)
        shown = shortest_single(value)
    except OverflowError:  # larger than all numbers of the column, or smaller
        held = shown = value
    if value not in (held, shown):
        # It lies between two numbers of the column; this one is on its side of it.
        if lookup == "exact":
            return false()
        below = shown < value
        lookup = {"g": "gt" if below else "gte", "l": "lte" if below else "lt"}[lookup[0]]
    found: Condition = OPERATORS[lookup](column, literal(held, Float(53)))
    return found


def between(column: ColumnElement[Any], lookup: str, value: float, slack: float) -> Condition:
    """Compare a column of numbers with a value, and leave some room."""
    above = column >= literal(value - slack, Float(53))
    below = column <= literal(value + slack, Float(53))
    if lookup == "exact":
        return and_(above, below)
    return above if lookup in ("gt", "gte") else below
