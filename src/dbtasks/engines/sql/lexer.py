"""SQL taken apart into tokens, by the rules of each database.

Rules: SQLite's tokenize.c; PostgreSQL's manual, 4.1; MySQL's manual, "Language Structure"; Oracle's
SQL Language Reference, "Basic Elements". The texts of all tokens together are the SQL as it was:
what does not end, as a string without its quote, goes to the end.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class Kind(StrEnum):
    """Say what a token is."""

    SPACE = "space"
    COMMENT = "comment"
    STRING = "string"
    NAME = "name"
    """A name in quotes."""
    NUMBER = "number"
    PARAMETER = "parameter"
    """A place for a value, or a variable of the session."""
    WORD = "word"
    """A keyword, or a name without quotes."""
    OPERATOR = "operator"
    """An operator, a bracket, or any other character."""


KINDS: dict[str | None, Kind] = {kind.value: kind for kind in Kind}


class Token(NamedTuple):
    """Hold a piece of SQL, and where it begins."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Return the place behind it."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """Return a word without quotes in capitals, an operator as it is; empty for all else."""
        if self.kind is Kind.WORD:
            return self.text.upper()
        return self.text if self.kind is Kind.OPERATOR else ""

    @property
    def value(self) -> str:
        """Return the text without its quotes."""
        return unquoted(self.text) if self.kind in (Kind.NAME, Kind.STRING) else self.text


def unquoted(text: str) -> str:
    """Return a name or a string without its quotes."""
    quote = text[:1]
    if quote == "[":
        return text[1:-1]
    return text[1:-1].replace(quote * 2, quote) if quote in ("'", '"', "`") else text


def _closed(quote: str) -> str:
    """Return the pattern of what two quotes enclose, where two in a row are a quote."""
    return f"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*(?:{quote}|\\Z)"


def _escaped(quote: str, between: str = "") -> str:
    """Return the same, where a backslash escapes any character."""
    parts = rf"{quote}{quote}|\\.|\\\Z{between}"
    return rf"{quote}[^{quote}\\]*(?:(?:{parts})[^{quote}\\]*)*(?:{quote}|\Z)"


LETTER = r"A-Za-z_\u0080-\U0010ffff"
WORD = f"[{LETTER}$][{LETTER}0-9$]*"
NUMBER = r"0[xXbBoO][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?"
OPERATOR = r"<=>|->>|#>>|!~~\*|[-#]>|~~\*|!~[~*]|~[~*]|\|\||&&|::|:=|=>|[<>!=]=|<>|<<|>>|[@?]|."
STRING, NAME, TICKED, BRACKETED = _closed("'"), _closed('"'), _closed("`"), r"\[[^\]]*(?:\]|\Z)"
LINE, BLOCK = r"--[^\n]*", r"/\*.*?(?:\*/|\Z)"
MARKS = re.compile(r"/\*|\*/")

# A string with backslashes; one that a line break and another quote continue is still of its kind.
CONTINUED = r"|'(?:[ \t\f\r]++|--[^\n]*+)*\n(?:\s++|--[^\n]*+\n)*'"
DOLLARS = rf"\$(?P<tag>(?:[{LETTER}][{LETTER}0-9]*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
CHOSEN = r"(?P<mark>[^\[({<\s]).*?(?:(?P=mark)'|\Z)"
BRACKETS = "".join(rf"|\{a}.*?(?:\{b}'|\Z)" for a, b in ("[]", "()", "{}", "<>"))


class Lexer:
    """Take SQL apart as one database does."""

    def __init__(
        self,
        *,
        strings: Sequence[str] = (),
        names: Sequence[str] = (),
        comments: Sequence[str] = (LINE,),
        parameters: Sequence[str] = (rf":[{LETTER}0-9]+",),
        word: str = WORD,
        nests_comments: bool = False,
        folds_names: bool = False,
    ) -> None:
        self.nests_comments = nests_comments
        self.folds_names = folds_names
        """Whether names differ by more than their case, also in quotes."""
        self._patterns = {
            Kind.SPACE: [r"[ \t\n\r\f\v]+"],
            Kind.COMMENT: [*comments, BLOCK],
            Kind.STRING: [*strings, STRING],
            Kind.NAME: [*names, NAME],
            Kind.NUMBER: [NUMBER],
            Kind.PARAMETER: parameters,
            Kind.WORD: [word],
            Kind.OPERATOR: [OPERATOR],
        }

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Compile what takes too long at start-up, and few commands need."""
        groups = (f"(?P<{kind}>{'|'.join(some)})" for kind, some in self._patterns.items())
        return re.compile("|".join(groups), re.DOTALL)

    def tokens(self, sql: str) -> Iterator[Token]:
        """Yield all tokens, blanks and comments too."""
        position = 0
        while match := self._pattern.match(sql, position):
            kind, end = KINDS[match.lastgroup], match.end()
            if self.nests_comments and match[0].startswith("/*"):
                end = _end_of_nested(sql, position)
            yield Token(kind, sql[position:end], position)
            position = end

    def code(self, sql: str) -> list[Token]:
        """Return the tokens without blanks and comments."""
        blank = (Kind.SPACE, Kind.COMMENT)
        return [token for token in self.tokens(sql) if token.kind not in blank]


def _end_of_nested(sql: str, start: int) -> int:
    """Return the end of a comment that may hold others."""
    depth = 0
    for mark in MARKS.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


SQLITE = Lexer(
    strings=[f"[xX]{STRING}"],
    names=[TICKED, BRACKETED],
    parameters=[r"\?[0-9]*", rf"[:@$#][{LETTER}0-9]+"],
    folds_names=True,
)

POSTGRESQL = Lexer(
    strings=[f"[eE]{_escaped(chr(39), CONTINUED)}", f"(?:[bBnNxX]|[uU]&){STRING}", DOLLARS],
    names=[f"[uU]&{NAME}"],
    parameters=[r"\$[0-9]+"],
    nests_comments=True,
)

# What stands in a comment with an exclamation mark is code.
MYSQL_COMMENTS = [r"--(?=[\x00-\x20]|\Z)[^\n]*", r"#[^\n]*", r"/\*M?![0-9]*", r"\*/"]
MYSQL_PARAMETERS = [r"\?", rf"@@?[{LETTER}0-9$.]+"]

MYSQL = Lexer(
    strings=[f"[bBnNxX]?{_escaped(chr(39))}", _escaped('"')],
    names=[TICKED],
    comments=MYSQL_COMMENTS,
    parameters=MYSQL_PARAMETERS,
    folds_names=True,
)

MYSQL_WITHOUT_ESCAPES = Lexer(
    strings=[f"[bBnNxX]{STRING}", NAME],
    names=[TICKED],
    comments=MYSQL_COMMENTS,
    parameters=MYSQL_PARAMETERS,
    folds_names=True,
)
"""MySQL under NO_BACKSLASH_ESCAPES, where more may be code."""

ORACLE = Lexer(
    strings=[f"[nN]?[qQ]'(?:{CHOSEN}{BRACKETS})", f"[nN]{STRING}"],
    word=f"[{LETTER}][{LETTER}0-9$#]*",
)

STANDARD = Lexer(names=[TICKED])
"""What most databases have in common."""
