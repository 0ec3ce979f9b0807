"""Run SQL as it was typed, in one transaction that only reads unless it may write."""

import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, count, pairwise
from typing import Any

from sqlalchemy import Connection, CursorResult, bindparam, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from dbtasks import guards
from dbtasks.engines import Backend
from dbtasks.engines.base.statements import ADD_WRITE, CHANGES, WITHIN
from dbtasks.errors import ROLLED_BACK, PartlyApplied, Refused, Rejected, UsageError
from dbtasks.hints import command_line
from dbtasks.interrupts import ending
from dbtasks.models import suggest
from dbtasks.own_tables import environment, journal
from dbtasks.project import Project

BATCH = 500
"""Rows fetched at a time."""

PARENTHESES = re.compile(r"\([^()]*\)")


@dataclass
class Result:
    """Hold what one statement gave: rows, or the number of rows that it changed.

    `columns` is empty where it gives no rows; a name that comes twice is numbered. `changed` is
    None where the database does not say. The rows are to be read before the next result.
    """

    statement: str
    columns: tuple[str, ...]
    changed: int | None
    _rows: Iterator[tuple[Any, ...]] = field(repr=False)
    _read: int = 0

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Return the rows that are still to be read."""
        for row in self._rows:
            self._read += 1
            yield row

    def count(self) -> int:
        """Return the number of rows that were changed, or that there are, reading the rest."""
        if not self.columns:
            return self.changed or 0
        for _ in self.rows:
            pass
        return self._read


@contextmanager
def sql(
    project: Project,
    statement: str,
    *,
    params: Mapping[str, str] | None = None,
    write: bool = False,
    dry_run: bool = False,
    expect: int | None = None,
    several: bool = False,
) -> Iterator[Iterator[Result]]:
    """Run a statement, or with `several` all of a text, and give the result of each.

    What the block does not come to is run at its end, and then committed; an error in it rolls
    all back, and so does another number of rows than `expect`. Without `write` the database
    itself refuses to change anything. Only the names of `params` are bound, as text.
    """
    backend, given = project.backend, dict(params or {})
    _check_characters(statement, given)
    statements = backend.syntax.split(statement)
    for one in statements:
        backend.check_statement(one, writes=write)
    _check_number(statements, several)
    _check_names(backend, statements, given)
    _check_rolls_back(backend, statements, needed=dry_run or expect is not None)
    _check_guards(backend, statements)
    # A number of rows that are read says nothing of what a function, or SELECT INTO, changes.
    counts_reads = expect is not None and all(backend.only_reads(one) for one in statements)
    write = write and not counts_reads
    changed: list[int] = []
    kept = any(backend.commits_by_itself(one) for one in statements)
    with (
        _unbound(backend, statements, given),
        _kept(project, kept and write),
        project.connect(writes=write, dry_run=dry_run) as connection,
    ):
        with (
            _refused(backend, write, counted=counts_reads),
            guards.unchanged(project, connection) if write else nullcontext(),
            backend.guarded(connection, writes=write),
            closing(_run(backend, connection, statements, given, expect, changed)) as results,
        ):
            yield results
            for _ in results:
                pass
        if write and not dry_run:
            guards.note_write(project, connection, "sql", sum(changed), param=list(given))


def is_limited(project: Project, statement: str) -> bool:
    """Whether a number of rows says how much the statements of a text can change.

    It says nothing of DDL, of rows that a WITH changes, of what is read beside a change, as it may
    be SELECT INTO, and of the marker of the environment.
    """
    backend = project.backend
    statements = backend.syntax.split(statement)
    return environment(None).name not in statement.lower() and (
        all(backend.only_reads(one) for one in statements)
        or all(_changes_alone(backend, one) for one in statements)
    )


def _changes_alone(backend: Backend, statement: str) -> bool:
    """Whether a statement changes rows, and nothing inside of it does."""
    words = backend.syntax.words(statement)
    if _replaces(words) and not backend.counts_replaced:
        return False
    return bool(CHANGES & {*words[:1]}) or (
        words[:1] == ["WITH"]
        and len(_changing(words)) == len(_changing(_outer(backend, statement)))
    )


def _replaces(words: Sequence[str]) -> bool:
    """Whether rows that are in the way are deleted."""
    return words[:1] == ["REPLACE"] or ("OR", "REPLACE") in pairwise(words)


def _changing(words: Sequence[str]) -> list[str]:
    return [word for word in words if word in WITHIN]


def _outer(backend: Backend, statement: str) -> list[str]:
    """Return the words of a statement that stand in no parentheses."""
    code = backend.syntax.code(statement)
    while (less := PARENTHESES.sub(" ", code)) != code:
        code = less
    return backend.syntax.words(code)


def _check_countable(backend: Backend, connection: Connection, result: Result) -> None:
    """Refuse to expect a number where the one that comes is not that of the changed rows."""
    words = backend.syntax.words(result.statement)
    replacing = backend.catalogue.replacing(connection)
    meant = words[:1] != ["DELETE"] and any(one in result.statement.lower() for one in replacing)
    if (_replaces(words) and not backend.counts_replaced) or meant:
        raise Refused(
            f"{backend.title} does not say how many rows a REPLACE deletes",
            hint="delete the rows that are in the way first, or leave out --expect",
            state=ROLLED_BACK,
        )
    if not words or words[0] not in ("WITH", "EXPLAIN") or backend.only_reads(result.statement):
        return
    outside = words[0] == "WITH" and _changing(_outer(backend, result.statement))
    if not outside or (result.changed is None and not result.columns):
        raise Refused(
            f"{backend.title} does not say how many rows this {words[0]} changes",
            hint="begin with the INSERT, UPDATE or DELETE itself, or leave out --expect",
            state=ROLLED_BACK,
        )


def _run(
    backend: Backend,
    connection: Connection,
    statements: Sequence[str],
    params: Mapping[str, str],
    expect: int | None,
    changed: list[int],
) -> Generator[Result, None, None]:
    state = backend.transaction_state(connection)
    total = 0
    for statement in statements:
        if expect is not None:
            _check_catalogue(backend, connection, statement, params)
        cursor = _execute(backend, connection, statement, params)
        with ending(cursor.close):
            result = _result(statement, cursor)
            if expect is not None:
                _check_countable(backend, connection, result)
            yield result
            if not backend.only_reads(statement):
                changed.append(result.count())
            if expect is not None and (len(statements) == 1 or not backend.only_reads(statement)):
                total += result.count()
        if backend.transaction_state(connection) != state:
            raise Refused("the statement ended the transaction", hint="leave transactions to sql")
    if expect is not None and total != expect:
        raise Refused(
            f"{total} rows, where {expect} were expected",
            hint="look at the rows with a SELECT of the same condition",
            state=ROLLED_BACK,
        )


def _check_catalogue(
    backend: Backend, connection: Connection, statement: str, params: Mapping[str, str]
) -> None:
    """Refuse to expect a number of rows that says nothing of what changes with them."""

    def run(other: str) -> CursorResult[Any]:
        return _execute(backend, connection, other, params)

    reads = backend.only_reads(statement)
    if not reads and backend.changes_catalogue(connection, statement, run):
        raise Refused(
            f"the statement changes tables that the server keeps for itself on {backend.title}",
            hint="leave out --expect if it is meant: no number of rows limits it",
            state=ROLLED_BACK,
        )


def _execute(
    backend: Backend, connection: Connection, statement: str, params: Mapping[str, str]
) -> CursorResult[Any]:
    options = {
        "stream_results": backend.can_stream(statement),
        "max_row_buffer": BATCH,
        "preserve_rowcount": True,
        "no_parameters": True,  # where there are none, no driver looks for %s
    }
    names = backend.syntax.parameters(statement) & set(params)
    if not names:
        return connection.exec_driver_sql(statement, execution_options=options)
    # Of no type: the database finds the one that it needs.
    values = [bindparam(name, params[name], NullType()) for name in sorted(names)]
    bound = text(backend.syntax.bindable(statement, names)).bindparams(*values)
    return connection.execute(bound, execution_options=options)


def _result(statement: str, cursor: CursorResult[Any]) -> Result:
    if not cursor.returns_rows:
        changed = cursor.rowcount if cursor.rowcount >= 0 else None
        return Result(statement, (), changed, iter(()))
    rows = (tuple(row) for row in cursor.yield_per(BATCH))
    return Result(statement, _numbered(cursor.keys()), None, rows)


def _numbered(names: Collection[str]) -> tuple[str, ...]:
    """Return names of which no two are the same."""
    taken: list[str] = []
    for name in names:
        candidates = chain([name], (f"{name}_{number}" for number in count(2)))
        taken.append(next(one for one in candidates if one not in taken))
    return tuple(taken)


@contextmanager
def _kept(project: Project, kept: bool) -> Iterator[None]:
    """Say after an error that what the engine has committed by itself stays."""
    state = f"unknown: {project.backend.title} commits such a statement by itself"
    try:
        yield
    except (Rejected, Refused) as error:
        if not kept or (isinstance(error, Refused) and error.state != ROLLED_BACK):
            raise
        raise PartlyApplied(
            error.message, hint="look at what is there before you run it again", state=state
        ) from error
    except BaseException:
        if kept and project.outcome == ROLLED_BACK:
            project.outcome = state
        raise


@contextmanager
def _refused(backend: Backend, write: bool, *, counted: bool) -> Iterator[None]:
    """Raise Refused for what the guard stopped; other errors of the database pass."""
    try:
        yield
    except DBAPIError as error:
        if not backend.refuses_statement(error, writes=write):
            raise
        hint = "ATTACH, transactions and the guards of dbtasks are not for sql"
        if not write:
            hint = "leave out --expect, which counts rows that are read" if counted else ADD_WRITE
        raise Refused(backend.message_of(error), hint=hint) from error


@contextmanager
def _unbound(
    backend: Backend, statements: Sequence[str], params: Mapping[str, str]
) -> Iterator[None]:
    """Point to --param where the database refuses a statement with a name that has no value."""
    try:
        yield
    except Rejected as error:
        names = {name for one in statements for name in backend.syntax.parameters(one)}
        if unbound := sorted(names - {*params}):
            options = " ".join(f"--param {name}=VALUE" for name in unbound)
            error.hint = f"a :name in a statement needs a value: {options}"
        raise


def _check_characters(statement: str, params: Mapping[str, str]) -> None:
    """Raise UsageError for characters that not every driver takes."""
    texts = {"the statement": statement, **{f"parameter {k}": v for k, v in params.items()}}
    for what, one in texts.items():
        if "\0" in one or (not one.isascii() and re.search("[\ud800-\udfff]", one)):
            raise UsageError(
                f"{what} has a NUL byte or a lone surrogate",
                hint="check the encoding of the terminal or of the file",
            )


def _check_number(statements: Sequence[str], several: bool) -> None:
    if not statements:
        raise UsageError("there is no statement", hint="write SQL, as in SELECT 1")
    if len(statements) > 1 and not several:
        raise UsageError(
            f"these are {len(statements)} statements, not one",
            hint="several go into a file: --file PATH, or --file - for stdin",
        )


def _check_names(backend: Backend, statements: Sequence[str], params: Mapping[str, str]) -> None:
    known = {name for one in statements for name in backend.syntax.parameters(one)}
    for name in params:
        if name not in known:
            raise UsageError(f"no :{name} is in the statement", hint=suggest(name, known))


def _check_rolls_back(backend: Backend, statements: Sequence[str], needed: bool) -> None:
    """Refuse what the engine commits by itself, where it must be rolled back with the rest."""
    if len(statements) == 1 and not needed:
        return
    for one in statements:
        if backend.commits_by_itself(one):
            raise Refused(
                f"{backend.syntax.words(one)[0]} cannot be rolled back on {backend.title}",
                hint="run it alone, without --dry-run and --expect",
            )


def _check_guards(backend: Backend, statements: Sequence[str]) -> None:
    """Refuse DDL of the marker or the journal where it could not be rolled back afterwards."""
    names = (environment(None).name, journal(None).name)
    for one in statements:
        if backend.commits_by_itself(one) and any(name in one.lower() for name in names):
            raise Refused(
                f"{backend.syntax.words(one)[0]} of {' or '.join(names)}, the guards of the "
                f"database, cannot be rolled back on {backend.title}",
                hint=f"{command_line('protect', as_='ENVIRONMENT')} changes the marker",
            )
