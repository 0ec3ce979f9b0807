"""One run of Alembic over some revisions: reported, journaled, and known to its last statement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

from alembic.runtime.migration import MigrationContext, RevisionStep, StampStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dbtasks import person
from dbtasks.engines.base.connection import is_autocommit
from dbtasks.errors import NOTHING_CHANGED, ROLLED_BACK, UNKNOWN, DbtasksError, PartlyApplied
from dbtasks.hints import command_line
from dbtasks.interrupts import ending, held
from dbtasks.locks import WAIT_SECONDS, Lock
from dbtasks.migrations.environment.body import Handover
from dbtasks.migrations.execution import bootstrap
from dbtasks.migrations.execution.fake_initial import exists
from dbtasks.migrations.execution.journal import Journal, Unfinished
from dbtasks.migrations.execution.progress import Progress
from dbtasks.migrations.execution.statement_recorder import Recorder
from dbtasks.migrations.execution.statements import Operation
from dbtasks.migrations.history.directory import describe, our_errors
from dbtasks.migrations.history.revision import Revision
from dbtasks.project import Project
from dbtasks.schema.snapshot import Snapshot

LOCK_SECONDS = 5.0
"""How long a statement waits behind other people's transactions, unless told."""

Function = Callable[..., None]


@dataclass(frozen=True)
class Step:
    """Describe one revision of a run, and how long it took once it is done."""

    revision: Revision
    backwards: bool
    seconds: float | None = None
    faked: bool = False


OnStep = Callable[[Step], None]


@dataclass(frozen=True)
class Manner:
    """Say how revisions are run: only recorded, one by one, and with how much patience."""

    fake: bool = False
    fake_initial: bool = False
    resume: bool = False
    per_revision: bool = False
    wait: float = WAIT_SECONDS
    lock_timeout: float = LOCK_SECONDS
    redo: bool = False
    on_note: Callable[[str], None] = lambda text: None
    reverts: frozenset[str] | None = None
    """The revisions that may be reverted; None is any."""

    smaller: str = ""
    """What to type to run them in a transaction each; nothing where that cannot be chosen."""

    command: str = field(default_factory=lambda: command_line("migrate"))
    """What to type to run them again."""


