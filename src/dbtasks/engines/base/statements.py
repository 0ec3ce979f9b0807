"""SQL as it was typed: taken apart by a database's own rules, and what may be sent of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, ClassVar

from sqlalchemy import Connection, CursorResult, Integer, String, Table, func, select
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.sql.lexer import STANDARD
from dbtasks.engines.sql.syntax import Syntax
from dbtasks.errors import Refused

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"})
ROWS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
WITHIN = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})  # what WITH may hold
CHANGES = WITHIN | {"REPLACE"}
TRANSACTION = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "XA"}
)
TRANSACTION_PAIRS = (["SET", "TRANSACTION"], ["PREPARE", "TRANSACTION"])

OTHERS = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "ANALYZE", "CALL"})
"""Common first words of other statements: what is near to none is not taken for mistyped."""

ADD_WRITE = "add --write if it is meant"


Run = Callable[[str], CursorResult[Any]]


class Statements:
    """Run SQL as it was typed in one transaction of ours, which it cannot end or widen.

    The base of Backend. The first line is the text's first word; what holds is `guarded`, by
    means of the database and the driver, and `transaction_state`, looked at after each statement.
    """

    title: ClassVar[str] = "this database"
    syntax: ClassVar[Syntax] = Syntax(STANDARD)

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
            raise Refused(
                f"{what} is not among the statements that read", hint=self._hint_for(what)
            )

    def _hint_for(self, word: str) -> str:
        """Return what to do about a first word: --write, but not for a mistyped SELECT."""
        known = sorted(self.reads | CHANGES | OTHERS)
        near = [] if word in known else get_close_matches(word, known, n=1)
        if not near:
            return ADD_WRITE
        return f"did you mean {near[0]}?" + ("" if near[0] in self.reads else " It needs --write")

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

    def state_of(self, connection: Connection, tables: Sequence[Table]) -> object:
        """Return what changes when this transaction writes to one of the tables, or drops it.

        A table that may not be read counts as one that is not there.
        """
        return [_digest(connection, table) for table in tables]

    def changes_catalogue(self, connection: Connection, text: str, run: Run) -> bool:
        """Whether a statement changes rows of the tables in which the server keeps what it has.

        It is not executed; `run` runs another with its parameters.
        """
        return False

    def refuses_statement(self, error: DBAPIError, *, writes: bool) -> bool:
        """Whether it is the guard that stopped a statement."""
        return False


def _digest(connection: Connection, table: Table) -> object:
    columns = [func.count(), *(func.max(one) for one in table.columns)]
    columns += [func.sum(one) for one in table.columns if isinstance(one.type, Integer)]
    columns += [func.sum(func.length(one)) for one in table.columns if isinstance(one.type, String)]
    try:
        return tuple(connection.execute(select(*columns).select_from(table)).one())
    except DBAPIError:
        return None
