"""Statements read token by token."""

from dbtasks.engines.sql.lexer import Lexer, Token


class Reader:
    """Go through the tokens of a statement that the database has accepted."""

    def __init__(self, sql: str, lexer: Lexer) -> None:
        self.sql = sql
        self.tokens = lexer.code(sql)
        self.place = 0

    @property
    def ended(self) -> bool:
        """Whether no token is left."""
        return self.place >= len(self.tokens)

    @property
    def word(self) -> str:
        """Return the next word in capitals, or operator; empty for all else."""
        return "" if self.ended else self.tokens[self.place].word

    def take(self, *words: str) -> bool:
        """Go behind these words, if they come next."""
        ahead = self.tokens[self.place : self.place + len(words)]
        if [token.word for token in ahead] != [*words]:
            return False
        self.place += len(words)
        return True

    def token(self) -> Token:
        """Return the next token, and go behind it."""
        self.place += 1
        return self.tokens[self.place - 1]

    def made(self) -> str:
        """Return the name of what a statement makes, without its schema."""
        self.take("IF", "NOT", "EXISTS")
        name = self.name()
        return self.name() if self.take(".") else name

    def name(self) -> str:
        """Return the next name without its quotes."""
        return self.token().value

    def named(self, word: str) -> str | None:
        """Return the name behind a word, if that comes next."""
        return self.name() if self.take(word) else None

    def since(self, place: int) -> str:
        """Return the SQL from a token to here."""
        if place >= self.place:
            return ""
        return self.sql[self.tokens[place].start : self.tokens[self.place - 1].end]

    def span(self, place: int) -> tuple[int, int]:
        """Return where the SQL from a token to here begins and ends."""
        return self.tokens[place].start, self.tokens[self.place - 1].end

    def group(self) -> str:
        """Return the SQL in the parentheses that come next, and go behind them."""
        start = self.place
        self.place += 1
        self.skip(")")
        self.place += 1
        return self.since(start)[1:-1].strip()

    def skip(self, *ends: str) -> None:
        """Go to one of these words, which is not in parentheses of its own."""
        depth = 0
        while not self.ended and (depth or self.word not in ends):
            token = self.token()
            depth += (token.text == "(") - (token.text == ")")
