"""The text that PostgreSQL's COPY reads, and lines of JSON from the text that it writes."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, Boolean, DateTime, Integer, Interval
from sqlalchemy.types import TypeEngine

from dbtasks.engines.base.bulk import Rows
from dbtasks.engines.base.storage import FILLED
from dbtasks.engines.base.wire import (
    LARGE,
    PIECE,
    Document,
    duration_of,
    holds_bytes,
    is_large,
    pieces_of,
)

CONTROL = bytes(code for code in range(32) if code != ord("\n"))
ESCAPES = {code: f"\\u{code:04x}".encode() for code in range(32)}
CONTROLS = re.compile(rb"[\x00-\x1f]")
LINE = re.compile(rb'(?:[^"\n]++|"(?:[^"\\]++|\\.)*")*\n', re.DOTALL)
"""A row of that CSV, which may be several lines."""

BARE = (Integer, Boolean)
"""Types that stand without quotes in JSON."""

ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


class Sender:
    """Give the rows of all batches as COPY wants them, as texts or as a file to read from."""

    def __init__(
        self, batches: Iterable[Rows], sent: Sequence[Callable[[Any], Any] | None]
    ) -> None:
        self.batches = batches
        self.sent = sent
        self.rows = 0
        self.failed: BaseException | None = None
        self._texts = self.texts()
        self._rest = memoryview(b"")

    def texts(self) -> Iterator[bytes]:
        """Yield the text of one batch after the other."""
        for rows in self.batches:
            self.rows += len(rows)
            if any(map(is_large, zip(*rows, strict=True))):
                yield from _copy_pieces(rows, self.sent)
            elif rows:
                yield _copy_text(rows, self.sent)
            del rows

    def read(self, size: int) -> bytes:
        """Return what psycopg2 asks for, or less, as the file that it takes this for."""
        try:
            if not self._rest:
                self._rest = memoryview(next(self._texts, b""))
        except BaseException as error:
            self.failed = error
            return b""
        given, self._rest = self._rest[:size], self._rest[size:]
        return bytes(given)


def _copy_text(rows: Rows, sent: Sequence[Callable[[Any], Any] | None]) -> bytes:
    """Return rows in COPY's text form; what needs no escaping, which is most, in one go."""
    columns = [
        values if one is None else [None if value is None else one(value) for value in values]
        for one, values in zip(sent, zip(*rows, strict=True), strict=True)
    ]
    nulls = sum(values.count(None) for values in columns)
    text = _joined([_texts(values, str) for values in columns])
    tabs, ends = len(rows) * (len(columns) - 1), len(rows)
    whole = (text.count("\\"), text.count("\t"), text.count("\n"), text.count("\r"))
    if whole != (nulls, tabs, ends, 0):
        text = _joined([_texts(values, _escaped) for values in columns])
    return text.encode()


def _copy_pieces(rows: Rows, sent: Sequence[Callable[[Any], Any] | None]) -> Iterator[bytes]:
    """Yield rows with large values in COPY's text form: no value is copied as a whole."""
    for row in rows:
        for number, (value, make) in enumerate(zip(row, sent, strict=True)):
            if number:
                yield b"\t"
            if make is _hexadecimal and value is not None:
                yield from _hexadecimal_pieces(value)
            elif make is None and isinstance(value, str):
                yield from (_escaped(one).encode() for one in pieces_of(value))
            else:
                made = value if make is None or value is None else make(value)
                yield (r"\N" if made is None else _escaped(made)).encode()
        yield b"\n"


def _hexadecimal(value: str | bytes) -> str:
    """Return bytes, or their base64, as the server reads them."""
    return "\\x" + (value if isinstance(value, bytes) else base64.b64decode(value)).hex()


def _hexadecimal_pieces(value: str | bytes) -> Iterator[bytes]:
    yield b"\\\\x"  # the backslash is escaped
    for start in range(0, len(value), PIECE):
        piece = value[start : start + PIECE]
        yield (piece if isinstance(piece, bytes) else base64.b64decode(piece)).hex().encode()


def _joined(columns: Sequence[Iterable[str]]) -> str:
    return "".join([f"{line}\n" for line in map("\t".join, zip(*columns, strict=True))])


def _texts(values: Sequence[Any], text: Callable[[Any], str]) -> Iterable[str]:
    kinds = {*map(type, values)}
    if kinds == {str} and text is str:
        return values
    if kinds == {int}:
        return map(str, values)
    return [r"\N" if value is None else text(value) for value in values]


def _escaped(value: Any) -> str:
    return str(value).translate(ESCAPED)


def text_of(name: str, kind: TypeEngine[Any]) -> str:
    """Return what makes the server write a value as it travels."""
    if isinstance(kind, DateTime):
        return f"to_json({name}) #>> '{{}}'"
    if holds_bytes(kind):
        return f"translate(encode({name}, 'base64'), E'\\n', '')"
    if isinstance(kind, ARRAY):
        documents = isinstance(kind.item_type, Document)
        return f"to_json({name}{'::text[]' if documents else ''})::text"
    as_text = isinstance(kind, Boolean) or kind.__visit_name__ in FILLED
    return f"{name}::text" if as_text else name


def json_lines(text: bytearray, rows: int) -> bytes | bytearray:
    """Make lines of JSON of lines of CSV; control characters are most often not there."""
    if rows == 1 and len(text) > LARGE:
        return _json_line(text)
    if len(text.translate(None, CONTROL)) == len(text) and text.count(b"\n") == rows:
        return b"[" + text[:-1].replace(b"\n", b"]\n[") + b"]\n"
    lines = LINE.findall(text)
    return b"".join(b"[" + CONTROLS.sub(_escape, line[:-1]) + b"]\n" for line in lines)


def _json_line(text: bytearray) -> bytearray:
    """Make a line of JSON of a large one of CSV, in pieces."""
    line = bytearray(b"[")
    for start in range(0, len(text) - 1, PIECE):
        piece = bytes(memoryview(text)[start : min(start + PIECE, len(text) - 1)])
        line += CONTROLS.sub(_escape, piece)
    line += b"]\n"
    return line


def _escape(found: re.Match[bytes]) -> bytes:
    return ESCAPES[found[0][0]]


def sent_of(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """Return what makes of a value what the server reads, where it is not the same."""
    if holds_bytes(kind):
        return _hexadecimal
    if isinstance(kind, Interval) and not kind.native:
        return lambda value: kind.epoch + duration_of(value)
    if isinstance(kind, ARRAY):
        return lambda value: _array(json.loads(value, parse_float=Decimal))
    return None


def _array(value: Any) -> str:
    """Return a list as PostgreSQL writes arrays."""
    if isinstance(value, list):
        return "{" + ",".join(map(_array, value)) + "}"
    if value is None:
        return "NULL"
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