@dataclass
class MigrationRun:
    """Follow the steps of a run, and know what the database keeps of it if it fails.

    `before` is the version that the database had, `versions` are those that it gets step by step.
    `committing` is what a commit is to keep while nobody has seen its reply, `committed` what the
    last one has kept: how many steps, and the revision that was not at its end.
    """

    project: Project
    lock: Lock
    manner: Manner
    on_step: OnStep
    planned: int = 0
    begun: str = NOTHING_CHANGED
    verb: str = "applied"
    done: list[Step] = field(default_factory=list)
    current: Step | None = None
    progress: Progress | None = None
    complete: bool = False
    committed: tuple[int, Revision | None] | None = None
    committing: tuple[int, Revision | None] | None = None
    resumed: Unfinished | None = None
    before: frozenset[str] | None = None
    versions: list[frozenset[str]] = field(default_factory=list)
    faked: bool = False
    started: float = 0.0
    function: Function | None = None
    worker: int | None = None
    initial: Mapping[str, Snapshot] = field(default_factory=dict)
    """What first revisions make, if they may be only recorded."""

    def configured(self, context: MigrationContext, stack: ExitStack, handover: Handover) -> None:
        """Take hold of the context that the migrations will run in; the stack ends it."""
        assert context.connection is not None
        self.context = context
        self.connection = connection = context.connection
        self.backend = self.project.backend
        self.transactional = handover.transactional
        self.per_revision = handover.per_revision
        self.note = handover.note
        self.backend.wait_for_writers(connection, self.manner.wait)
        self.journal = Journal(self.backend, connection)
        self.recorder = Recorder(
            self.backend,
            connection,
            before=self._before,
            after=self._after,
            on_commit=self._begin_commit,
            retried=not self.transactional,
        )
        self.recorder.asleep = True
        stack.enter_context(self.recorder.following())
        stack.enter_context(_listening(connection, "commit", self._note_commit))
        stack.enter_context(self._answered())
        stack.enter_context(_listening(connection, "begin", self._bound))
        # The connection may live on in a pool.
        unsign = partial(self.backend.sign, connection, "")
        stack.enter_context(ending(unsign, ignoring=(SQLAlchemyError,)))

    def prepare(self) -> None:
        """Say to the server what this connection is for, before the first step."""
        self.worker = self.backend.connection_id(self.connection)
        self.lock.name_worker(self.worker)
        self.backend.sign(self.connection, f"applies {person.process()}")
        if not self.transactional:
            self.backend.limit_lock_wait(self.connection, self.manner.lock_timeout)

    def bootstrap(self, scripts: ScriptDirectory) -> list[StampStep]:
        """Let the project make what an empty database needs before the first revision.

        Returns the steps that record the revision whose tables it has made, if it names one.
        """
        function = bootstrap.find(self.project, self.connection)
        if function is None:
            return []
        self.lock.check()
        called = Revision(str(self.project.settings.bootstrap), "", (), self.project.settings.root)
        self.on_step(Step(called, backwards=False))
        if not self.transactional:
            self.begun = f"what {called.id} has made stays"
        started = perf_counter()
        try:
            revision = function(self.connection)
            with our_errors():
                stamps = scripts._stamp_revs(revision, ()) if revision else []
        except (DbtasksError, DBAPIError) as error:
            if self.transactional:
                raise
            if isinstance(error, DBAPIError):
                error = self.backend.explain(error, state=self.begun)
            raise PartlyApplied(
                error.message,
                hint=f"drop what it has made, then: {self.manner.command}",
                state=self.begun,
            ) from error
        self.on_step(Step(called, backwards=False, seconds=perf_counter() - started))
        return stamps

    def over(self, steps: Sequence[RevisionStep]) -> Iterator[RevisionStep]:
        """Hand the steps on to Alembic, reporting each before and after."""
        self.planned = len(steps)
        backwards = {step.is_downgrade for step in steps}
        self.verb = (
            "reverted" if backwards == {True} else "done" if True in backwards else "applied"
        )
        if steps:
            if note := self.note(len(steps)):
                self.manner.on_note(note)
            self.prepare()
            self._make_journal()
        for step in steps:
            self.current = Step(describe(step.revision), step.is_downgrade)
            self.progress = None
            self.complete = False
            self.lock.check()
            self.lock.sign(self.current.revision.id)
            self.on_step(self.current)
            self.started = perf_counter()
            step.migration_fn = self._performing(step)
            yield step
            self._commit_version()
            self._end_commit()
            self.end_step()
        if steps and self.at_once:
            self.journal.flush()
            self.lock.fence(self.connection)

    def end_step(self) -> None:
        """Report the revision that is under way as done."""
        assert self.current is not None
        self.complete = False
        finished = Step(
            self.current.revision,
            self.current.backwards,
            perf_counter() - self.started,
            self.faked,
        )
        self.current = None
        self.done.append(finished)
        self.on_step(finished)

    def note_applied(self, heads: frozenset[str]) -> None:
        """Note that the version is written, in whose transaction the journal tells of it."""
        if self.progress is None:  # what was only recorded
            return
        self.versions.append(heads)
        self.progress.finish(perf_counter() - self.started, later=self.at_once)
        if self.transactional and (self.per_revision or self.progress.key is not None):
            self.lock.fence(self.connection)
        self.complete = True

    def _commit_version(self) -> None:
        """Commit the version of a revision that an autocommit block has committed the rest of."""
        progress = self.progress
        if self.at_once and progress is not None and progress.key is not None:
            with self.context.autocommit_block():  # Alembic's public way to commit and go on
                pass

    @property
    def at_once(self) -> bool:
        """Whether all revisions are one transaction."""
        return self.transactional and not self.per_revision

    @property
    def may_try_again(self) -> bool:
        """Whether a run that gave up on a lock has left nothing, and can be begun anew."""
        return self.planned > 0 and self.transactional and self.kept() == (0, None)

    def kept(self) -> tuple[int, Revision | None]:
        """Return how many steps a failed run leaves, and the one that it leaves half done.

        With transactional DDL only a commit in the middle keeps anything: autocommit_block().
        """
        if not hasattr(self, "context"):
            return 0, None
        if self.transactional:
            return self.committed or (0, None)
        if self.committed and self.committed[0] > len(self.done):  # answered a moment ago
            return self.committed
        progress = self.progress
        torn = progress is not None and (progress.kept or progress.in_doubt)
        return len(self.done), self.current.revision if torn and self.current else None

    def state(self) -> str:
        """Say what the database has kept of a failed run."""
        if not self.planned:
            return self.begun
        kept, torn = self.kept()
        counted = f"{kept} of {self.planned} {self.verb}"
        if torn is not None:
            return f"{counted}, {torn.id} stopped part way"
        return f"{ROLLED_BACK}, {counted}" if kept == 0 else counted

    def outcome(self) -> str:
        """Say what the database would keep if the run stopped at this moment."""
        return self.state() if self.committing is None else UNKNOWN

    def _performing(self, step: RevisionStep) -> Function:
        """Return the revision's function, with its operations followed, or nothing for a fake."""
        self.function = function = step.migration_fn

        def perform(**options: Any) -> None:
            assert self.current is not None
            self.progress = Progress(
                self.journal,
                self.current.revision,
                self.current.backwards,
                live=not self.transactional,
                resumed=self.resumed,
            )
            self.resumed = None
            self.faked = self.manner.fake or (
                self.manner.fake_initial
                and exists(self.context, self.backend, step, function, self.initial)
            )
            if self.faked:
                return
            if not self.transactional:
                self.progress.open()
            self.recorder.asleep = False
            try:
                function(**options)
                with self.recorder.silence():
                    self.progress.check_resumed()
            finally:
                self.recorder.asleep = True

        return perform

    def _before(self, operation: Operation) -> bool:
        assert self.progress is not None
        self._end_commit()
        progress = self.progress
        if not operation.alone and self.backend.has_ended(self.connection):
            progress.ended = True  # by a COMMIT of the revision's own
        progress.live = progress.ended or operation.alone or not self.transactional
        if progress.live:
            self.lock.check()
        return progress.before(operation)

    def _after(self, operation: Operation) -> None:
        assert self.progress is not None
        self.progress.after(operation)

    def _note_commit(self, connection: Connection) -> None:
        self._begin_commit()

    def _begin_commit(self) -> None:
        """Note what a commit is to keep, in the journal too where a revision is not at its end."""
        with self.recorder.silence():
            self.journal.flush()
        torn = self.current.revision if self.current and not self.complete else None
        progress = self.progress if torn else None
        if progress is not None and not progress.live:
            with self.recorder.silence():
                progress.persist()
        self.committing = len(self.done) + self.complete, torn

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Hold interrupts back from each COMMIT until it is answered, and note that it is."""
        dialect, connection = self.connection.dialect, self.connection.connection
        commit = dialect.do_commit

        def do_commit(sent: Any) -> None:
            with held():
                commit(sent)
                if sent is connection:
                    self._end_commit()

        # SQLAlchemy has no event after a COMMIT.
        dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]
        with ending(lambda: vars(dialect).pop("do_commit", None)):
            yield

    def _end_commit(self) -> None:
        """Note that the last commit was done, as something comes after it."""
        if self.committing is not None:
            self.committed, self.committing = self.committing, None

    def _bound(self, connection: Connection) -> None:
        """Bound the wait for locks in each transaction; CREATE INDEX CONCURRENTLY must wait."""
        self._end_commit()
        if self.transactional and not is_autocommit(connection):
            with self.recorder.silence():
                self.backend.limit_lock_wait(connection, self.manner.lock_timeout)

    def _make_journal(self) -> None:
        """Make the journal's table; where that is not allowed, go on without one if we can."""
        if self.journal.stands():
            self.journal.upgrade()
            return
        if not self.transactional:
            self.journal.make()
            return
        try:
            with self.connection.begin_nested():
                self.journal.make()
        except DbtasksError:  # a role that may not: the migration itself does not need it
            self.journal.off = True


@contextmanager
def _listening(connection: Connection, name: str, listener: Callable[..., Any]) -> Iterator[None]:
    event.listen(connection, name, listener)
    try:
        yield
    finally:
        event.remove(connection, name, listener)
