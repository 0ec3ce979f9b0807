"""What a table says of itself that SQLAlchemy does not reflect."""

from dataclasses import dataclass, field
from typing import Any

CONFLICT = "sqlite_on_conflict"
"""How SQLAlchemy calls what is done about a row that breaks a constraint."""

Columns = tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """Hold a unique constraint, and the collations of its columns that are not their own."""

    name: str | None
    columns: Columns
    collations: tuple[str | None, ...]
    conflict: str | None


@dataclass
class Created:
    """Hold it by the columns' names, in small letters: SQLite takes no notice of their case.

    A conflict is what is done about a row that breaks a constraint; None stands for none.
    """

    collations: dict[str, str] = field(default_factory=dict)
    required: dict[str, str] = field(default_factory=dict)
    uniques: list[Unique] = field(default_factory=list)
    references: dict[Columns, dict[str, Any]] = field(default_factory=dict)
    key: str | None = None
    numbered: int | None = None
    """The highest number that AUTOINCREMENT has given; None for a table without."""

    def conflict(self, columns: Columns) -> str | None:
        """Return what is done about a row whose values of these columns are there already."""
        found = (one.conflict for one in self.uniques if one.columns == columns)
        return next(found, None)
