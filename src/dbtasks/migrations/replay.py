"""The history, applied to an empty scratch database of the project's kind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from shutil import copyfile
from warnings import catch_warnings, filterwarnings

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, MetaData, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from dbtasks.engines import Backend
from dbtasks.engines.base.scratch import by_hand
from dbtasks.engines.base.types import Named
from dbtasks.engines.sql.lexer import POSTGRESQL
from dbtasks.engines.sql.quoting import escape
from dbtasks.errors import DbtasksError, Refused, Rejected
from dbtasks.hints import command_line
from dbtasks.migrations import bootstrap
from dbtasks.migrations.cache import Kept
from dbtasks.migrations.environment import OWN_TABLES
from dbtasks.migrations.opening import StepsOf, open_environment, read_heads
from dbtasks.migrations.scripts import Amend
from dbtasks.project import Project
from dbtasks.references import project_raised

EVERYTHING = "heads"

OnScratch = Callable[[Project], object]


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

    Models may reflect tables at import, and env.py would import them in the scratch database.
    """
    if project.settings.metadata:
        _ = project.metadata


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
        declared = [table for one in project.metadata for table in one.tables.values()]
        schemas = sorted({one.schema for one in declared if one.schema})
        with project.connect() as connection:
            needed = project.backend.scratch(project.backend).needed(connection)
            tables, statements = _read(project.backend, connection, schemas)
        with scratch.migrating(writes=True) as connection, connection.begin(), _copying(scratch):
            _send(connection, needed)
            scratch.backend.scratch(scratch.backend).make_schemas(connection, schemas)
            tables.create_all(connection)
            _send(connection, statements)
        yield scratch


def _send(connection: Connection, statements: Sequence[str]) -> None:
    for one in statements:
        connection.exec_driver_sql(one, execution_options={"no_parameters": True})


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


def _read(
    backend: Backend, connection: Connection, schemas: Sequence[str]
) -> tuple[MetaData, Sequence[str]]:
    """Return the tables to be made, and the statements that make the others and the indexes."""
    made = [one for one in backend.scratch(backend).statements(connection) if _is_not_ours(one[0])]
    kept = {table for table, _ in made}
    tables = MetaData()
    with catch_warnings():
        filterwarnings("ignore")  # of what reflection does not know, nothing is compared
        for schema in (None, *schemas):
            known = kept if schema is None else ()
            names = inspect(connection).get_table_names(schema)
            only = [one for one in names if _is_not_ours(one) and one not in known]
            tables.reflect(connection, schema, only=only)
        for one in tables.sorted_tables:
            _name_types(backend, connection, one)
            _close_checks(one)
            _add_column_checks(backend, connection, one)
        indexes = [
            sql for one in tables.sorted_tables for sql in _taken_indexes(backend, connection, one)
        ]
    return tables, [*(sql for _, sql in made), *indexes]


def _name_types(backend: Backend, connection: Connection, table: Table) -> None:
    """Give columns the types that SQLAlchemy does not know."""
    unknown = [one for one in table.columns if isinstance(one.type, NullType)]
    if unknown:
        types = backend.scratch(backend).types_of(connection, table.name, table.schema)
        for one in unknown:
            one.type = Named(types[one.name])


def _close_checks(table: Table) -> None:
    """Give checks the outer pair back that SQLAlchemy 2.0 sees around `(a) OR (b)`."""
    for one in table.constraints:
        if isinstance(one, CheckConstraint):
            tokens = POSTGRESQL.code(str(one.sqltext))
            depths = accumulate({"(": 1, ")": -1}.get(token.text, 0) for token in tokens)
            if min(depths, default=0) < 0:
                one.sqltext = text(escape(f"({one.sqltext})"))


def _add_column_checks(backend: Backend, connection: Connection, table: Table) -> None:
    """Give columns the checks that reflection leaves out."""
    for column, sql in backend.column_checks(connection, table.name, table.schema).items():
        CheckConstraint(text(escape(sql)))._set_parent_with_dispatch(table.columns[column])


def _taken_indexes(backend: Backend, connection: Connection, table: Table) -> Sequence[str]:
    """Take from a table the indexes that it would make otherwise; return their statements."""
    found = backend.index_statements(connection, table.name, table.schema)
    for index in [one for one in table.indexes if one.name in found]:
        table.indexes.remove(index)
    return [*found.values()]


def _is_not_ours(name: str) -> bool:
    """Whether a table is the project's, and not one that an env.py of its own takes for gone."""
    return not name.startswith(OWN_TABLES)


def replay(scratch: Project, to: str = EVERYTHING, amend: Amend | None = None) -> None:
    """Apply the history to an empty database."""
    play(scratch, lambda scripts, heads: scripts._upgrade_revs(to, heads), amend)  # type: ignore[arg-type]  # as Alembic calls it itself


def play(scratch: Project, steps_of: StepsOf, amend: Amend | None = None) -> None:
    """Run steps of the history on a database that is there to be tried on."""
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
        for step in steps_of(scripts, heads):
            begun.append((step.revision.revision, "reverted" if step.is_downgrade else "replayed"))
            yield step

    with open_environment(scratch, writes=True, amend=amend) as environment:
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
