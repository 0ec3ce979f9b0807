"""Why a run failed, and what the database has kept of it: looked at before it is said."""

from time import monotonic, sleep

from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.backend import is_gone
from dbtasks.errors import (
    DbtasksError,
    Locked,
    OutcomeUnknown,
    PartlyApplied,
    Refused,
    Rejected,
    Unreachable,
)
from dbtasks.hints import command_line
from dbtasks.migrations.execution import recovery
from dbtasks.migrations.execution.env_session import Heads, open_environment
from dbtasks.migrations.execution.journal import Journal, Unfinished
from dbtasks.migrations.execution.migration_run import MigrationRun
from dbtasks.migrations.execution.statement_recorder import count
from dbtasks.migrations.history.revision import Revision
from dbtasks.project import Project
from dbtasks.references import project_raised

PATIENCE, PAUSE = 10.0, 0.1
"""How long a lost connection is waited for at most, whose COMMIT may still be at work."""


def explain(project: Project, run: MigrationRun, error: Exception) -> Exception | None:
    """Say what failed, and what the database has kept of the run; None where it was done."""
    seen = not _is_lost(project, error)
    _close_journal(project, run, seen=seen)
    if isinstance(error, BrokenPipeError):
        return error
    if run.committing is not None and not seen:
        return _look_again(project, run, _words(project, error))
    torn = run.kept()[1]
    if seen and not isinstance(error, DbtasksError):
        error = _lost_lock(run) or error
    told = _told(project, error, run)
    if torn is None or isinstance(told, Refused):
        return told
    return PartlyApplied(told.message, hint=_ways_out(run, torn), state=run.state())


def _lost_lock(run: MigrationRun) -> Locked | None:
    """Return that another run has taken over, which what failed may only follow from."""
    try:
        run.lock.check()
    except Locked as lost:
        return lost
    return None


def note_state(project: Project, run: MigrationRun) -> None:
    """Note as the outcome what the database has kept of a run that was interrupted."""
    _close_journal(project, run, seen=False)
    if run.committing is not None:
        found = _look_again(project, run, "interrupted")
        project.outcome = run.state() if found is None else found.state


def _look_again(project: Project, run: MigrationRun, message: str) -> DbtasksError | None:
    """Read the version after the reply to COMMIT was lost, before anything is claimed."""
    lost = f"the connection was lost while committing: {message}"
    found = _read_again(project, run)
    versions = [run.before, *run.versions]
    if found is None or versions.count(found[0]) != 1:  # of redo the end is as the beginning
        return OutcomeUnknown(
            lost, hint=f"look with: {command_line('showmigrations')}", state="unknown"
        )
    heads, unfinished = found
    kept = versions.index(heads)
    if run.current is not None and kept > len(run.done):
        run.end_step()
    torn = run.current.revision if run.current and unfinished else None
    run.committed, run.committing = (kept, torn), None
    if unfinished is not None:
        return PartlyApplied(
            f"{recovery.describe(unfinished)}: {lost}",
            hint=recovery.ways_out(unfinished.revision),
            state=run.state(),
        )
    if len(run.done) == run.planned == kept:
        return None
    return Unreachable(
        lost,
        hint=f"run it again when the server is there: {command_line('waitdb', timeout=60)}",
        state=run.state(),
    )


def _read_again(
    project: Project, run: MigrationRun
) -> tuple[frozenset[str], Unfinished | None] | None:
    """Return the version and what stopped part way, once the lost connection is at rest."""
    found: list[tuple[frozenset[str], Unfinished | None]] = []
    until = monotonic() + PATIENCE
    try:
        with open_environment(project) as environment:

            def look(scripts: object, heads: Heads) -> None:
                found.append((frozenset(heads), environment.journal.unfinished()))

            with project.autocommitting() as connection:
                while project.backend.is_busy(connection, run.worker):
                    if monotonic() > until:
                        return None
                    sleep(PAUSE)
            environment.look(look)
    except (DbtasksError, DBAPIError):
        return None
    return found[0]


def _is_lost(project: Project, error: Exception) -> bool:
    return is_gone(error) or (
        isinstance(error, DBAPIError)
        and (error.connection_invalidated or project.backend.lost_connection(error))
    )


