"""Follow the statements of a revision on its connection: count them, keep some back, try again."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from time import sleep
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    BinaryExpression,
    ColumnClause,
    Connection,
    Select,
    TextClause,
    Update,
    bindparam,
    event,
    update,
)
from sqlalchemy.sql.visitors import iterate

from dbtasks.engines import Backend
from dbtasks.engines.base.connection import is_autocommit
from dbtasks.migrations.execution.statements import COMMITS, DATA, HARMLESS, Operation, first_word

ATTEMPTS = 5
LOCK_PAUSE = 1.0
"""Seconds before a statement, or a run, is tried again that gave up on a lock; then doubled."""

Before = Callable[[Operation], bool]
After = Callable[[Operation], None]


def pause_after(attempt: int) -> None:
    """Wait before the next attempt, longer each time."""
    sleep(LOCK_PAUSE * 2**attempt * random.uniform(0.5, 1))


class Recorder:
    """Follow what is sent on one connection while the block runs.

    `before` is called before each statement that changes the database, and says whether to send
    it; `after` when it was sent or kept back; `on_commit` before a COMMIT that a revision sends as
    text. `retried` is for engines where a statement that gave up on a lock has changed nothing,
    and can be sent again by itself.
    """

    def __init__(
        self,
        backend: Backend,
        connection: Connection,
        *,
        before: Before,
        after: After,
        on_commit: Callable[[], None] = lambda: None,
        retried: bool = False,
    ) -> None:
        self.backend = backend
        self.connection = connection
        self.before = before
        self.after = after
        self.on_commit = on_commit
        self.retried = retried
        self.current: Operation | None = None
        self.sends = True
        self.asleep = False
        self.version_update: Update | None = None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the connection."""
        dialect = self.connection.dialect
        event.listen(self.connection, "before_execute", self._bind, retval=True)
        listeners: list[tuple[Any, str, Callable[..., Any]]] = [
            (self.connection, "before_execute", self._bind),
            (self.connection, "before_cursor_execute", self._begin),
            (self.connection, "after_cursor_execute", self._end),
            (dialect, "do_execute", self._sender(dialect.do_execute)),
            (dialect, "do_executemany", self._sender(dialect.do_executemany)),
            (dialect, "do_execute_no_params", self._sender(dialect.do_execute_no_params)),
        ]
        for listener in listeners[1:]:
            event.listen(*listener)
        try:
            yield
        finally:
            for listener in listeners:
                event.remove(*listener)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Do not follow what is sent inside the block: it is ours."""
        before, self.asleep = self.asleep, True
        try:
            yield
        finally:
            self.asleep = before

    def _bind(
        self, connection: Connection, statement: Any, many: Any, one: Any, options: object
    ) -> tuple[Any, Any, Any]:
        """Bind the revisions that Alembic writes into the UPDATE of its version.

        Otherwise each is compiled anew and kept: a quarter of the time of many small revisions.
        """
        where = getattr(statement, "whereclause", None) if self.asleep else None
        if not isinstance(statement, Update) or not isinstance(where, BinaryExpression):
            return statement, many, one
        parts = (part for part in iterate(statement) if isinstance(part, ColumnClause))
        written = [part for part in parts if part.is_literal]
        new = [part for part in written if part is not where.right]
        if len(written) != 2 or len(new) != 1:
            return statement, many, one
        if self.version_update is None:
            column = where.left
            self.version_update = (
                update(statement.table)
                .values({column: bindparam("dbtasks_new")})
                .where(column == bindparam("dbtasks_old"))
            )
        given = {"dbtasks_new": new[0].name[1:-1], "dbtasks_old": where.right.name[1:-1]}
        return self.version_update, (), given

    def _begin(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        many: bool,
    ) -> None:
        if self.asleep:
            return
        self.current, self.sends = None, True
        word = first_word(statement, self.backend.syntax)
        if word in COMMITS:
            with self.silence():
                self.on_commit()
        if word in HARMLESS:
            return
        compiled = getattr(context, "compiled", None)
        construct = getattr(compiled, "statement", None)
        alone = is_autocommit(connection)
        operation = Operation(statement, repr(parameters), construct, word in DATA, alone)
        with self.silence():
            sends = self.before(operation)
        self.current, self.sends = operation, sends

    def _end(self, connection: Connection, *sent: Any) -> None:
        if self.asleep or self.current is None:
            return
        with self.silence():
            self.after(self.current)
        self.current, self.sends = None, True

    def _sender(self, send: Callable[..., None]) -> Callable[..., bool | None]:
        """Return what stands in for the dialect's way to send, and says when it did."""

        def handle(cursor: Any, statement: str, *rest: Any) -> bool | None:
            root = getattr(rest[-1], "root_connection", None)
            if self.asleep or self.current is None or root is not self.connection:
                return None
            if self.sends and self.retried:
                self._send_until_free(lambda: send(cursor, statement, *rest))
            return not self.sends or self.retried or None

        return handle

    def _send_until_free(self, send: Callable[[], None]) -> None:
        for attempt in range(ATTEMPTS - 1):
            try:
                send()
            except self.connection.dialect.loaded_dbapi.Error as error:
                if not self.backend.is_lock_timeout(error):
                    raise
                pause_after(attempt)
            else:
                return
        send()


def record(
    context: MigrationContext, backend: Backend, upgrade: Callable[[], None]
) -> list[Operation]:
    """Return the operations of a revision, none of which is sent; what it reads is read.

    Called while Alembic runs its steps, whose `op` it uses.
    """
    found: list[Operation] = []
    assert context.connection is not None
    recorder = Recorder(backend, context.connection, before=lambda one: False, after=found.append)
    # As around each step of Alembic, without which autocommit_block() fails where DDL commits.
    with context.begin_transaction(_per_migration=True), recorder.following():
        upgrade()
    return found


def count(context: MigrationContext, backend: Backend, upgrade: Callable[[], None]) -> int | None:
    """Return how many operations a revision has, or None where only a live run could tell."""
    opts = {"as_sql": True, "output_buffer": StringIO()}
    offline = MigrationContext.configure(dialect=context.dialect, opts=opts)
    number = 0

    def add(construct: Any, *arguments: Any, **options: Any) -> None:
        nonlocal number
        word = first_word(str(construct), backend.syntax) if _is_text(construct) else ""
        number += word not in HARMLESS

    def insert(table: Any, rows: Any, **options: Any) -> None:
        nonlocal number
        number += bool(rows)  # one statement, when it is sent

    offline.impl._exec = add  # type: ignore[method-assign]  # what each of its statements comes by
    offline.impl.bulk_insert = insert  # type: ignore[assignment, method-assign]  # the same
    try:
        with Operations.context(offline):
            upgrade()
    except Exception:  # whatever a revision raises that wants a database
        return None
    return number


def _is_text(construct: Any) -> bool:
    return isinstance(construct, str | TextClause | Select)
