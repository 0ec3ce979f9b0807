"""SQL as it was typed: taken apart by a database's own rules."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy.sql.compiler import BIND_PARAMS, BIND_PARAMS_ESC

from dbtasks.engines.sql.lexer import Kind, Lexer

FILLED = {Kind.COMMENT: " ", Kind.STRING: "'", Kind.NAME: "'"}
"""What takes the place of what is no code."""

PARAMETER = re.compile(r"(?<![:\w$\\]):([A-Za-z_]\w*)(?![\w$])", re.ASCII)
BINDABLE = re.compile(f"{BIND_PARAMS_ESC.pattern}|{BIND_PARAMS.pattern}")

# Where a statement may hold statements: in the body of what is created.
COMPOUND = re.compile(
    r"\s*CREATE(?:\s+(?!TABLE|VIEW|INDEX)\S+){0,6}?\s+(?:FUNCTION|PROCEDURE|TRIGGER|EVENT)\b",
    re.IGNORECASE,
)
MARKS = re.compile(
    r";|\bEND\s+(?:IF|LOOP|WHILE|REPEAT|FOR)\b|\bEND(?:\s+CASE)?\b|\b(?:BEGIN|CASE)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Syntax:
    """Tell the code of a text from its strings, quoted names and comments."""

    lexer: Lexer

    def code(self, text: str) -> str:
        """Return the text with spaces for comments, and quotes for strings and quoted names.

        Each character of code stays where it is.
        """
        return "".join(
            FILLED[token.kind] * len(token.text) if token.kind in FILLED else token.text
            for token in self.lexer.tokens(text)
        )

    def split(self, text: str) -> list[str]:
        """Return the statements of a text, without their semicolons and what only comments."""
        code = self.code(text)
        ends = [-1, *_ends(code), len(code)]
        pieces = [slice(before + 1, end) for before, end in pairwise(ends)]
        return [text[piece].strip() for piece in pieces if code[piece].strip()]

    def words(self, text: str) -> list[str]:
        """Return the words of the code, in capitals; none where it does not begin with one."""
        code = self.code(text).lstrip("( \t\r\n")
        return re.findall(r"\w+", code.upper()) if re.match(r"\w", code) else []

    def parameters(self, text: str) -> set[str]:
        """Return the names that stand as `:name` in the code."""
        return {match[1] for match in PARAMETER.finditer(self.code(text))}

    def bindable(self, text: str, names: Collection[str]) -> str:
        """Return the text for SQLAlchemy's `text()`, so that these names bind and no others."""
        for match in reversed([*self._named(text, names)]):
            if text.startswith(":", match.end()):  # as in :day::date, which text() does not see
                text = f"{text[: match.end()]} {text[match.end() :]}"
        wanted = {match.start() for match in self._named(text, names)}
        return BINDABLE.sub(
            lambda match: match[0] if match.start() in wanted else f"\\{match[0]}", text
        )

    def _named(self, text: str, names: Collection[str]) -> Iterator[re.Match[str]]:
        found = PARAMETER.finditer(self.code(text))
        return (match for match in found if match[1] in names)


def _ends(code: str) -> Iterator[int]:
    """Yield where a semicolon ends a statement, and is not inside of a body."""
    depth = start = 0
    for match in MARKS.finditer(code):
        word = match[0].upper().split()
        if word == [";"] and depth == 0:
            yield match.start()
            start = match.end()
        elif word in (["BEGIN"], ["CASE"]):
            depth += 1 if depth or (word == ["BEGIN"] and COMPOUND.match(code, start)) else 0
        elif word in (["END"], ["END", "CASE"]):
            depth = max(depth - 1, 0)
