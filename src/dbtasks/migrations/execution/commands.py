"""Bring a database to a revision: plan it, run it, or show its SQL."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from threading import TIMEOUT_MAX

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from dbtasks import locks
from dbtasks.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    DbtasksError,
    Locked,
    Refused,
    UsageError,
)
from dbtasks.hints import command_line
from dbtasks.interrupts import clean_up
from dbtasks.locks import WAIT_SECONDS, Lock, LockLost, OnWait
from dbtasks.migrations.execution import fake_initial, outcome, recovery
from dbtasks.migrations.execution.env_session import ONE_AT_A_TIME, Heads, open_environment
from dbtasks.migrations.execution.journal import Journal, Unfinished
from dbtasks.migrations.execution.migration_run import (
    LOCK_SECONDS,
    Manner,
    MigrationRun,
    OnStep,
    Step,
)
from dbtasks.migrations.execution.statement_recorder import ATTEMPTS, pause_after
from dbtasks.migrations.history.directory import describe
from dbtasks.migrations.history.resolve_target import HEADS, steps_to
from dbtasks.project import Project

OnNote = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Hold what a run would do, or has done, in its order.

    `ahead` has the database's heads where those come after all revisions of this code.
    """

    steps: tuple[Step, ...]
    ahead: Heads = ()
    note: str = ""
    """How env.py makes the transactions of the run shorter than usual."""

    @property
    def backwards(self) -> bool:
        """Whether any revision would be reverted."""
        return any(step.backwards for step in self.steps)


def migrate(
    project: Project,
    *,
    to: str = HEADS,
    fake: bool = False,
    fake_initial: bool = False,
    resume: bool = False,
    per_revision: bool = False,
    wait: float = WAIT_SECONDS,
    lock_timeout: float = LOCK_SECONDS,
    reverts: Collection[str] | None = None,
    on_step: OnStep | None = None,
    on_wait: OnWait | None = None,
    on_note: OnNote = lambda text: None,
) -> Plan:
    """Bring the database to a revision, and return the steps that were taken.

    `to` is `heads`, a revision or its unique beginning, a branch label, `+N`, `-N` or `base`.
    `fake` records without running; `fake_initial` does so for a first revision whose tables
    exist. `resume` goes on with a revision that stopped part way. `reverts` has the ids that may
    be reverted, as a person has confirmed them; another run may have come first. `on_step` is
    called before each step, and after it with its seconds; `on_wait` with the holder of the lock
    when it is not free; `on_note` where env.py makes the transactions shorter. All steps are one
    transaction where the engine can roll back DDL, but with `per_revision`.

    Raises Locked where the lock stays with another for `wait` seconds, or a table for
    `lock_timeout` seconds, several times; Rejected when the database refused, PartlyApplied where
    something of a failed run stays, Refused while a revision has stopped part way, and
    DbtasksError when a revision's own code raised.
    """
    aim = None if resume or to == HEADS else to
    smaller = command_line("migrate", resume=resume, to=aim, per_revision=True)
    manner = Manner(
        *(fake, fake_initial, resume, per_revision, wait, lock_timeout),
        on_note=on_note,
        reverts=_frozen(reverts),
        smaller="" if per_revision else smaller,
        command=command_line("migrate", resume=resume, to=aim),
    )
    with _held(project, "migrate", manner, on_wait) as lock:
        return _migrate(project, lock, manner, to, on_step or (lambda step: None))


def rollback(
    project: Project,
    *,
    steps: int = 1,
    wait: float = WAIT_SECONDS,
    lock_timeout: float = LOCK_SECONDS,
    reverts: Collection[str] | None = None,
    on_step: OnStep | None = None,
    on_wait: OnWait | None = None,
    on_note: OnNote = lambda text: None,
) -> Plan:
    """Revert the last revisions, and return the steps that were taken."""
    manner = Manner(
        wait=wait,
        lock_timeout=lock_timeout,
        on_note=on_note,
        reverts=_frozen(reverts),
        command=command_line("rollback", steps=None if steps == 1 else steps),
    )
    with _held(project, "rollback", manner, on_wait) as lock:
        return _migrate(project, lock, manner, f"-{steps}", on_step or (lambda step: None))


