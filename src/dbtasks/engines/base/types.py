"""Types that SQLAlchemy does not have: of columns, and of what is read of them."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Float
from sqlalchemy.types import TypeDecorator, UserDefinedType


class Named(UserDefinedType[Any]):
    """A type of which nothing but its name in the database is known."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **keywords: object) -> str:
        """Return the name."""
        return self.name


class AllDigits(TypeDecorator[Decimal]):
    """Read a binary number as the Decimal of its shortest digits: SQLAlchemy has ten decimals."""

    impl = Float
    cache_ok = True

    def process_result_value(self, value: float | None, dialect: Dialect) -> Decimal | None:
        """Return the number that is written so."""
        return None if value is None else Decimal(repr(float(value)))
