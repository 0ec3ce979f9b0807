"""The CREATE INDEX of any database, parsed as far as its name, its parts and its WHERE."""

from typing import NamedTuple

from dbtasks.engines.sql.lexer import Lexer
from dbtasks.engines.sql.reader import Reader


class CreateIndex(NamedTuple):
    """Hold an index as its statement has it."""

    name: str
    unique: bool
    parts: str
    """The SQL in the parentheses."""
    where: str
    start: int
    """Where the parts begin, behind the parenthesis."""


def parse(sql: str, lexer: Lexer) -> CreateIndex | None:
    """Return what a statement says; None for one that makes no index."""
    reader = Reader(sql, lexer)
    unique = reader.take("CREATE", "UNIQUE")
    if not (unique or reader.take("CREATE")) or not reader.take("INDEX"):
        return None
    name = reader.made()
    reader.skip("(")
    start = reader.place
    parts = reader.group()
    where = sql[reader.tokens[reader.place].end :] if reader.word == "WHERE" else ""
    return CreateIndex(name, unique, parts, where.strip(), reader.tokens[start].end)