def redo(
    project: Project,
    *,
    steps: int = 1,
    wait: float = WAIT_SECONDS,
    lock_timeout: float = LOCK_SECONDS,
    reverts: Collection[str] | None = None,
    on_step: OnStep | None = None,
    on_wait: OnWait | None = None,
    on_note: OnNote = lambda text: None,
) -> Plan:
    """Revert the last revisions, and apply them again, in one run; return the steps of both."""
    manner = Manner(
        wait=wait,
        lock_timeout=lock_timeout,
        redo=True,
        on_note=on_note,
        reverts=_frozen(reverts),
        command=command_line("redo", steps=None if steps == 1 else steps),
    )
    with _held(project, "redo", manner, on_wait) as lock:
        return _migrate(project, lock, manner, f"-{steps}", on_step or (lambda step: None))


def plan(project: Project, *, to: str = HEADS) -> Plan:
    """Return what `migrate` would do now, without doing it."""
    found: list[RevisionStep] = []
    ahead: list[str] = []
    with open_environment(project) as environment:
        handover = environment.handover

        def look(scripts: ScriptDirectory, heads: Heads) -> None:
            if environment.is_ahead(to, heads):
                ahead.extend(heads)
            else:
                found.extend(steps_to(scripts, to, heads, several=project.settings.heads))

        environment.look(look)
    steps = (Step(describe(step.revision), backwards=step.is_downgrade) for step in found)
    return Plan(tuple(steps), tuple(ahead), handover.note(len(found)))


def sql(project: Project, *, to: str = HEADS) -> str:
    """Return the SQL that `migrate` would send now, from the database's present state."""
    several = project.settings.heads
    with open_environment(project) as environment:
        heads = environment.read_heads()
        try:
            environment.execute(
                lambda scripts, heads: steps_to(scripts, to, heads, several=several),
                as_sql=True,
                starting_rev=heads or None,
                destination_rev=to,
            )
        except (DbtasksError, DBAPIError):
            raise
        except Exception as error:
            raise UsageError(
                "the SQL cannot be shown: a revision needs a live database "
                f"({type(error).__name__}: {' '.join(str(error).split())})",
                hint=f"which one: {command_line('sqlmigrate', revision='ID')} shows the SQL of "
                "each alone",
            ) from error
        return environment.handover.output.getvalue()


def resolve(
    project: Project,
    *,
    revision: str,
    undo: bool = False,
    applied: bool = False,
    rolled_back: bool = False,
    wait: float = WAIT_SECONDS,
    on_wait: OnWait | None = None,
) -> list[str]:
    """Bring a revision in order that stopped part way, and return the operations taken back.

    `undo` runs the reverse of what is applied; `applied` and `rolled_back` only record what a
    person has done. Raises Refused where it did not stop, or an operation has no reverse.
    """
    if undo + applied + rolled_back != 1:
        raise UsageError(
            "say how it is resolved", hint="add one of --undo, --applied and --rolled-back"
        )
    manner = Manner(fake=True, wait=wait)
    with _held(project, "resolve", manner, on_wait) as lock:
        unfinished = _find_unfinished(project, revision)
        if applied:
            run = MigrationRun(project, lock, manner, lambda step: None)
            run.resumed = unfinished
            to = _before(unfinished) if unfinished.backwards else unfinished.revision
            _attempt(project, run, to)
            return []
        with open_environment(project, writes=True) as environment:
            return environment.resolve(unfinished, undo=undo)


def resumed_target(project: Project) -> str:
    """Return where `migrate` goes on to after a revision that stopped part way.

    Whatever was on its way back is reverted; then that is all.
    """
    with project.migrating(writes=False) as connection, connection.begin():
        unfinished = Journal(project.backend, connection).unfinished()
    return _before(unfinished) if unfinished is not None and unfinished.backwards else HEADS


def _before(unfinished: Unfinished) -> str:
    """Return the target one before a revision, whichever of several heads it is."""
    return f"{unfinished.revision}@-1"


@contextmanager
def _held(project: Project, purpose: str, manner: Manner, on_wait: OnWait | None) -> Iterator[Lock]:
    """Hold the lock of this process's threads, and that of the database."""
    if not ONE_AT_A_TIME.acquire(timeout=min(manner.wait, TIMEOUT_MAX)):
        raise Locked(
            f"another thread of this process migrates; waited {manner.wait:g} s",
            hint="run it again when that is done",
        )
    try:
        with locks.hold(project, purpose, wait=manner.wait, on_wait=on_wait) as lock:
            yield lock
    finally:
        ONE_AT_A_TIME.release()


