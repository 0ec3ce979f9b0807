"""Where models are compared: on a scratch database with the history, or the database, only read."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from dbtasks.errors import DbtasksError, Locked, NoScratch, ProjectFailed, Refused, Rejected
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate.trial import Trial, metadatas_of
from dbtasks.migrations.execution.env_session import open_environment, read_heads
from dbtasks.migrations.execution.replay import copied, replay, replayed
from dbtasks.project import Project
from dbtasks.schema.models import taken_instead
from dbtasks.schema.snapshot import Snapshot, take

T = TypeVar("T")
OnNote = Callable[[str], None]

UNFILLED = (NoScratch, Rejected, ProjectFailed, Refused)
"""What a history raises that does not run on an empty database."""


def compared(
    project: Project,
    on_scratch: Callable[[Project, Trial], T],
    reading: Callable[[MigrationContext], T],
    *,
    from_database: bool,
    on_note: OnNote,
) -> T:
    """Return what is found on a scratch database that has the history, and is there to be changed.

    Where none can be had, or the history does not run there, `reading` looks at the project's own
    database, in which nothing is changed; `on_note` gets the reason. Raises the reason where that
    database is not at the newest revision.
    """

    def found(*, commits: bool) -> T:
        wanted: list[Snapshot | None] = []

        def before(scratch: Project) -> None:
            scratch.backend.commits = commits
            wanted.append(_models_of(scratch))

        filled, unfilled = (copied, NoScratch) if from_database else (replayed, UNFILLED)
        with ExitStack() as stack:
            try:
                scratch = stack.enter_context(filled(project, before=before))
            except unfilled as error:
                if _exhausts_locks(project, error):
                    raise
                if not (wanted or isinstance(error, NoScratch)):
                    raise  # the models cannot be created, and reading would hide why
                return _read(project, reading, error, on_note)
            with _not_in_the_way():
                return in_environment(
                    scratch, lambda context: on_scratch(scratch, Trial(context, wanted[0]))
                )

    try:
        return found(commits=False)
    except DbtasksError as error:
        if not _exhausts_locks(project, error):
            raise
    return found(commits=True)


@contextmanager
def _not_in_the_way() -> Iterator[None]:
    """Report what holds a lock in a database that no other program uses."""
    try:
        yield
    except Locked as error:
        error.hint = (
            "let env.py end the transactions of its other connections before it calls "
            "context.run_migrations()"
        )
        raise


def _exhausts_locks(project: Project, error: BaseException | None) -> bool:
    """Whether an error comes from more tables than one transaction can lock."""
    while error is not None:
        if isinstance(error, DBAPIError) and project.backend.exhausts_locks(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _models_of(scratch: Project) -> Snapshot | None:
    """Return what a database of the models alone has, made where the history is to be.

    None where it can be made within the history: the engine rolls back DDL. Where it could, and
    each statement commits, the functions and extensions of the history are there for the models.
    """
    backend = scratch.backend
    rolls_back = backend.transactional_ddl
    if rolls_back is None:
        dialect = scratch.engine(create=True).dialect
        rolls_back = DefaultImpl.get_by_dialect(dialect).transactional_ddl
    if rolls_back and not backend.commits:
        return None
    empty = backend.scratch(backend)
    with scratch.autocommitting() as connection:
        since = empty.mark(connection)
    if rolls_back:
        replay(scratch)

    def made(context: MigrationContext) -> Snapshot:
        connection, without = context.connection, (context.version_table,)
        assert connection is not None
        there = take(backend, connection)
        return taken_instead(backend, connection, metadatas_of(context), there, without=without)

    wanted = in_environment(scratch, made)
    with scratch.autocommitting() as connection:
        empty.clear(connection, since)
    return wanted


def _read(
    project: Project,
    reading: Callable[[MigrationContext], T],
    reason: DbtasksError,
    on_note: OnNote,
) -> T:
    """Return what is found in the project's own database, which has the history."""
    try:
        scripts, heads = read_heads(project)
    except DbtasksError:
        raise reason from None
    if {*heads} != {*scripts.get_heads()}:
        migrated = f"bring the database up to date: {command_line('migrate')}"
        reason.hint = "; or ".join(filter(None, [reason.hint, migrated]))
        raise reason
    why = "; ".join(filter(None, [reason.message, reason.hint]))
    on_note(f"compared with the database, which is only read: {why}")
    return in_environment(project, reading, writes=False)


def in_environment(
    project: Project, work: Callable[[MigrationContext], T], *, writes: bool = True
) -> T:
    """Return what work finds on the connection that env.py configures."""
    found: list[T] = []
    with open_environment(project, writes=writes) as environment:
        contexts: list[MigrationContext] = []
        environment.handover.on_configured = contexts.append
        environment.handover.compares = bool(project.settings.metadata)

        def steps(scripts: ScriptDirectory, heads: tuple[str, ...]) -> tuple[()]:
            context = contexts[-1]
            assert context.connection is not None
            found.append(work(context))
            return ()

        environment.execute(steps, dont_mutate=True)
    return found[0]
