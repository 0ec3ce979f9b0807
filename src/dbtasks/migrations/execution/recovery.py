"""Bring in order what a run has left that stopped part way, by the journal."""

from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtasks.engines import Backend
from dbtasks.errors import PartlyApplied, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.execution.journal import RUNNING, Journal, Unfinished
from dbtasks.migrations.execution.progress import NOTHING_NOW, done_by_hand, settle_doubt
from dbtasks.migrations.execution.statement_recorder import count, record
from dbtasks.migrations.execution.statements import Operation
from dbtasks.migrations.history.resolve_target import find_revision
from dbtasks.project import Project

LOCK_SECONDS = 5.0
"""How long a reverse waits behind other people's transactions."""


def describe(unfinished: Unfinished, total: int | None = None) -> str:
    """Say where a revision stopped, and what is applied of it."""
    return place(
        unfinished.revision,
        backwards=unfinished.backwards,
        number=unfinished.done + 1,
        total=total,
        what=unfinished.what,
        in_doubt=unfinished.in_doubt,
        kept=unfinished.done,
    )


def place(
    revision: str,
    *,
    backwards: bool,
    number: int,
    total: int | None,
    what: str | None,
    in_doubt: bool,
    kept: int,
) -> str:
    """Say at which operation a revision stopped, and how many before it stay."""
    verb = "stopped on its way back" if backwards else "stopped"
    if total == kept == number - 1:
        return f"{revision} {verb} after its last operation, and was not recorded; {applied(kept)}"
    of = f" of {total}" if total and total >= number else ""
    doubt = ", which may or may not be done" if in_doubt else ""
    named = f" ({what})" if what else ""
    return f"{revision} {verb} at operation {number}{of}{named}{doubt}; {applied(kept)}"


def applied(done: int) -> str:
    """Say which operations are applied."""
    if done == 0:
        return "none before it is applied"
    return "operation 1 is applied" if done == 1 else f"operations 1-{done} are applied"


def ways_out(revision: str) -> str:
    """Return the commands to choose from."""
    resume = command_line("migrate", resume=True)
    undo = command_line("resolve", revision=revision, undo=True)
    return (
        f"fix what stopped it and run the rest: {resume}; or take back what is applied: {undo}; "
        f"or say what you have done by hand: {done_by_hand(revision)}"
    )


def check_finished(unfinished: Unfinished | None, total: int | None = None) -> None:
    """Raise Refused where a revision has stopped part way."""
    if unfinished is not None:
        raise Refused(
            f"{describe(unfinished, total)} (begun {unfinished.at:%Y-%m-%d %H:%M:%S} UTC by "
            f"{unfinished.by})",
            hint=ways_out(unfinished.revision),
            state=NOTHING_NOW,
        )


def total_of(
    context: MigrationContext, backend: Backend, scripts: ScriptDirectory, one: Unfinished
) -> int | None:
    """Return how many operations the revision has that stopped, where its file can say it."""
    function = _function(_script(scripts, one), backwards=one.backwards)
    return count(context, backend, function)


def find_unfinished(scripts: ScriptDirectory, journal: Journal, revision: str) -> Unfinished:
    """Return what is left of a revision, by its id or the unique beginning.

    Raises Refused where it did not stop part way.
    """
    unfinished = journal.unfinished()
    known = revision if unfinished and unfinished.revision == revision else None
    name = known or find_revision(scripts, revision).revision
    if unfinished is None or unfinished.revision != name:
        stopped = f"; {unfinished.revision} did" if unfinished else ""
        raise Refused(
            f"{name} did not stop part way{stopped}",
            hint=f"see the revisions with: {command_line('showmigrations')}; to record one without "
            f"running it: {command_line('migrate', fake=True, to=name)}",
        )
    return unfinished


def take_back(
    project: Project,
    context: MigrationContext,
    scripts: ScriptDirectory,
    unfinished: Unfinished,
) -> list[str]:
    """Run the reverse of each operation that is applied, the last first; return what was reversed.

    Raises Refused, before the first, where one has no reverse, or where the file has others.
    """
    assert context.connection is not None
    journal = Journal(project.backend, context.connection)
    operations = _applied(project, context, scripts, unfinished)
    reversals = [_reversal(one, unfinished) for one in operations]
    digests = _digests(operations)
    reversed_: list[str] = []
    for number in reversed(range(len(operations))):
        operation = operations[number]
        # From here on it is in doubt: an undo may be killed too.
        values = {"state": RUNNING, "done": number, "digest": digests[number]}
        journal.change(unfinished.id, what=operation.what, **values)
        journal.commit()
        _reverse(project.backend, journal.connection, operation, reversals[number], unfinished)
        journal.change(unfinished.id, what=None)
        journal.commit()
        reversed_.append(operation.what)
    return reversed_


def _reverse(
    backend: Backend,
    connection: Connection,
    operation: Operation,
    reversal: Any,
    unfinished: Unfinished,
) -> None:
    """Take one operation back, where it stands."""
    try:
        backend.limit_lock_wait(connection, LOCK_SECONDS)
        if operation.stands(connection) is not False:
            connection.execute(reversal)
    except DBAPIError as error:
        raise PartlyApplied(
            f"{operation.what} of {unfinished.revision} was not taken back: "
            f"{backend.message_of(error)}",
            hint="fix what is in the way, and run it again: "
            + command_line("resolve", revision=unfinished.revision, undo=True),
            state=f"{unfinished.revision} stopped part way",
        ) from error


def _applied(
    project: Project,
    context: MigrationContext,
    scripts: ScriptDirectory,
    unfinished: Unfinished,
) -> list[Operation]:
    """Return the operations that are done, as the file has them now."""
    assert context.connection is not None
    function = _function(_script(scripts, unfinished), backwards=unfinished.backwards)
    operations = record(context, project.backend, function)
    done = operations[: unfinished.done]
    if len(done) < unfinished.done or _digests(done)[-1] != unfinished.digest:
        raise Refused(
            f"{unfinished.revision} has other operations now than those that are applied",
            hint="put the file back as it was, or undo them by hand, and then: "
            + command_line("resolve", revision=unfinished.revision, rolled_back=True),
        )
    rest = operations[unfinished.done :]
    if unfinished.in_doubt and rest:
        next_ = rest[0]
        if settle_doubt(project.backend, context.connection, next_, unfinished):
            done.append(next_)
    return done


def _reversal(operation: Operation, unfinished: Unfinished) -> Any:
    reversal = operation.reversal()
    if reversal is None:
        raise Refused(
            f"{operation.what} has no reverse that gives back all that was there",
            hint="undo the revision by hand, and then: "
            + command_line("resolve", revision=unfinished.revision, rolled_back=True),
        )
    return reversal


def _digests(operations: list[Operation]) -> list[str]:
    """Return the digest before the first operation, and after each."""
    digests = [""]
    for one in operations:
        digests.append(one.digest(digests[-1]))
    return digests


def _script(scripts: ScriptDirectory, unfinished: Unfinished) -> Script:
    try:
        return find_revision(scripts, unfinished.revision)
    except UsageError as error:
        raise Refused(
            f"{unfinished.revision} stopped part way, and its file is not here",
            hint="run the code that has this revision",
        ) from error


def _function(script: Script, *, backwards: bool) -> Any:
    return script.module.downgrade if backwards else script.module.upgrade
