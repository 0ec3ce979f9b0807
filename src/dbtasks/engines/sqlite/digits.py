"""Texts of SQLite that become numbers, and numbers that become texts, with all their digits.

A column for numbers makes one of each text that looks like one, and keeps of it what fits: sixteen
digits of a fraction, no zeros in front (https://www.sqlite.org/datatype3.html).
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import (
    NUMERIC,
    REAL,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    String,
    Text,
    case,
    cast,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from dbtasks.errors import ROLLED_BACK, Refused

AFFINITIES = (
    ("INTEGER", ("INT",)),
    ("TEXT", ("CHAR", "CLOB", "TEXT")),
    ("BLOB", ("BLOB",)),
    ("REAL", ("REAL", "FLOA", "DOUB")),
)
"""What SQLite makes of a column, by what stands in its type, in turn; otherwise NUMERIC."""

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
"""What SQLite takes for a number."""

PLAIN = re.compile(r"-?(0|[1-9]\d*)?(\.\d*)?(e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
"""What is one to people too: zeros in front, and a plus, are of codes and of telephones."""

SHOWN = 3


def affinity(kind: TypeEngine[Any], dialect: Dialect) -> str:
    """Return what SQLite makes of a column of a type."""
    if isinstance(kind, NullType):
        return "BLOB"
    name = dialect.type_compiler_instance.process(kind).upper()
    found = (one for one, parts in AFFINITIES if any(each in name for each in parts))
    return next(found, "NUMERIC")


def exact_text(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value with the digits of its fraction that SQLite would leave out of a text."""
    exact = case(
        *((_read(one) == value, one) for one in (cast(value, Text), _printed(value, 16))),
        else_=_printed(value, 17),
    )
    return case((func.typeof(value) == "real", exact), else_=value)


def check_digits(connection: Connection, column: Column[Any], new: str) -> None:
    """Raise Refused for texts of a column that would not come back from numbers of an affinity."""
    lost = [*islice(_lost(connection, column, new), SHOWN + 1)]
    if not lost:
        return
    table, first = column.table, lost[0]
    shown = ", ".join(lost[:SHOWN]) + (", …" if len(lost) > SHOWN else "")
    name, own = map(connection.dialect.identifier_preparer.quote, (table.name, column.name))
    update = f"UPDATE {name} SET {own} = 'TEXT' WHERE {first}"
    raise Refused(
        f"texts of {table.name}.{column.name} would lose digits, zeros in front or a plus "
        f"as numbers: where {shown}",
        hint="write first in the revision what they are to be, as in: "
        f"op.execute({update!r}); or let the column have texts",
        state=ROLLED_BACK,
    )


def _lost(connection: Connection, column: Column[Any], new: str) -> Iterator[str]:
    """Yield the conditions that find the rows of such texts."""
    quote = connection.dialect.identifier_preparer.quote
    keys: list[Any] = [*column.table.primary_key.columns] or [literal_column("rowid")]
    number = cast(column, REAL if new == "REAL" else NUMERIC)
    statement = select(
        type_coerce(column, String), type_coerce(number, NullType), *map(_plain, keys)
    ).where(func.typeof(column) == "text", cast(number, Text) != type_coerce(column, String))
    for value, number_of_it, *key in connection.execute(statement):
        if NUMBER.fullmatch(value) and not _gives_back(number_of_it, value, new):
            pairs = zip(keys, key, strict=True)
            yield " AND ".join(f"{quote(one.name)} = {_literal(each)}" for one, each in pairs)


def _gives_back(number: float, text: str, new: str) -> bool:
    if new == "INTEGER":
        return str(number) == text
    return bool(PLAIN.fullmatch(text)) and Decimal(repr(number)) == Decimal(text)


def _plain(column: Any) -> ColumnElement[Any]:
    return type_coerce(column, NullType)


def _printed(value: ColumnElement[Any], digits: int) -> ColumnElement[Any]:
    return func.printf(literal_column(f"'%!.{digits}g'"), value)


def _read(number: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(number, REAL)


def _literal(value: object) -> str:
    if isinstance(value, int | float):
        return str(value)
    return "'{}'".format(str(value).replace("'", "''"))
