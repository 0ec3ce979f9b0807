"""JSON documents, read in parts: the values of a large one take many times its bytes."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from dbtasks.engines.base.wire import LARGE, PIECE
from dbtasks.values.reasons import Reason

BLANKS = re.compile(r"[ \t\n\r]*")
CHARACTERS = re.compile(r'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*', re.DOTALL)
"""What a string has up to its end, or to where an escape is cut off."""

ESCAPE = 6
"""Characters of the longest escape, as \\u263a."""

CUT_NUMBER = 2
"""Characters of a number that are not read without those behind them, as e+ of 1e+5."""

DEEPEST = 50
"""Large containers in each other; a document that has more of them is read as a whole."""

HALF = re.compile(r"\\u[dD][89abAB]")
HIGH = re.compile("[\ud800-\udbff]\\Z")
"""The first half of a character, as it is escaped, and as it is read."""

CLOSING = {"[": "]", "{": "}"}
OPENING = {"]": "[", "}": "{"}
MARKS = (",", "},", "],")
NUMBERS = (int, float)


def refuse_constant(constant: str) -> None:
    """Raise Reason for NaN and infinity, which Python's JSON has."""
    raise Reason(f"JSON has no {constant}")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def parts_of(text: str) -> Iterator[Any]:
    """Yield the value of a JSON document; that of a large one as lists of keys and values in it.

    Every string, number and constant is in one of the lists, a long string in pieces. Raises
    ValueError or RecursionError for what is no document.
    """
    if len(text) > LARGE:
        with suppress(_WholeError):
            yield from _Parts(text).lists()
            return
    yield DECODER.decode(text)


class _WholeError(Exception):
    """Say that a document is to be read as a whole: there is a mistake in it, or it is rare."""


class _Parts:
    """Go through a large document by a window, in which whole values are read at once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.window = ""
        self.start = 0
        self.next_run = 0
        self.open: list[str] = []

    def lists(self) -> Iterator[list[Any]]:
        """Yield the keys and values of a window or two at once. Raises _WholeError."""
        held: list[Any] = []
        before = 0
        for value in self._values():
            held.append(value)
            if self.place - before >= PIECE:
                yield held
                held, before = [], self.place
        yield held

    def _values(self) -> Iterator[Any]:
        """Yield keys and values; of what is larger than a window what is in it."""
        self._move(0)
        more = True
        while more:
            if self._has_run():
                yield self.value
                self._move(self.end - self.place)
                continue
            if self.open and self.open[-1] == "}":
                yield from self._key()
            if self._character in CLOSING and not self._has_whole():
                more = self._enter()
            else:
                yield from self._value()
                more = self._next()

    def _has_run(self) -> bool:
        """Whether many items of a container are read at once: they are held with their end then.

        Most often the last comma of a window is between two of them, or that behind a bracket.
        """
        if not self.open or self.place < self.next_run:
            return False
        window = self.text[self.place : self.place + PIECE]
        for mark in MARKS:
            last = window.rfind(mark) + len(mark) - 1
            if self._reads_run(window[: max(last, 0)]):
                self.end = self.place + last + 1
                return True
        self.next_run = self.place + len(window)
        return False

    def _reads_run(self, items: str) -> bool:
        closing = self.open[-1]
        try:
            self.value = DECODER.decode(f"{OPENING[closing]}{items}{closing}")
        except ValueError:
            return False
        return bool(self.value)

    def _key(self) -> Iterator[Any]:
        self._require('"')
        yield from self._value()
        self._require(":")
        self._move(1)

    def _value(self) -> Iterator[Any]:
        """Yield what is here, a long string in pieces, and move behind it."""
        if self._has_whole():
            yield self.value
            self._move(self.end - self.place)
        else:
            self._require('"')
            yield from self._pieces()
            self._move(1)

    def _has_whole(self) -> bool:
        """Whether the window has all of the value that is here, or has it when it begins here."""
        if self._reads():
            return True
        self.start = self.place
        self.window = self.text[self.start : self.start + PIECE]
        return self._reads()

    def _reads(self) -> bool:
        """Whether the window has the value that is here: it is held with its end then."""
        try:
            self.value, end = DECODER.raw_decode(self.window, self.place - self.start)
        except ValueError:
            return False
        self.end = self.start + end
        is_last = self.start + len(self.window) == len(self.text)
        return is_last or end + CUT_NUMBER < len(self.window) or type(self.value) not in NUMBERS

    def _pieces(self) -> Iterator[str]:
        """Yield the string that is here in pieces, and move to its closing quote."""
        self.place += 1
        while self._character != '"':
            start, most = self.place, self.place + PIECE
            matched = CHARACTERS.match(self.text, start, most)
            end = matched.end() if matched else start
            is_cut = not self.text.startswith('"', end)
            if is_cut and end <= most - ESCAPE:
                raise _WholeError
            piece = self._decoded(start, end)
            if is_cut and HALF.search(self.text, end - ESCAPE, end) and HIGH.search(piece):
                piece, end = piece[:-1], end - ESCAPE  # its other half is in the next piece
            self.place = end
            yield piece

    def _decoded(self, place: int, end: int) -> str:
        try:
            return str(DECODER.decode(f'"{self.text[place:end]}"'))
        except ValueError as error:
            raise _WholeError from error

    def _enter(self) -> bool:
        """Move into a container, or behind one of blanks; return whether more follows."""
        self.open.append(CLOSING[self._character])
        if len(self.open) > DEEPEST:
            raise _WholeError
        self._move(1)
        self.next_run = self.place
        return self._character != self.open[-1] or self._next()

    def _next(self) -> bool:
        """Move behind what ends here, and behind a comma; return whether there is one."""
        while self.open and self._character == self.open[-1]:
            self.open.pop()
            self._move(1)
        if self.open:
            self._require(",")
            self._move(1)
        elif self._character:
            raise _WholeError
        return bool(self.open)

    @property
    def _character(self) -> str:
        return self.text[self.place : self.place + 1]

    def _require(self, character: str) -> None:
        if self._character != character:
            raise _WholeError

    def _move(self, by: int) -> None:
        """Move by some characters, and by the blanks behind them."""
        found = BLANKS.match(self.text, self.place + by)
        self.place = found.end() if found else self.place + by
