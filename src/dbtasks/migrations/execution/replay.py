"""The history, applied to an empty scratch database of the project's kind."""

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from shutil import copyfile

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from dbtasks.engines.base.scratch import by_hand
from dbtasks.errors import DbtasksError, Refused, Rejected
from dbtasks.hints import command_line
from dbtasks.migrations.execution import bootstrap
from dbtasks.migrations.execution.env_session import StepsOf, open_environment, read_heads
from dbtasks.migrations.execution.replay_cache import Kept
from dbtasks.migrations.history.directory import Amend, read_config, read_scripts
from dbtasks.project import Project
from dbtasks.references import project_raised
from dbtasks.schema.snapshot import take

EVERYTHING = "heads"

OnScratch = Callable[[Project], object]
Watch = Callable[[Connection, RevisionStep | None], object]


@contextmanager
def replayed(
    project: Project,
    to: str = EVERYTHING,
    *,
    amend: Amend | None = None,
    before: OnScratch = lambda scratch: None,
) -> Iterator[Project]:
    """Open the project on a scratch database that has its history, up to some revision.

    `amend` changes what the history consists of; `before` is called while the database is empty.
    Raises UsageError where no database can be made, Rejected for a revision that fails there.
    """
    _import_models(project)
    with project.scratch() as scratch:
        before(scratch)
        if scratch.backend.scratch.is_file and to == EVERYTHING and amend is None:
            _replay_file(scratch, Path(str(scratch.backend.url.database)))
        else:
            replay(scratch, to, amend)
        yield scratch


def _import_models(project: Project) -> None:
    """Import the models while what they connect to is the project's database.

    Models may reflect tables at import, and env.py would import them in the scratch database:
    where tasks.py names none, all that env.py imports is imported before.
    """
    if project.settings.metadata:
        _ = project.metadata
        return
    env = Path(read_scripts(read_config(project)).env_py_location)
    project.start_application()
    for name in _imported(env):
        with suppress(Exception):  # then env.py is told, in its own place
            import_module(name)


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever it does."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _replay_file(scratch: Project, database: Path) -> None:
    """Take the history from the cache, or put it there."""
    kept = Kept(scratch)
    path = kept.path
    if path is not None and path.is_file():
        copyfile(path, database)
        return
    replay(scratch)
    scratch.close()
    if path is not None:
        kept.keep(database, path)


@contextmanager
def copied(project: Project, *, before: OnScratch = lambda scratch: None) -> Iterator[Project]:
    """Open the project on a scratch database that has the tables of its own, without their rows.

    `before` is called while the database is empty. Raises Refused where the project's own is not
    at the newest revision.
    """
    _import_models(project)
    with project.scratch() as scratch:
        before(scratch)
        scripts, heads = read_heads(project)
        if {*heads} != {*scripts.get_heads()}:
            raise Refused(
                f"the database is at {', '.join(heads) or 'no revision'}, "
                f"and the newest is {', '.join(scripts.get_heads())}",
                hint=f"bring it up to date: {command_line('migrate')}",
            )
        backend = project.backend
        own = backend.scratch(backend)
        with project.connect() as connection:
            needed = own.needed(connection)
            made = [*own.statements(take(backend, connection, without=()), connection.dialect)]
        with scratch.migrating(writes=True) as connection, connection.begin(), _copying(scratch):
            _send(connection, needed)
            if backend.keys_need_indexes:  # it commits at each of them
                _send(connection, made)
            else:
                _send_in_turn(connection, made)
        yield scratch


def _send(connection: Connection, statements: Sequence[str]) -> None:
    for sql in statements:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def _send_in_turn(connection: Connection, statements: Sequence[str]) -> None:
    """Send statements, those that need others after these, whichever they are."""
    while statements:
        postponed: dict[str, DBAPIError] = {}
        for sql in statements:
            savepoint = connection.begin_nested()
            try:
                _send(connection, [sql])
                savepoint.commit()
            except DBAPIError as error:
                savepoint.rollback()
                postponed[sql] = error
        if len(postponed) == len(statements):
            raise next(iter(postponed.values()))
        statements = [*postponed]


@contextmanager
def _copying(scratch: Project) -> Iterator[None]:
    """Say in the block that it is a copy that fails, and not the project's database."""
    try:
        yield
    except DBAPIError as error:
        raise Rejected(
            "no copy of the database can be made, to compare the models with: "
            f"{scratch.backend.message_of(error)}",
            hint=f"compare with the history: {command_line('makemigrations')}; or {by_hand()}",
        ) from error


def replay(scratch: Project, to: str = EVERYTHING, amend: Amend | None = None) -> None:
    """Apply the history to an empty database."""
    play(scratch, lambda scripts, heads: scripts._upgrade_revs(to, heads), amend)  # type: ignore[arg-type]  # as Alembic calls it itself


def play(
    scratch: Project,
    steps_of: StepsOf,
    amend: Amend | None = None,
    *,
    watch: Watch = lambda connection, step: None,
    on_configured: Callable[[MigrationContext], None] = lambda context: None,
) -> None:
    """Run steps of the history on a scratch database.

    `watch` is called before the first step, with None, and after each; `on_configured` with the
    context that env.py configures.
    """
    begun = [("the history", "replayed")]

    def followed(scripts: ScriptDirectory, heads: tuple[str, ...]) -> Iterator[RevisionStep]:
        connection = environment.handover.connection
        function = None if heads else bootstrap.find(scratch, connection)
        if function is not None:
            begun.append((f"bootstrap={scratch.settings.bootstrap!r}", "run"))
            if (revision := function(connection)) is not None:
                raise Refused(
                    f"{begun[-1][0]} makes the tables of {revision}: what the revisions up to it "
                    "made is not known"
                )
        watch(connection, None)
        for step in steps_of(scripts, heads):
            begun.append((step.revision.revision, "reverted" if step.is_downgrade else "replayed"))
            yield step
            watch(connection, step)

    with open_environment(scratch, writes=True, amend=amend) as environment:
        environment.handover.on_configured = on_configured
        try:
            environment.execute(followed)
        except DbtasksError:
            raise
        except DBAPIError as error:
            what, done = begun[-1]
            raise Rejected(
                f"{what} cannot be {done}: {scratch.backend.message_of(error)}",
                hint="each revision has to run on an empty database: try "
                f"{command_line('migrate')} on one",
            ) from error
        except Exception as error:
            what = begun[-1][0] if len(begun) > 1 else "env.py"
            raise project_raised(what, error) from error
