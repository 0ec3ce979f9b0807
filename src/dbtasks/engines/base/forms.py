"""Rows as text: an array a line, as our dumps have them, and CSV that tells NULL from ''."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Any

from dbtasks.engines.base.wire import LARGE, Row, Wire, base64_pieces, encode, is_large, pieces_of

JSONL, CSV, PARQUET = "jsonl", "csv", "parquet"

QUOTED = re.compile(r'[",\r\n]|^\\\.\Z')
"""What CSV puts in quotes; PostgreSQL's own would end a file at a line of a backslash and a dot."""


def to_jsonl(rows: Sequence[Row]) -> bytes | bytearray:
    """Return rows as lines of JSON arrays."""
    if not rows:
        return b""
    given = list(zip(*rows, strict=True))
    if any(map(is_large, given)):
        return _in_pieces(rows, b"[", b"]\n", _json_pieces)
    columns = [_json(values) for values in given]
    lines = "]\n[".join(map(",".join, zip(*columns, strict=True)))
    return f"[{lines}]\n".encode()


def to_csv(rows: Sequence[Row]) -> bytes | bytearray:
    """Return rows as lines of CSV: NULL is nothing, and the empty text a pair of quotes."""
    if any(map(is_large, zip(*rows, strict=True))):
        return _in_pieces(rows, b"", b"\n", _csv_pieces)
    return "".join([",".join(map(_cell, row)) + "\n" for row in rows]).encode()


def from_jsonl(block: bytes | bytearray) -> list[list[Any]]:
    """Return the values of whole lines. Raises ValueError for what is no JSON."""
    if len(block) > LARGE:
        return [json.loads(line) for line in block.splitlines()]
    found: list[list[Any]] = json.loads(b"[" + block[:-1].replace(b"\n", b",") + b"]")
    return found


WRITERS = {JSONL: to_jsonl, CSV: to_csv}


_encode = json.JSONEncoder(ensure_ascii=False, default=encode).encode
_quoted: Callable[[Any], str] = encode_basestring


def _json(values: Sequence[Wire]) -> Iterable[str]:
    """Return values of a column as JSON: those of one type take a fourth of the time."""
    kinds = {*map(type, values)}
    if kinds == {int}:
        return map(str, values)
    if kinds == {str}:
        return map(_quoted, values)
    return map(_encode, values)


def _in_pieces(
    rows: Sequence[Row], begin: bytes, end: bytes, pieces: Callable[[Wire], Iterable[bytes]]
) -> bytearray:
    """Return rows with large values, of which nothing is copied as a whole but into the result."""
    text = bytearray()
    for row in rows:
        text += begin
        for number, value in enumerate(row):
            if number:
                text += b","
            for piece in pieces(value):
                text += piece
        text += end
    return text


def _json_pieces(value: Wire) -> Iterator[bytes]:
    if isinstance(value, (str, bytes)) and len(value) > LARGE:
        yield b'"'
        if isinstance(value, bytes):
            yield from base64_pieces(value)
        else:
            yield from (_quoted(one)[1:-1].encode() for one in pieces_of(value))
        yield b'"'
    else:
        yield _encode(value).encode()


def _csv_pieces(value: Wire) -> Iterator[bytes]:
    if isinstance(value, bytes) and len(value) > LARGE:
        yield from base64_pieces(value)
    elif isinstance(value, str) and len(value) > LARGE:
        yield b'"'
        yield from (one.replace('"', '""').encode() for one in pieces_of(value))
        yield b'"'
    else:
        yield _cell(value).encode()


def _cell(value: Wire) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = str(encode(value))
    if isinstance(value, str):
        quote = not value or QUOTED.search(value)
        return '"' + value.replace('"', '""') + '"' if quote else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
