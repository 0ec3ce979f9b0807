"""SQL as it was typed: taken apart by a database's own rules, and what may be sent of it."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import BIND_PARAMS, BIND_PARAMS_ESC

from dbtasks.errors import Refused

STRING = r"'[^']*(?:'|\Z)"  # two quotes in a row make two strings here, which is as good
NAME = r'"[^"]*(?:"|\Z)'
TICKED = r"`[^`]*(?:`|\Z)"
LINE = r"--[^\n]*"
BLOCK = r"/\*.*?(?:\*/|\Z)"
COMMENTS = ("--", "#", "/*", "*/")

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

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"})
ROWS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
WITHIN = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})  # what WITH may hold
CHANGES = WITHIN | {"REPLACE"}
TRANSACTION = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "XA"}
)
TRANSACTION_PAIRS = (["SET", "TRANSACTION"], ["PREPARE", "TRANSACTION"])

ADD_WRITE = "add --write if it is meant"


@dataclass(frozen=True)
class Syntax:
    """Tell the code of a text from its strings, quoted names and comments."""

    opaque: re.Pattern[str]
    nested_comments: bool = False

    @classmethod
    def of(cls, *patterns: str, nested_comments: bool = False) -> "Syntax":
        """Return the syntax in which these patterns are not code."""
        return cls(re.compile("|".join(patterns), re.DOTALL), nested_comments)

    def code(self, text: str) -> str:
        """Return the text with spaces for comments, and quotes for strings and quoted names.

        Each character of code stays where it is.
        """
        parts, position = [], 0
        while match := self.opaque.search(text, position):
            end = match.end()
            if self.nested_comments and match[0].startswith("/*"):
                end = _end_of_nested(text, match.start())
            fill = " " if match[0].startswith(COMMENTS) else "'"
            parts += [text[position : match.start()], fill * (end - match.start())]
            position = end
        return "".join([*parts, text[position:]])

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


STANDARD = Syntax.of(LINE, BLOCK, STRING, NAME, TICKED)


class Statements:
    """Run SQL as it was typed in one transaction of ours, which it cannot end or widen.

    The base of Backend. The first line is the text's first word; what holds is `guarded`, by
    means of the database and the driver, and `transaction_state`, looked at after each statement.
    """

    title: ClassVar[str] = "this database"
    syntax: ClassVar[Syntax] = STANDARD

    reads: ClassVar[frozenset[str]] = READS
    """The first words of statements that may be sent without leave to write."""

    transactional: ClassVar[frozenset[str] | None] = ROWS | CHANGES
    """The first words of statements that can be rolled back; None is all."""

    def check_statement(self, text: str, *, writes: bool) -> None:
        """Raise Refused for transaction control, and without `writes` for what does not read."""
        words = self.syntax.words(text)
        if self.is_transaction_control(words):
            raise Refused(
                f"{' '.join(words[:2])} is not for sql: its statements are one transaction",
                hint="leave it out; --dry-run rolls back",
            )
        if not writes and not self.reads & {*words[:1]}:
            what = words[0] if words else "what begins without a word"
            raise Refused(f"{what} is not among the statements that read", hint=ADD_WRITE)

    def is_transaction_control(self, words: list[str]) -> bool:
        """Whether a statement of these words would begin, end or change a transaction."""
        return bool(TRANSACTION & {*words[:1]}) or words[:2] in TRANSACTION_PAIRS

    def commits_by_itself(self, text: str) -> bool:
        """Whether what the statement does cannot be rolled back."""
        first = {*self.syntax.words(text)[:1]}
        return self.transactional is not None and not first & self.transactional

    def only_reads(self, text: str) -> bool:
        """Whether the rows that the statement gives are not rows that it changes."""
        words = self.syntax.words(text)
        return bool(self.reads & {*words[:1]}) and WITHIN.isdisjoint(words)

    def can_stream(self, text: str) -> bool:
        """Whether a cursor of the server can hold the rows."""
        words = self.syntax.words(text)
        return self.only_reads(text) and words[0] in ROWS and "INTO" not in words

    @contextmanager
    def guarded(self, connection: Connection, *, writes: bool) -> Iterator[None]:
        """Hold the transaction: read-only without `writes`, one statement a call, and ours.

        Raises Refused where nothing could hold it to reading.
        """
        if not writes:
            raise Refused(
                f"nothing holds {self.title} to reading",
                hint="add --write, and connect as a user who may only read",
            )
        yield

    def transaction_state(self, connection: Connection) -> object:
        """Return what changes when the transaction ends, or when it may write."""
        return None

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Whether it is the guard that stopped a statement."""
        return False


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


def _end_of_nested(text: str, start: int) -> int:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
