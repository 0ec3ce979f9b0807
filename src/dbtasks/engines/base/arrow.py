"""Rows as columns of Arrow: each in a type that others read well, if it keeps every value.

What no type of Arrow's keeps exactly, as intervals and numbers of any length, stays the text that
`engines.base.wire` describes.
"""

import base64
import datetime as dt
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Boolean, Date, DateTime, Float, Integer, Numeric, String, Time
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines.base.wire import LARGE, Buffer, Row, Spelled, Wire, encode, holds_bytes
from dbtasks.errors import UsageError

if TYPE_CHECKING:
    from dbtasks.engines.base.backend import Backend

LARGEST = 2**63 - 1
DIGITS = 38
"""Of decimal128, which all know."""

EXACT_DIGITS = 15
"""Digits that any number keeps as a double."""


class MisfitError(Exception):
    """Say which column has a value that its type of Arrow does not keep: the first is 0."""

    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column


def load_pyarrow() -> ModuleType:
    """Return pyarrow. Raises UsageError where it is not installed."""
    try:
        import pyarrow  # type: ignore[import-untyped]  # it has no types
    except ImportError as error:
        raise UsageError(
            "parquet needs the package pyarrow", hint='pip install "dbtasks[arrow]"'
        ) from error
    found: ModuleType = pyarrow
    return found


class Columns:
    """Make batches of Arrow of the rows of a table."""

    def __init__(
        self, names: Sequence[str], kinds: Sequence[TypeEngine[Any]], backend: "Backend"
    ) -> None:
        self.pyarrow = load_pyarrow()
        self.names = list(names)
        self.types = [arrow_type(one, backend) for one in kinds]

    @property
    def schema(self) -> Any:
        """Return the names and types as Arrow has them."""
        return self.pyarrow.schema(list(zip(self.names, self.types, strict=True)))

    def as_text(self, column: int) -> None:
        """Let a column be text, which keeps everything."""
        self.types[column] = self.pyarrow.string()

    def batch(self, rows: Sequence[Row]) -> Any:
        """Return rows as they travel as a batch. Raises MisfitError."""
        columns = zip(*rows, strict=True) if rows else ([] for _ in self.names)
        return self._batch(self._array, columns)

    def batch_of_csv(self, text: bytes | bytearray) -> Any:
        """Return lines of CSV, in which NULL is nothing, as a batch. Raises MisfitError."""
        try:
            table = self._read(text, self.types)
        except self.pyarrow.ArrowInvalid:  # it does not say which column it was
            table = self._read(text, [])
        return self._batch(self._converted, (one.combine_chunks() for one in table.columns))

    def _batch(self, make: Callable[[Any, Any], Any], columns: Iterable[Any]) -> Any:
        arrays = []
        for place, (kind, values) in enumerate(zip(self.types, columns, strict=True)):
            try:
                arrays.append(make(kind, values))
            except (ValueError, TypeError, ArithmeticError, NotImplementedError) as error:
                raise MisfitError(place) from error
        return self.pyarrow.RecordBatch.from_arrays(arrays, schema=self.schema)

    def takes_buffer(self, column: int) -> bool:
        """Whether a large value of a column may be given as its bytes, in UTF-8 for a text."""
        is_ = self.pyarrow.types
        return bool(is_.is_binary(self.types[column]) or is_.is_string(self.types[column]))

    def _array(self, kind: Any, values: Sequence[Any]) -> Any:
        if len(values) == 1:
            buffer = self._buffer(kind, values[0])
            if buffer is not None:
                return self._array_of(kind, buffer)
        if self._is_bare(kind):
            return self.pyarrow.array(values, kind)
        if self.pyarrow.types.is_binary(kind):
            return self.pyarrow.array([*map(_decoded, values)], kind)
        if not self.pyarrow.types.is_string(kind):  # text alone keeps how a value is spelled
            values = [one.plain if isinstance(one, Spelled) else one for one in values]
        return self._converted(kind, self.pyarrow.array(_texts(values), self.pyarrow.string()))

    def _buffer(self, kind: Any, value: Any) -> bytes | Buffer | None:
        """Return the bytes of a value as Arrow holds them, where they are there or worth it."""
        is_ = self.pyarrow.types
        if isinstance(value, str) and len(value) > LARGE and is_.is_string(kind):
            return value.encode()
        if isinstance(value, bytes) and is_.is_binary(kind):
            return value
        return value if isinstance(value, (bytearray, memoryview)) else None

    def _array_of(self, kind: Any, value: bytes | Buffer) -> Any:
        """Return an array of one value, which is not copied."""
        buffer = self.pyarrow.py_buffer
        offsets = buffer(struct.pack("=ii", 0, len(value)))
        return self.pyarrow.Array.from_buffers(kind, 1, [None, offsets, buffer(value)])

    def _is_bare(self, kind: Any) -> bool:
        """Whether values are no text when they travel."""
        is_ = self.pyarrow.types
        return bool(is_.is_integer(kind) or is_.is_boolean(kind))

    def _converted(self, kind: Any, texts: Any) -> Any:
        """Return an array of texts, or of what CSV has bare, in a type."""
        is_ = self.pyarrow.types
        if texts.type == kind:
            return texts
        if is_.is_floating(kind):
            return self._doubles(texts)
        maker = self._maker(kind)
        if maker is None:
            return texts.cast(kind)
        made = [None if one is None else maker(one) for one in texts.to_pylist()]
        return self.pyarrow.array(made, kind)

    def _maker(self, kind: Any) -> Callable[[str], Any] | None:
        """Return what makes values that Arrow does not read from text."""
        is_ = self.pyarrow.types
        if is_.is_binary(kind):
            return base64.b64decode
        if is_.is_time(kind):
            return _clock
        return _list if is_.is_list(kind) else None

    def _doubles(self, texts: Any) -> Any:
        """Return doubles; those that are not written as Arrow would are looked at one by one."""
        from pyarrow import compute

        doubles = texts.cast(self.pyarrow.float64())
        written = doubles.cast(self.pyarrow.string())
        for text in texts.filter(compute.not_equal(texts, written)).to_pylist():
            _check_double(text)
        return doubles

    def _read(self, text: bytes | bytearray, types: Sequence[Any]) -> Any:
        from pyarrow import csv

        bare = dict.fromkeys(self.names, self.pyarrow.string())
        bare |= {
            name: kind for name, kind in zip(self.names, types, strict=False) if self._is_bare(kind)
        }
        return csv.read_csv(
            self.pyarrow.BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=self.names),
            csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=bare,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


