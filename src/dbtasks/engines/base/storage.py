"""What a column keeps of a value, where databases differ: sizes, special values, fractions."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from sqlalchemy import URL, BigInteger, Dialect, Integer, Numeric, SmallInteger
from sqlalchemy.types import TypeEngine

BITS = {SmallInteger: 16, BigInteger: 64}
FILLED = frozenset(("CHAR", "NCHAR"))
"""Types of text that have one length, by their names in SQLAlchemy."""


class Storage:
    """Say what the columns of a database keep; the defaults are what SQL promises.

    What is not kept is refused before it is sent: no value is rounded, cut or replaced.
    """

    url: URL

    typed_columns: ClassVar[bool] = True
    """Whether a column holds values of its type and no others."""

    typed_enums: ClassVar[bool] = False
    """Whether the database's own enumerations hold no labels but their own."""

    stores_nan: ClassVar[bool] = False
    """Whether NaN is kept, rather than turned into NULL or refused."""

    stores_infinity: ClassVar[bool] = False
    """Whether a floating-point column, or a Numeric without a precision, keeps the infinities."""

    long_times: ClassVar[bool] = False
    """Whether a Time may be less than none, or longer than a day."""

    stores_nul: ClassVar[bool] = False
    """Whether text may contain the character NUL."""

    keeps_offset: ClassVar[bool] = False
    """Whether a column with a time zone keeps the instant, rather than the digits alone."""

    native_intervals: ClassVar[bool] = False
    """Whether there is a type for intervals, rather than a date counted from 1970."""

    exact_digits: ClassVar[int | None] = None
    """How many digits of a Numeric are kept, where it is held as a binary float."""

    json_number_bits: ClassVar[int | None] = None
    """The size of the whole number that a JSON column holds alone; None for any."""

    @cached_property
    def dialect(self) -> Dialect:
        """Return SQLAlchemy's dialect, not connected, for types that ask for one."""
        return self.url.get_dialect()()

    def resolve_type(self, kind: TypeEngine[Any]) -> TypeEngine[Any]:
        """Return the variant that a type has for this database, or the type."""
        # with_variant() has no public counterpart that reads.
        variants: Mapping[str, TypeEngine[Any]] = getattr(kind, "_variant_mapping", {})
        return variants.get(self.dialect.name, kind) if variants else kind

    def integer_range(self, kind: Integer) -> tuple[int, int]:
        """Return the smallest and the largest value of a column of whole numbers."""
        bits = next((bits for known, bits in BITS.items() if isinstance(kind, known)), 32)
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def is_unsigned(self, kind: TypeEngine[Any]) -> bool:
        """Whether a column of numbers has none below zero."""
        return False

    def bits_of(self, kind: TypeEngine[Any]) -> int | None:
        """Return how many bits a column of MySQL's BIT has, which is a number; None for others."""
        return None

    def set_members(self, kind: TypeEngine[Any]) -> tuple[str, ...] | None:
        """Return what a column of MySQL's SET holds any number of; None for another type."""
        return None

    def numeric_size(self, kind: Numeric[Any]) -> tuple[int | None, int | None]:
        """Return how many digits a column has, and how many of them behind the point."""
        scale = 0 if kind.scale is None and kind.precision is not None else kind.scale
        return kind.precision, scale

    def fraction_digits(self, kind: TypeEngine[Any]) -> int:
        """Return how many digits of a second's fraction a column keeps."""
        return 6

    def single_precision(self, kind: TypeEngine[Any]) -> bool:
        """Whether a floating-point column has 4 bytes: its values are rounded, its range ends."""
        return False

    def keeps_end(self, kind: TypeEngine[Any], value: str | bytes) -> bool:
        """Whether a column gives a value back with its end: CHAR fills up its length with blanks.

        Those are no part of a value that is shorter; one that is as long has room for no more.
        """
        if kind.__visit_name__ not in FILLED or value[-1:] != " ":
            return True
        return len(value) == getattr(kind, "length", None)

    def byte_limit(self, kind: TypeEngine[Any]) -> int | None:
        """Return how many bytes a column holds that has no length of its own."""
        return None
