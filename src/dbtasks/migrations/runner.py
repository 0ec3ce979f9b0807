"""Bring a database to a revision: plan it, run it, or show its SQL."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock, get_ident
from time import perf_counter
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from dbtasks.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    ROLLED_BACK,
    DbtasksError,
    OutcomeUnknown,
    PartlyApplied,
    Refused,
    Rejected,
    UsageError,
)
from dbtasks.migrations.environment import HANDOVER, Handover
from dbtasks.migrations.scripts import (
    Revision,
    applied_of,
    check_known,
    describe,
    our_errors,
    read_config,
    read_scripts,
)
from dbtasks.project import Project
from dbtasks.references import project_raised

# Alembic keeps the running environment in a module of its own, one for the whole process.
ONE_AT_A_TIME = RLock()

HEADS = "heads"
BASE = "base"


@dataclass(frozen=True)
class Step:
    """Describe one revision of a run, and how long it took once it is done."""

    revision: Revision
    backwards: bool
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """Hold what a run would do, in its order."""

    steps: tuple[Step, ...]

    @property
    def backwards(self) -> bool:
        """Whether any revision would be reverted."""
        return any(step.backwards for step in self.steps)


OnStep = Callable[[Step], None]


def migrate(project: Project, *, to: str = HEADS, on_step: OnStep | None = None) -> Plan:
    """Bring the database to a revision, and return the steps that were taken.

    `to` is `heads`, a revision or its unique beginning, `+N`, `-N` or `base`. `on_step` is
    called before each step, and after it with its seconds. All steps are one transaction where
    the engine can roll back DDL. Raises Rejected when the database refused, PartlyApplied where
    something of a failed run stays, DbtasksError when a revision's own code raised.
    """
    run = _Run(on_step or (lambda step: None))
    with _environment(project, writes=True) as environment:
        run.watch(environment.handover)
        try:
            environment.execute(lambda scripts, heads: run.over(_steps(scripts, to, heads)))
        except Exception as error:
            raise _failure(project, run, environment.handover, error) from error
        except BaseException as error:  # an interrupt: whoever reports it finds the state there
            error.add_note(run.state(*run.kept(environment.handover.transactional)))
            raise
    if run.done:
        project.outcome = COMMITTED
    return Plan(tuple(run.done))


def plan(project: Project, *, to: str = HEADS) -> Plan:
    """Return what `migrate` would do now, without doing it."""
    found: list[RevisionStep] = []
    with _environment(project) as environment:
        environment.look(lambda scripts, heads: found.extend(_steps(scripts, to, heads)))
    return Plan(tuple(_describe_step(step) for step in found))


def sql(project: Project, *, to: str = HEADS) -> str:
    """Return the SQL that `migrate` would send now, from the database's present state."""
    with _environment(project) as environment:
        heads = environment.read_heads()
        try:
            environment.execute(
                lambda scripts, heads: _steps(scripts, to, heads),
                as_sql=True,
                starting_rev=heads or None,
                destination_rev=to,
            )
        except (DbtasksError, DBAPIError):
            raise
        except Exception as error:
            raise UsageError(
                f"the SQL cannot be shown: a revision needs a live database ({error})",
                hint="see the revisions themselves with: inv showmigrations",
            ) from error
        return environment.handover.output.getvalue()


def read_heads(project: Project) -> tuple[ScriptDirectory, tuple[str, ...]]:
    """Return the project's revisions, and those that the database stands at."""
    with _environment(project) as environment:
        return environment.scripts, environment.read_heads()


@dataclass
class _Environment:
    """Run env.py on one connection."""

    project: Project
    scripts: ScriptDirectory
    handover: Handover
    config: Any

    def execute(
        self,
        steps_of: Callable[[ScriptDirectory, tuple[str, ...]], Iterable[RevisionStep]],
        **options: Any,
    ) -> None:
        """Run env.py with `steps_of` saying what to do from the heads that it finds.

        What only looks must neither write nor make the version table.
        """

        def steps(heads: tuple[str, ...], running: Any) -> Iterable[RevisionStep]:
            return steps_of(self.scripts, heads)

        with (
            our_errors(),
            EnvironmentContext(self.config, self.scripts, fn=steps, **options),
            _own_connections_refused(self.handover),
        ):
            self.scripts.run_env()
        if not self.handover.taken:
            raise _foreign()

    def look(self, at: Callable[[ScriptDirectory, tuple[str, ...]], object]) -> None:
        """Run env.py only to look at the heads that it finds; nothing is written or made."""

        def nothing(scripts: ScriptDirectory, heads: tuple[str, ...]) -> tuple[()]:
            at(scripts, heads)
            return ()

        try:
            self.execute(nothing, dont_mutate=True)
        except (DbtasksError, DBAPIError):
            raise
        except Exception as error:
            raise project_raised("env.py", error) from error

    def read_heads(self) -> tuple[str, ...]:
        """Return the revisions that the database stands at."""
        found: list[str] = []

        self.look(lambda scripts, heads: found.extend(heads))
        return tuple(found)


