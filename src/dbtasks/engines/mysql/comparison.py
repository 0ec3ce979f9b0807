"""Numbers, truths and documents of MySQL compared and sorted by their values."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Dialect,
    Float,
    Time,
    and_,
    cast,
    false,
    func,
    literal,
    literal_column,
    or_,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator

from dbtasks.engines.base.comparison import OPERATORS, Comparison, Condition, between

SHOWN_DIGITS = 1e-5
"""How far a FLOAT of MySQL is from the six digits that are shown of it, for its size."""

KEPT_ESCAPES = r'\\\\|\\(?=["bfnrt]|u00(?:[01]|22|5[cC]))'
"""What begins an escape without which a text is no JSON: of a quote, a backslash or a control."""
DOUBLED = r"\0\0"
QUOTE = r"\""  # as it stands in a string of JSON


class MySQLComparison(Comparison):
    """Compare numbers of single precision as they are shown, and any number as a truth."""

    def equals(self, column: ColumnElement[Any], value: Any) -> Condition:
        """Compare a set as the server writes it: with commas, in the order of the column."""
        sent, inner = self._sent(column.type, value), self._undecorated(column)
        members = self.set_members(inner.type)
        if members is None or not isinstance(sent, (set, frozenset)):
            return super().equals(column, value)
        return self.match(inner, "exact", ",".join(one for one in members if one in sent))

    def compare(self, column: ColumnElement[Any], lookup: str, value: Any) -> Condition:
        """Compare a truth, a document, a FLOAT or a long time by its value."""
        kind = column.type
        if isinstance(kind, JSON):
            spelled = map(literal, (KEPT_ESCAPES, DOUBLED, QUOTE))
            return equal_documents(column, literal(value, kind), *spelled)
        if isinstance(kind, Boolean):
            truths = [one for one in (False, True) if OPERATORS[lookup](one, bool(value))]
            number = type_coerce(column, NullType())
            return or_(false(), *((number != 0) if one else (number == 0) for one in truths))
        if isinstance(kind, Time) and isinstance(value, str):
            from sqlalchemy.dialects.mysql import TIME  # no other database should pay for it

            value = cast(literal(value), TIME(fsp=6))
        if not self.single_precision(kind) or not isinstance(value, (int, float, Decimal)):
            return super().compare(column, lookup, value)
        shown = func.concat(column, type_=Float()) + literal_column("0e0", Float())
        given = literal(float(value), Float(53))
        slack = abs(float(value)) * SHOWN_DIGITS
        close = between(type_coerce(column, Float(53)), lookup, float(value), slack)
        return and_(close, OPERATORS[lookup](shown, given))

    def shown(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read a time as it is stored: SQLAlchemy makes 23:00 of an hour less than none."""
        is_time = isinstance(self.resolve_type(column.type), Time)
        return type_coerce(column, StoredTime()) if is_time else super().shown(column)

    def sortable(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Sort any number but 0 as true."""
        column = self._undecorated(column)
        if isinstance(column.type, Boolean):
            return type_coerce(column, NullType()) != 0
        return super().sortable(column)


class StoredTime(TypeDecorator[time | str]):
    """Read a TIME as a time of day, or as the text of a longer or negative one."""

    impl = NullType
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return what the driver's duration means."""
        if not isinstance(value, timedelta):
            return value
        if timedelta(0) <= value < timedelta(days=1):
            return (datetime.min + value).time()
        hours, rest = divmod(abs(value), timedelta(hours=1))
        return f"{'-' if value < timedelta(0) else ''}{hours:02}:{str(rest).partition(':')[2]}"


class equal_documents(FunctionElement[bool]):  # noqa: N801 - named as a function, as SQLAlchemy does
    """Compare two JSON documents by their values on MySQL or MariaDB."""

    type = Boolean()
    inherit_cache = True


@compiles(equal_documents)
def _compile_equal_documents(element: Any, compiler: Any, **options: Any) -> str:
    """MariaDB's JSON is a text, and MySQL's is a type of its own that compares by value."""
    one, other, *spelled = element.clauses
    if not getattr(compiler.dialect, "is_mariadb", False):
        one, other = (compiler.process(clause, **options) for clause in (one, other))
        return f"({one} = CAST({other} AS JSON))"
    one, other = (_unescaped(clause, spelled, compiler, options) for clause in (one, other))
    if (compiler.dialect.server_version_info or (99,)) < (10, 7):
        return f"(JSON_COMPACT({one}) = JSON_COMPACT({other}))"
    return f"(JSON_EQUALS({one}, {other}) = 1)"


def _unescaped(clause: Any, spelled: Any, compiler: Any, options: Any) -> str:
    """Spell all characters as themselves: to MariaDB the JSON texts "\\u00e9" and "é" differ.

    The whole document is made the content of a string, in which the escapes that it needs are
    escaped once more, and read. What is too large for that stays as it is.
    """
    kept, doubled, quote = (compiler.process(one, **options) for one in spelled)
    document = compiler.process(clause, **options)
    content = f"REPLACE(REGEXP_REPLACE({document}, {kept}, {doubled}), '\"', {quote})"
    read = f"JSON_UNQUOTE(CONCAT('\"', {content}, '\"'))"
    return f"COALESCE({read}, {compiler.process(clause, **options)})"
