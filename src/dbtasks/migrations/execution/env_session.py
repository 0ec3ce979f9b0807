"""The project's env.py, opened on its database: to look at what there is, or to run revisions."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Any
from warnings import catch_warnings, filterwarnings

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from dbtasks.errors import DbtasksError
from dbtasks.migrations.environment import env_hooks
from dbtasks.migrations.environment.body import HANDOVER, Handover
from dbtasks.migrations.environment.offline import let_choose
from dbtasks.migrations.execution import recovery
from dbtasks.migrations.execution.journal import Journal, Unfinished
from dbtasks.migrations.history.directory import Amend, our_errors, read_config, read_scripts
from dbtasks.migrations.history.resolve_target import HEADS, check_known, is_ahead
from dbtasks.project import Project
from dbtasks.references import project_raised

# Alembic keeps the running environment in a module of its own, one for the whole process.
ONE_AT_A_TIME = RLock()

Heads = tuple[str, ...]
StepsOf = Callable[[ScriptDirectory, Heads], Iterable[RevisionStep]]


@dataclass
class Environment:
    """Run env.py, the project's own or anybody's, on the project's database."""

    project: Project
    scripts: ScriptDirectory
    handover: Handover
    config: Any

    def execute(self, steps_of: StepsOf, **options: Any) -> None:
        """Run env.py with `steps_of` saying what to do from the heads that it finds.

        What only looks must neither write nor make the version table.
        """

        with our_errors(), _without_hidden():
            env_hooks.prepare(self.config, self.scripts, self.handover)
            env_hooks.run(self.config, self.scripts, self.handover, steps_of, **options)

    def look(self, at: Callable[[ScriptDirectory, Heads], object]) -> None:
        """Run env.py only to look at the heads that it finds; nothing is written or made."""

        def nothing(scripts: ScriptDirectory, heads: Heads) -> tuple[()]:
            at(scripts, heads)
            return ()

        try:
            self.execute(nothing, dont_mutate=True)
        except (DbtasksError, DBAPIError):
            raise
        except Exception as error:
            raise project_raised("env.py", error) from error

    def read_heads(self) -> Heads:
        """Return the revisions that the database stands at."""
        found: list[str] = []
        self.look(lambda scripts, heads: found.extend(heads))
        return tuple(found)

    @property
    def journal(self) -> Journal:
        """Return the journal on the connection that the migrations run on."""
        return Journal(self.project.backend, self.handover.connection)

    def is_ahead(self, to: str, heads: Heads) -> bool:
        """Whether the database has revisions after all of ours; refuse those that nobody knows."""
        if to not in (HEADS, "head"):
            check_known(self.scripts, heads)
            return False
        return is_ahead(self.scripts, heads, self.journal.parents)

    def resolve(self, unfinished: Unfinished, *, undo: bool) -> list[str]:
        """Take back what is applied of a revision, or only close its case."""
        reversed_: list[str] = []

        def work(scripts: ScriptDirectory, heads: Heads) -> tuple[()]:
            if undo:
                taken = recovery.take_back(self.project, context[0], scripts, unfinished)
                reversed_.extend(taken)
            self.journal.close(unfinished.id)
            return ()

        context: list[MigrationContext] = []
        self.handover.on_configured = context.append
        self.execute(work, dont_mutate=True)
        return reversed_


@contextmanager
def _without_hidden() -> Iterator[None]:
    """Leave out warnings of what is not reflected, or without its name, and we keep ourselves."""
    with catch_warnings():
        filterwarnings("ignore", "Unnamed CHECK constraint on reflected table")
        filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        filterwarnings("ignore", "WARNING: SQL-parsed foreign key constraint")
        yield


@contextmanager
def open_environment(
    project: Project, *, writes: bool = False, amend: Amend | None = None
) -> Iterator[Environment]:
    """Read the project's revisions, and open the connection that env.py is to use."""
    with ONE_AT_A_TIME:
        config = read_config(project)
        scripts = read_scripts(config, amend)
        with project.migrating(writes=writes) as connection:
            handover = Handover(project, connection, writes)
            config.attributes[HANDOVER] = handover
            yield Environment(project, scripts, handover, config)


def read_history(project: Project, *, changing: bool = False) -> ScriptDirectory:
    """Return the project's revisions, without a database, in the folders that env.py chooses."""
    with ONE_AT_A_TIME:
        config = read_config(project)
        scripts = read_scripts(config, changing=changing)
        let_choose(project, config, scripts)
        return scripts


def read_heads(project: Project) -> tuple[ScriptDirectory, Heads]:
    """Return the project's revisions, and those that the database stands at."""
    with open_environment(project) as environment:
        return environment.scripts, environment.read_heads()
