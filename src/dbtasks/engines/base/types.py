"""The types of columns that SQLAlchemy does not know."""

from typing import Any

from sqlalchemy.types import UserDefinedType


class Named(UserDefinedType[Any]):
    """A type of which nothing but its name in the database is known."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **keywords: object) -> str:
        """Return the name."""
        return self.name