def _migrate(project: Project, lock: Lock, manner: Manner, to: str, on_step: OnStep) -> Plan:
    """Run the steps to the target; all of them again when a table was locked for too long."""
    initial = fake_initial.made_at_first(project) if manner.fake_initial else {}
    for attempt in range(ATTEMPTS - 1):
        run = MigrationRun(project, lock, manner, on_step, initial=initial)
        try:
            return _attempt(project, run, to)
        except LockLost:
            raise
        except Locked:
            if not run.may_try_again:
                raise
            pause_after(attempt)
            manner = replace(manner, on_note=lambda text: None)  # it was said
    return _attempt(project, MigrationRun(project, lock, manner, on_step, initial=initial), to)


def _attempt(project: Project, run: MigrationRun, to: str) -> Plan:
    """Run the steps to the target, once."""
    ahead: list[str] = []
    with ExitStack() as stack, open_environment(project, writes=True) as environment:
        handover = environment.handover
        handover.per_revision = run.manner.per_revision
        handover.on_configured = lambda context: run.configured(context, stack, handover)
        handover.on_applied = run.note_applied

        def steps(scripts: ScriptDirectory, heads: Heads) -> Iterable[RevisionStep]:
            run.before = frozenset(heads)
            _take_up(run, scripts)
            if environment.is_ahead(to, heads):
                ahead.extend(heads)
                return ()
            found = steps_to(scripts, to, heads, several=project.settings.heads)
            _check_resumed(run, found)
            _check_consent(run, found)
            if run.manner.redo:
                found += _again(scripts, found)
            stamps = [] if heads or not found or run.manner.fake else run.bootstrap(scripts)
            if stamps:
                stood = tuple(one for step in stamps for one in step.to_revisions)
                found = steps_to(scripts, to, stood, several=project.settings.heads)
            return chain(stamps, run.over(found))  # type: ignore[arg-type]  # Alembic takes both

        project.outcome = run.outcome
        try:
            environment.execute(steps)
        except Exception as error:
            failed = outcome.explain(project, run, error)
            if failed is not None:
                raise failed from error
        except BaseException as error:  # an interrupt
            clean_up(lambda: outcome.note_state(project, run), error)
            raise
    project.outcome = COMMITTED if run.done else NOTHING_CHANGED
    return Plan(tuple(run.done), tuple(ahead))


def _frozen(ids: Collection[str] | None) -> frozenset[str] | None:
    return None if ids is None else frozenset(ids)


def _again(scripts: ScriptDirectory, reverted: Sequence[RevisionStep]) -> list[RevisionStep]:
    """Return the steps that apply again what was reverted."""
    upwards = (step.revision for step in reversed(reverted))
    return [RevisionStep(scripts.revision_map, script, is_upgrade=True) for script in upwards]


def _check_consent(run: MigrationRun, steps: Sequence[RevisionStep]) -> None:
    """Refuse to revert what nobody has confirmed: another run has changed what there is."""
    back = {step.revision.revision for step in steps if step.is_downgrade}
    if run.manner.reverts is not None and not back <= run.manner.reverts:
        names = ", ".join(sorted(back - run.manner.reverts))
        raise Refused(
            f"another run came first, and now {names} would be reverted too",
            hint=f"look with: {command_line('showmigrations')}, and run it again if it is "
            "still meant",
        )


def _take_up(run: MigrationRun, scripts: ScriptDirectory) -> None:
    """Find what an earlier run has left, and refuse to go on unless that is wanted."""
    if run.resumed is not None:
        return
    unfinished = run.journal.unfinished()
    if unfinished is None:
        return
    if not run.manner.resume:
        total = recovery.total_of(run.context, run.backend, scripts, unfinished)
        recovery.check_finished(unfinished, total)
    run.resumed = unfinished


def _check_resumed(run: MigrationRun, steps: Sequence[RevisionStep]) -> None:
    """Refuse to begin with another revision than the one that stopped part way."""
    unfinished = run.resumed
    if unfinished is None:
        return
    first = steps[0] if steps else None
    if (
        first is None
        or first.revision.revision != unfinished.revision
        or (first.is_downgrade != unfinished.backwards)
    ):
        way = "its way back" if unfinished.backwards else "its way"
        raise Refused(
            f"{unfinished.revision} stopped on {way}, and another would come first",
            hint=recovery.ways_out(unfinished.revision),
        )


def _find_unfinished(project: Project, revision: str) -> Unfinished:
    found: list[Unfinished] = []
    with open_environment(project) as environment:
        environment.look(
            lambda scripts, heads: found.append(
                recovery.find_unfinished(scripts, environment.journal, revision)
            )
        )
    return found[0]