def _words(project: Project, error: Exception) -> str:
    return project.backend.message_of(error) if isinstance(error, DBAPIError) else str(error)


def _close_journal(project: Project, run: MigrationRun, *, seen: bool) -> None:
    """Note that the run has ended by an error, which its transaction has taken along.

    `seen` says that the server has told how the last operation ended.
    """
    progress = run.progress if run.current else None
    if progress is None or (run.kept()[1] is None and not progress.live):
        return
    try:
        with project.migrating(writes=True) as connection, connection.begin():
            progress.fail(Journal(project.backend, connection), seen=seen)
    except (DbtasksError, DBAPIError):
        pass  # the server is gone: the row says `running`, and its last operation is in doubt


def _told(project: Project, error: Exception, run: MigrationRun) -> DbtasksError:
    state = run.state()
    if isinstance(error, DbtasksError):
        error.state = state
        return error
    revision = run.current.revision if run.current else None
    told = _explained(project, error, run, state)
    if revision is None:
        return told
    if isinstance(error, DBAPIError):
        told.message = f"{_place(run, revision)}: {told.message}"
    elif run.kept()[1]:
        words = told.message.removeprefix(f"{revision.id} ")
        told.message = f"{_place(run, revision)}: {words}"
    if isinstance(error, DBAPIError) and project.backend.exhausts_locks(error):
        told.hint = _fewer_locks(run)
    elif isinstance(told, Rejected):
        told = Rejected(told.message, state=told.state)
        told.hint = f"fix {revision.path.name}, then: {run.manner.command}"
        if not revision.parents and "already exists" in told.message:
            recorded = command_line("migrate", fake_initial=True)
            told.hint = f"if the tables are those of the models: {recorded}; if not, {told.hint}"
    return told


def _fewer_locks(run: MigrationRun) -> str:
    """Say how a run locks fewer objects in one transaction, or the server has room for more."""
    raised = "raise max_locks_per_transaction on the server, and restart it"
    if run.planned > 1 and run.manner.smaller:
        return f"run each revision in a transaction of its own: {run.manner.smaller}; or {raised}"
    return f"divide {run.current.revision.path.name if run.current else 'it'}; or {raised}"


def _explained(project: Project, error: Exception, run: MigrationRun, state: str) -> DbtasksError:
    if is_gone(error):
        return project.backend.lost(error, state=state)
    if not isinstance(error, DBAPIError):
        what = run.current.revision.id if run.current else "env.py"
        return project_raised(what, error, state=state)
    told = project.backend.explain(error, state=state)
    if isinstance(told, Locked):
        _name_holders(project, told, run)
    return told


def _place(run: MigrationRun, revision: Revision) -> str:
    """Say at which operation a revision stopped, where any of it stays."""
    progress = run.progress
    if progress is None or run.kept()[1] is None:
        return revision.id
    return recovery.place(
        revision.id,
        backwards=progress.backwards,
        number=progress.done + 1,
        total=count(run.context, run.backend, run.function) if run.function else None,
        what=progress.what,
        in_doubt=progress.in_doubt,
        kept=progress.kept,
    )


def _ways_out(run: MigrationRun, torn: Revision) -> str:
    """Return the commands to choose from; without a journal they know of nothing."""
    if run.journal.off:
        return (
            "the role may not make the journal's table, so bring the database in order by hand, "
            f"and then record it: {command_line('migrate', fake=True, to=torn.id)}"
        )
    return recovery.ways_out(torn.id)


def _name_holders(project: Project, told: DbtasksError, run: MigrationRun) -> None:
    """Name whose transactions are open: one of them is in the way."""
    if project.backend.locks_by_transaction:
        told.message += f"; waited {run.manner.wait:g} s"
        told.hint = "run it again when that is done, or wait longer with --wait SECONDS"
        return
    try:
        with project.autocommitting() as connection:
            others = project.backend.open_transactions(connection)
    except (DbtasksError, DBAPIError):
        return
    if others:
        told.hint = f"end what is in the way, and try again; open are: {'; '.join(others)}"
