"""What a column of MySQL keeps of a value: sizes and fractions."""

from typing import Any

from sqlalchemy import Integer, Numeric
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.storage import FILLED, Storage

BYTES = {
    **dict.fromkeys(("TINYTEXT", "TINYBLOB"), 2**8 - 1),
    **dict.fromkeys(("text", "TEXT", "unicode_text", "CLOB", "large_binary", "BLOB"), 2**16 - 1),
    **dict.fromkeys(("MEDIUMTEXT", "MEDIUMBLOB"), 2**24 - 1),
}
"""How many bytes a column of MySQL holds that has no length of its own, by its type."""


class MySQLStorage(Storage):
    """Know the sizes that MySQL's types have, and their fractions."""

    stores_nul = True
    long_times = True

    def integer_range(self, kind: Integer) -> tuple[int, int]:
        """Know TINYINT, MEDIUMINT and UNSIGNED too."""
        bits = {"TINYINT": 8, "MEDIUMINT": 24}.get(kind.__visit_name__)
        smallest, largest = super().integer_range(kind)
        if bits is not None:
            smallest, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return (0, largest - smallest) if self.is_unsigned(kind) else (smallest, largest)

    def is_unsigned(self, kind: TypeEngine[Any]) -> bool:
        """Know UNSIGNED, and ZEROFILL, which brings it."""
        return bool(getattr(kind, "unsigned", False) or getattr(kind, "zerofill", False))

    def bits_of(self, kind: TypeEngine[Any]) -> int | None:
        """Know BIT: of a text the server would take the code of each character."""
        return getattr(kind, "length", None) or 1 if kind.__visit_name__ == "BIT" else None

    def set_members(self, kind: TypeEngine[Any]) -> tuple[str, ...] | None:
        """Know SET."""
        return tuple(getattr(kind, "values", ())) if kind.__visit_name__ == "SET" else None

    def numeric_size(self, kind: Numeric[Any]) -> tuple[int | None, int | None]:
        """Return 10 digits and no fraction for a Numeric without a precision."""
        return (10, 0) if kind.precision is None else super().numeric_size(kind)

    def fraction_digits(self, kind: TypeEngine[Any]) -> int:
        """Return the `fsp` of our dialect's types: without it seconds have no fraction."""
        return getattr(kind, "fsp", None) or 0

    def single_precision(self, kind: TypeEngine[Any]) -> bool:
        """Know FLOAT, and FLOAT(1) to FLOAT(24)."""
        precision = getattr(kind, "precision", None) or 24
        return kind.__visit_name__ in ("float", "FLOAT") and precision <= 24

    def keeps_end(self, kind: TypeEngine[Any], value: str | bytes) -> bool:
        """Know that CHAR loses its blanks when it is read, and BINARY is filled up with NUL."""
        if kind.__visit_name__ == "BINARY":
            return len(value) == (getattr(kind, "length", None) or 1)
        return kind.__visit_name__ not in FILLED or value[-1:] != " "

    def byte_limit(self, kind: TypeEngine[Any]) -> int | None:
        """Count bytes, as TEXT and BLOB do."""
        return BYTES.get(kind.__visit_name__)
