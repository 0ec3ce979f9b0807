"""Read what SQLite stores, where a column of any type may hold a value of any class.

Its classes are NULL, whole numbers, floating-point numbers, texts and blobs
(https://www.sqlite.org/datatype3.html).
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Dialect, Float, Interval, Numeric
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines.base.spellings import READS, Spelling
from dbtasks.engines.base.wire import Document, Stray

DIGITS = 15
"""Digits that any decimal number keeps in a floating-point one."""

CLASSES: dict[type, tuple[type, ...]] = {
    bool: (int,),
    int: (int,),
    float: (int, float),
    Decimal: (int, float),
    bytes: (bytes,),
    object: (int, str),
}
"""The classes of what a type stores, by its Python type; of all others these are texts."""

Process = Callable[[Any], Any]


class ColumnReader:
    """Make of a column's stored values those of its type; what it cannot have is a Stray."""

    def __init__(self, kind: TypeEngine[Any], dialect: Dialect) -> None:
        classes = _classes_of(kind)
        self.classes = None if classes is None else frozenset({type(None), *classes})
        self.process = _process_of(kind, dialect)
        self.spelling = Spelling(kind, dialect) if isinstance(kind, tuple(READS)) else None

    def read(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the values of many rows."""
        if self.classes is None or self.classes.issuperset(map(type, values)):
            if self.process is None:
                return values
            try:
                found = [*map(self.process, values)]
                return self.spelling.all_travelling(values, found) if self.spelling else found
            except Exception:  # a project's type may raise anything: which one is it?
                pass
        return [*map(self._read, values)]

    def _read(self, value: Any) -> Any:
        if self.classes is not None and type(value) not in self.classes:
            return Stray(value)
        if self.process is None:
            return value
        try:
            found = self.process(value)
            return self.spelling.travelling(value, found) if self.spelling else found
        except Exception:  # as above; the value is told, where it is wanted
            return Stray(value)


def _classes_of(kind: TypeEngine[Any]) -> tuple[type, ...] | None:
    """Return what a type stores; None where only a decorator knows."""
    if isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
        return None
    if isinstance(kind, Document):
        return (str, int, float)
    try:
        return CLASSES.get(kind.python_type, (str,))
    except NotImplementedError:
        return CLASSES[object]


def _process_of(kind: TypeEngine[Any], dialect: Dialect) -> Process | None:
    if isinstance(kind, Document):  # SQLite makes numbers of documents that are numbers
        return lambda value: repr(value) if isinstance(value, (int, float)) else value
    if isinstance(kind, Boolean):  # others would take any number for true
        return lambda value: {0: False, 1: True}.get(value, value)
    if isinstance(kind, Float) or (isinstance(kind, Numeric) and not kind.asdecimal):
        return None
    if isinstance(kind, Numeric):
        scale = kind.scale if kind.precision is None else kind.scale or 0
        return lambda value: None if value is None else _decimal(value, scale)
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _decimal(value: int | float, scale: int | None) -> str:
    """Return the decimal number that a binary one stands for, with the zeros that others add.

    That is the shortest text of it; where the scale has no room for that, as for 0.1 + 0.2, it
    is the number that sums and products were to be.
    """
    if isinstance(value, int):
        return f"{value}.{'0' * scale}" if scale else str(value)
    shortest = Decimal(repr(value))
    if scale is None or not shortest.is_finite():
        return f"{shortest:f}"
    for number in (shortest, Decimal(f"{value:.{DIGITS}g}")):
        if Decimal(padded := f"{number:.{scale}f}") == number:
            return padded
    return f"{shortest:f}"