@dataclass
class _Run:
    """Follow a run: what is done, what is under way, what the database has kept of it."""

    on_step: OnStep
    planned: int = 0
    done: list[Step] = field(default_factory=list)
    current: Step | None = None
    statements: int = 0
    complete: bool = False
    committed: tuple[int, Revision | None] | None = None

    def over(self, steps: Sequence[RevisionStep]) -> Iterator[RevisionStep]:
        """Hand the steps on to Alembic, reporting each before and after."""
        self.planned = len(steps)
        for step in steps:
            self.current = _describe_step(step)
            self.statements = 0
            self.complete = False
            self.on_step(self.current)
            started = perf_counter()
            yield step
            self.complete = False
            finished = Step(self.current.revision, self.current.backwards, perf_counter() - started)
            self.current = None
            self.done.append(finished)
            self.on_step(finished)

    def watch(self, handover: Handover) -> None:
        """Note what would stay if the run failed now."""
        connection = handover.connection
        handover.on_applied = self._note_complete

        @event.listens_for(connection, "after_cursor_execute")
        def count(connection: Connection, cursor: Any, statement: str, *rest: object) -> None:
            self.statements += not statement.lstrip()[:6].upper().startswith("SELECT")

        @event.listens_for(connection, "commit")
        def note_commit(connection: Connection) -> None:
            torn = self.current.revision if self.current and not self.complete else None
            self.committed = len(self.done) + self.complete, torn

    def _note_complete(self) -> None:
        self.complete = True

    def kept(self, transactional: bool) -> tuple[int, Revision | None]:
        """Return how many steps a failed run leaves, and the one that it leaves half done.

        With transactional DDL only a commit in the middle keeps anything: autocommit_block().
        """
        if transactional:
            return self.committed or (0, None)
        return len(self.done), self.current.revision if self.current and self.statements else None

    def state(self, kept: int, torn: Revision | None) -> str:
        """Say what the database has kept of a failed run."""
        if not self.planned:
            return NOTHING_CHANGED
        counted = f"{kept} of {self.planned} applied"
        if torn is not None:
            return f"{counted}, {torn.id} stopped part way"
        return f"{ROLLED_BACK}, {counted}" if kept == 0 else counted


@contextmanager
def _environment(project: Project, *, writes: bool = False) -> Iterator[_Environment]:
    """Open the connection that env.py is to use."""
    with ONE_AT_A_TIME:
        config = read_config(project)
        scripts = read_scripts(config)
        with project.migrating(writes=writes) as connection:
            handover = Handover(project, connection)
            config.attributes[HANDOVER] = handover
            yield _Environment(project, scripts, handover, config)


def _steps(scripts: ScriptDirectory, to: str, heads: tuple[str, ...]) -> list[RevisionStep]:
    """Return Alembic's steps from the heads to the target, whichever way it lies."""
    check_known(scripts, heads)
    with our_errors():
        if to == BASE or to.startswith("-"):
            return list(scripts._downgrade_revs(to, heads))  # type: ignore[arg-type]  # Alembic passes tuples here too
        if to in (HEADS, "head") or to.startswith("+"):
            target = HEADS if to == "head" else to
            return list(scripts._upgrade_revs(target, heads))  # type: ignore[arg-type]  # the same
        wanted = scripts.get_revision(to) if to else None
    if wanted is None:
        raise UsageError(f"there is no revision {to!r}", hint="see them with: inv showmigrations")
    with our_errors():
        if wanted.revision in applied_of(scripts, heads):
            return list(scripts._downgrade_revs(wanted.revision, heads))  # type: ignore[arg-type]  # the same
        return list(scripts._upgrade_revs(wanted.revision, heads))  # type: ignore[arg-type]  # the same


def _describe_step(step: RevisionStep) -> Step:
    return Step(describe(step.revision), backwards=step.is_downgrade)


@contextmanager
def _own_connections_refused(handover: Handover) -> Iterator[None]:
    """Refuse a connection that env.py opens before it has taken ours.

    It could lead to another database than the one that the command named.
    """

    ours = get_ident()

    def refuse(*arguments: object) -> None:
        if not handover.taken and get_ident() == ours:
            raise _foreign()

    event.listen(Engine, "do_connect", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", refuse)


def _foreign() -> Refused:
    return Refused(
        "the project's env.py opens a connection of its own, which may lead to another database",
        hint="its body should be: from dbtasks.migrations import environment; "
        "environment.run(Base.metadata)",
    )


def _failure(project: Project, run: _Run, handover: Handover, error: Exception) -> Exception:
    """Say what failed, and what the database has kept of the run."""
    if isinstance(error, BrokenPipeError):
        return error
    kept, torn = run.kept(handover.transactional)
    state = run.state(kept, torn)
    where = run.current.revision if run.current else None
    told = _explain(project, error, state, where)
    if torn is None:
        return told
    return PartlyApplied(
        told.message,
        hint=f"finish or undo by hand what {torn.id} has done, then: inv migrate",
        state=state,
    )


def _explain(
    project: Project, error: Exception, state: str, revision: Revision | None
) -> DbtasksError:
    if isinstance(error, DbtasksError):
        error.state = state
        return error
    if not isinstance(error, DBAPIError):
        return project_raised(revision.id if revision else "env.py", error, state=state)
    told = project.backend.explain(error, state=state)
    if revision is not None:
        told.message = f"{revision.id}: {told.message}"
        if isinstance(told, Rejected):
            told.hint = f"mend {revision.path.name}, then: inv migrate"
        return told
    if error.connection_invalidated or project.backend.lost_connection(error):
        return OutcomeUnknown(told.message, hint="look with: inv showmigrations", state="unknown")
    return told
