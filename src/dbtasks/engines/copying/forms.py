"""Rows as text: an array a line, as our dumps have them, and CSV that tells NULL from ''."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any

from dbtasks.engines.copying.wire import Row, Wire

JSONL, CSV, PARQUET = "jsonl", "csv", "parquet"

QUOTED = re.compile(r'[",\r\n]|^\\\.\Z')
"""What CSV puts in quotes; PostgreSQL's own would end a file at a line of a backslash and a dot."""


def to_jsonl(rows: Sequence[Row]) -> bytes:
    """Return rows as lines of JSON arrays."""
    if not rows:
        return b""
    columns = [_json(values) for values in zip(*rows, strict=True)]
    lines = "]\n[".join(map(",".join, zip(*columns, strict=True)))
    return f"[{lines}]\n".encode()


def to_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as lines of CSV: NULL is nothing, and the empty text a pair of quotes."""
    return "".join([",".join(map(_cell, row)) + "\n" for row in rows]).encode()


def from_jsonl(block: bytes | bytearray) -> list[list[Any]]:
    """Return the values of whole lines. Raises ValueError for what is no JSON."""
    found: list[list[Any]] = json.loads(b"[" + block[:-1].replace(b"\n", b",") + b"]")
    return found


WRITERS = {JSONL: to_jsonl, CSV: to_csv}


_encode = json.JSONEncoder(ensure_ascii=False).encode
_quoted: Callable[[Any], str] = encode_basestring


def _json(values: Sequence[Wire]) -> Iterable[str]:
    """Return values of a column as JSON: those of one type take a fourth of the time."""
    kinds = {*map(type, values)}
    if kinds == {int}:
        return map(str, values)
    if kinds == {str}:
        return map(_quoted, values)
    return map(_encode, values)


def _cell(value: Wire) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        quote = not value or QUOTED.search(value)
        return '"' + value.replace('"', '""') + '"' if quote else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
