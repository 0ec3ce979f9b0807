"""The binary form of PostgreSQL's COPY, in which large values come in slices."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Integer, String, Text, text
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.bulk import BATCH, BATCH_BYTES, RowLists
from dbtasks.engines.base.wire import Buffer, holds_bytes
from dbtasks.engines.postgresql.copy_text import BARE, text_of

SLICE, SLICES = 1 << 24, 8
"""Bytes of a slice, and how many slices the longest value has at most, with larger ones."""

PACKED = 256
"""How many times shorter a value is at most where the server has compressed it."""

ALL_SMALL = text(
    "SELECT relkind = 'r' AND NOT relhassubclass "
    "AND (reltoastrelid = 0 OR pg_relation_size(reltoastrelid) = 0) "
    "FROM pg_class WHERE oid = to_regclass(:name)"
)
"""Whether a table has no values beside its pages, where all go that a page cannot hold."""


@dataclass(frozen=True)
class Sliced:
    """Write the statements about a table with large values; all names are quoted."""

    table: str
    names: Sequence[str]
    kinds: Sequence[TypeEngine[Any]]
    key: Sequence[str]

    def longest(self, places: Sequence[int]) -> str:
        """Return what selects the length of the longest value of some columns."""
        return f"SELECT max(greatest({self._lengths(places)})) FROM {self.table} t"

    def statement(self, sliced: Sequence[int], longest: int) -> str:
        """Return the COPY of rows of which each comes as often as its longest value has slices.

        libpq keeps as much memory as the longest message took. The first field says how many
        messages of the row follow. The rows are sorted before their values are read, which
        OFFSET 0 makes sure of.
        """
        size = max(SLICE, -(-longest // SLICES))
        chosen = [
            f"substring({self._bytes(place)} FROM slice * {size} + 1 FOR {size})"
            if place in sliced
            else self._value(place)
            for place in range(len(self.names))
        ]
        ordered = f" ORDER BY {', '.join(self.key)}" if self.key else ""
        return (
            f"COPY (SELECT slices.last - slice, {', '.join(chosen)} "
            f"FROM (SELECT {', '.join(self.names)} FROM {self.table}{ordered} OFFSET 0) t, "
            f"LATERAL (SELECT (greatest(1, {self._lengths(sliced)}) - 1) / {size} AS last) slices, "
            "LATERAL generate_series(0, slices.last) slice) TO STDOUT (FORMAT binary)"
        )

    def _lengths(self, places: Sequence[int]) -> str:
        return ", ".join(map(self._length, places))

    def _length(self, place: int) -> str:
        """Return the length of a value; of most the server knows it without reading the value."""
        name, kind = self._name(place), self.kinds[place]
        if holds_bytes(kind):
            return f"octet_length({name})"
        length = f"octet_length({self._value(place)})"
        if type(kind) in (String, Text):
            return length
        return f"CASE WHEN pg_column_size({name}) > {SLICE // PACKED} THEN {length} END"

    def _bytes(self, place: int) -> str:
        value = self._value(place)
        is_bytes = holds_bytes(self.kinds[place])
        return value if is_bytes else f"convert_to({value}, 'UTF8')"

    def _value(self, place: int) -> str:
        """Return what makes the server send a value as bytes, or as text."""
        name, kind = self._name(place), self.kinds[place]
        if holds_bytes(kind):
            return name
        return f"{name}::text" if isinstance(kind, BARE) else f"({text_of(name, kind)})::text"

    def _name(self, place: int) -> str:
        return f"t.{self.names[place]}"


def binary_batches(
    rows: Iterable[Sequence[Buffer | None]],
    kinds: Sequence[TypeEngine[Any]],
    kept: Callable[[int], bool],
) -> RowLists:
    """Yield rows of fields as they travel; one with a large value comes alone.

    Such a value stays the buffer that it is in the columns that are to be `kept` so.
    """
    readers = [_reader(kind) for kind in kinds]
    buffers = [kept(place) for place in range(len(kinds))]
    held: list[list[tuple[Any, ...]]] = [[]]
    size = 0
    for fields in rows:
        more = sum(len(one) for one in fields if one is not None)
        if held[0] and size + more > BATCH_BYTES:
            yield held.pop()
            held, size = [[]], 0
        held[0].append(
            tuple(
                field if field is None or (keep and more > BATCH_BYTES) else read(field)
                for read, keep, field in zip(readers, buffers, fields, strict=True)
            )
        )
        del fields
        size += more
        if size > BATCH_BYTES or len(held[0]) == BATCH:
            yield held.pop()
            held, size = [[]], 0
    if held[0]:
        yield held.pop()


def _reader(kind: TypeEngine[Any]) -> Callable[[Buffer], Any]:
    if holds_bytes(kind):
        return bytes
    if isinstance(kind, Boolean):
        return lambda field: bytes(field) == b"true"
    if isinstance(kind, Integer):
        return lambda field: int(bytes(field))
    return lambda field: str(field, "utf-8")