def arrow_type(kind: TypeEngine[Any], backend: "Backend") -> Any:
    """Return the type of Arrow for a column that holds this one."""
    arrow = load_pyarrow()
    if isinstance(kind, TypeDecorator):
        return arrow.string()
    if isinstance(kind, ARRAY):
        item = arrow_type(kind.item_type, backend) if _is_flat(kind) else None
        return arrow.string() if item is None else arrow.list_(item)
    if holds_bytes(kind):
        return arrow.binary()
    for known, make in MAKERS.items():
        if isinstance(kind, known):
            return make(arrow, kind, backend)
    return arrow.string()


def _is_flat(kind: ARRAY[Any]) -> bool:
    """Whether an array is a list of what JSON has too."""
    flat = isinstance(kind.item_type, (Integer, Boolean, String))
    return flat and (kind.dimensions or 1) == 1


def _integer(arrow: Any, kind: Any, backend: "Backend") -> Any:
    largest = backend.integer_range(kind)[1]
    return arrow.int64() if largest <= LARGEST else arrow.uint64()


def _decimal(arrow: Any, kind: Any, backend: "Backend") -> Any:
    precision, scale = backend.numeric_size(kind)
    if precision is None or scale is None or not 0 <= scale <= precision <= DIGITS:
        return arrow.string()
    return arrow.decimal128(precision, scale)


def _timestamp(arrow: Any, kind: Any, backend: "Backend") -> Any:
    return arrow.timestamp("us", "UTC" if kind.timezone else None)


def _time(arrow: Any, kind: Any, backend: "Backend") -> Any:
    return arrow.string() if kind.timezone else arrow.time64("us")


MAKERS: dict[type, Callable[[Any, Any, "Backend"], Any]] = {
    Boolean: lambda arrow, kind, backend: arrow.bool_(),
    Integer: _integer,
    Float: lambda arrow, kind, backend: arrow.float64(),
    Numeric: _decimal,
    Date: lambda arrow, kind, backend: arrow.date32(),
    DateTime: _timestamp,
    Time: _time,
}
"""By the type of the column; Float stands before Numeric, its base once."""


def _texts(values: Sequence[Wire]) -> Sequence[str | None]:
    if {*map(type, values)} <= {str, type(None)}:
        return values  # type: ignore[return-value]  # the line above made sure
    return [one if one is None else _text(one) for one in values]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(encode(value))


def _decoded(value: Wire) -> Any:
    return base64.b64decode(value) if isinstance(value, str) else value


def _check_double(text: str) -> None:
    """Raise ValueError for a number that a double rounds."""
    if len(text) > EXACT_DIGITS and Decimal(text) != Decimal(repr(float(text))):
        raise ValueError(text)


def _clock(text: str) -> dt.time:
    """Return a time of day. Raises ValueError for an offset, which Arrow would leave out."""
    found = dt.time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError(text)
    return found


def _list(text: Any) -> Any:
    found = json.loads(text)
    if not isinstance(found, list):
        raise TypeError(text)
    return found
