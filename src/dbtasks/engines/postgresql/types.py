"""The types of columns that PostgreSQL keeps by a name, or that have elements."""

from typing import Any

from sqlalchemy.dialects.postgresql import DOMAIN, ENUM
from sqlalchemy.engine import Dialect
from sqlalchemy.types import ARRAY, TypeDecorator, TypeEngine


def enum_of(kind: TypeEngine[Any] | None, dialect: Dialect) -> ENUM | None:
    """Return the enum of the database that a type is, or that its elements are of."""
    found = named_of(kind, dialect)
    return found if isinstance(found, ENUM) else None


def named_of(kind: TypeEngine[Any] | None, dialect: Dialect) -> ENUM | DOMAIN | None:
    """Return the enum or the domain that a type is, or that its elements are of."""
    if dialect.name != "postgresql":  # another may have no use for what SQLAlchemy adapts
        return None
    if isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    found = kind.dialect_impl(dialect) if kind is not None else None
    if isinstance(found, ARRAY):
        return named_of(found.item_type, dialect)
    return found if isinstance(found, ENUM | DOMAIN) else None


def array_of(kind: TypeEngine[Any], dialect: Dialect) -> ARRAY[Any] | None:
    """Return the array that a type is in the database."""
    if isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    found = kind.dialect_impl(dialect)
    return found if isinstance(found, ARRAY) else None
