"""What people call the columns of a table: as its class does, or as the database."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Mapper


def column_names(table: Table, mappers: Iterable[Mapper[Any]]) -> dict[str, Column[Any]]:
    """Return the columns by every name that they have; an attribute's goes before a column's."""
    found: dict[str, Column[Any]] = {}
    for mapper in mappers:
        for attribute in mapper.column_attrs:
            for column in attribute.columns:
                if isinstance(column, Column) and column.table is table:
                    found.setdefault(attribute.key, column)
    for column in table.columns:
        found.setdefault(column.key, column)
    for column in table.columns:
        found.setdefault(column.name, column)
    return found
