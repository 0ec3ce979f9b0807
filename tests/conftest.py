"""What the tests run on: real databases of every kind, the reference project, and `inv` itself."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import hypothesis
import pytest
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

import once
import reports
import runner
import servers
import surroundings
import warm
from dbtasks import Project, fixtures, migrations
from recipes import NotInstalledError
from terminals import run_on_terminal

ROOT = Path(__file__).parents[1]

# A shell's background job ignores interrupts, and so would all processes that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NEEDS_RESTART = surroundings.set_up()

# The same examples each time, so that a commit that passed passes again, and no clock:
# `--hypothesis-profile=default` draws others.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")

KINDS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}
"""Every kind of database, and the driver that its URLs have."""

DRIVERS = {
    "sqlite+pysqlite": ("sqlite", "sqlite3"),
    "postgresql+psycopg": ("postgresql", "psycopg"),
    "postgresql+psycopg2": ("postgresql", "psycopg2"),
    "mysql+pymysql": ("mariadb", "pymysql"),
    "mariadb+pymysql": ("mariadb", "pymysql"),
    "mysql+mysqldb": ("mariadb", "MySQLdb"),
}
"""Every driver, the kind of database that it opens, and the module that it needs."""


@dataclass(frozen=True)
class Database:
    """A fresh, empty database, and its URL with the password in it."""

    kind: str
    url: str


@dataclass(frozen=True)
class Pooled:
    """A fresh, empty database's URL through a pooler, and without it."""

    url: str
    direct: str


@dataclass(frozen=True)
class Result:
    """What a finished process left."""

    code: int
    out: str
    err: str


def pytest_configure(config: pytest.Config) -> None:
    """Start again where the user's shell has changed how Python itself works."""
    config.addinivalue_line("markers", "pyproject: needs an Alembic that reads pyproject.toml")
    config.addinivalue_line("markers", f"{once.MARKER}: SQLAlchemy or Alembic handles its values")
    if NEEDS_RESTART:
        surroundings.restart(config)


@pytest.hookimpl(trylast=True)  # of what -k has left
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name each test in the report; leave out what another run has shown.

    What needs pyproject.toml is left out where Alembic does not read it: before 1.16.
    """
    if not hasattr(Config, "get_alembic_option"):
        items[:] = [item for item in items if item.get_closest_marker("pyproject") is None]
    for item in items:
        item.user_properties.append((reports.PROPERTY, item.nodeid))
    if report := os.environ.get(reports.PASSED):
        passed = reports.passed(Path(report))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]
    if os.environ.get(once.ONCE):
        kept = dict.fromkeys(once.first_values(items, [*KINDS, *DRIVERS]))
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays until the end: a tenth of the CPU time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Return the administrator's URL of a PostgreSQL server."""
    yield from _serve("postgresql", "TEST_POSTGRESQL_URL", "postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """Return the administrator's URL of a MariaDB server."""
    yield from _serve("mariadb", "TEST_MARIADB_URL", "mariadb-server")


@pytest.fixture(scope="session")
def galera_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[str]]:
    """Return the administrator's URLs of a cluster of MariaDB, one a node.

    It takes its time to form, so the workers of a session share it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the session's own
    with ExitStack() as stack:
        try:
            server = stack.enter_context(servers.share("galera", folder))
        except NotInstalledError:
            server = None
        if server is None:
            _unavailable("apt-get install mariadb-server galera-4 rsync")
        yield server.urls


@pytest.fixture(scope="session")
def pgbouncer_server(postgresql_server: str) -> Iterator[str]:
    """Return the administrator's URL of PgBouncer before PostgreSQL, in transaction mode."""
    yield from _keep("pgbouncer", "apt-get install pgbouncer", postgresql_server)


@pytest.fixture
def galera(galera_servers: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the URLs of a fresh, empty database in a cluster of MariaDB, one a node."""
    with new_cluster_database(galera_servers) as urls:
        yield urls


@pytest.fixture
def pgbouncer(pgbouncer_server: str, postgresql_server: str) -> Iterator[Pooled]:
    """Return a fresh, empty database of PostgreSQL, behind PgBouncer in transaction mode."""
    with new_database("postgresql", make_url(postgresql_server), KINDS["postgresql"]) as direct:
        yield Pooled(same_database(direct, pgbouncer_server), direct)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a fresh, empty database of each kind; a SQLite file does not exist yet.

    A test for some kinds only: `@pytest.mark.parametrize("database", ["sqlite"], indirect=True)`.
    """
    with fresh_database(request, tmp_path, request.param, KINDS[request.param]) as fresh:
        yield fresh


@pytest.fixture(scope="module", params=KINDS)
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Return an empty database of each kind that a module's tests share, which then only read."""
    folder = tmp_path_factory.mktemp("kept")
    with fresh_database(request, folder, request.param, KINDS[request.param]) as fresh:
        yield fresh


@pytest.fixture(params=DRIVERS)
def drivers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a fresh, empty database with a URL on each driver."""
    kind, module = DRIVERS[request.param]
    if find_spec(module) is None:
        _unavailable(f"install the module {module}")
    with fresh_database(request, tmp_path, kind, request.param) as fresh:
        yield fresh


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no test see the user's files, nor leave any there."""
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("HOME", str(base / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Return the folder of a copy of the reference project."""
    return copy_company(tmp_path / "project")


@contextmanager
def statements_sent(engine: Any = Engine) -> Iterator[list[str]]:
    """Yield the statements that go to an engine's database in the block, or to any."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def copy_company(project: Path) -> Path:
    """Copy the reference project into a folder, and return it."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for folder in ("migrations", "src/company"):
        shutil.copytree(ROOT / folder, project / folder, ignore=unwanted)
    for file in ("tasks.py", "alembic.ini"):
        shutil.copy(ROOT / file, project)
    return project


@pytest.fixture
def project(company: Path, database: Database) -> Iterator[Project]:
    """Return the reference project, as its library sees it, on a fresh database of each kind."""
    project = Project.configure(
        company,
        metadata="company.models:Base",
        seeds="company.seeds:seed",
        default_model="Employee",
        url=database.url,
    )
    yield project
    project.close()


@pytest.fixture
def inv(company: Path) -> Callable[..., Result]:
    """Return a function that runs `inv`, in the reference project unless another is given.

    It runs in the test's own process (`runner`); `inv_process` is for what that cannot show.
    """
    return in_process("inv", company)


@pytest.fixture
def inv_process(company: Path) -> Callable[..., Result]:
    """Return a function that runs `inv` as a process of its own.

    For what ends, stops or starts a process (kills, signals, variables that Python reads at its
    start), for servers that do not answer or are lost, and for commands that run at once.
    """
    return as_process("invoke", company)


def in_process(program: str, folder: Path) -> Callable[..., Result]:
    """Return a function that runs `inv` or `dbtasks` in this process, in the folder by default."""

    def run(
        *args: str,
        cwd: Path = folder,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - the name in subprocess
    ) -> Result:
        environment = clean_environment() | dict(env or {})
        done = runner.run(*args, cwd=cwd, env=environment, input=input, program=program)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def as_process(module: str, folder: Path) -> Callable[..., Result]:
    """Return a function that runs a module as a process, in the folder by default."""

    def run(
        *args: str,
        cwd: Path = folder,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - the name in subprocess
        timeout: float = 60,
    ) -> Result:
        environment = clean_environment() | dict(env or {})
        done = warm.run(module, *args, cwd=cwd, env=environment, input=input, timeout=timeout)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def staffed(project: Project) -> None:
    """Fill the database with the reference project's rows."""
    migrations.migrate(project)
    fixtures.seed(project)
    project.close()


@pytest.fixture
def office(inv: Callable[..., Result], staffed: None, database: Database) -> Callable[..., Result]:
    """Return `inv` on a database with the reference project's rows."""
    return on_database(inv, database)


@pytest.fixture
def office_process(
    inv_process: Callable[..., Result], staffed: None, database: Database
) -> Callable[..., Result]:
    """Return `inv_process` on a database with the reference project's rows."""
    return on_database(inv_process, database)


def on_database(inv: Callable[..., Result], database: Database) -> Callable[..., Result]:
    """Return `inv` with the URL of a database in its environment."""

    def run(*args: str, env: Mapping[str, str] | None = None, **options: object) -> Result:
        return inv(*args, env={"DATABASE_URL": database.url, **(env or {})}, **options)

    return run


@pytest.fixture
def terminal(company: Path, database: Database) -> Callable[..., tuple[int, str]]:
    """Return a function that runs `inv` on a terminal, answers, and returns all it showed."""

    def run(*arguments: str, answer: str = "") -> tuple[int, str]:
        environment = clean_environment() | {"DATABASE_URL": database.url}
        code, shown = run_on_terminal(company, *arguments, environment=environment, answer=answer)
        return code, shown.replace("\r\n", "\n")

    return run


@contextmanager
def fresh_database(
    request: pytest.FixtureRequest, folder: Path, kind: str, driver: str
) -> Iterator[Database]:
    """Make a database with a URL on this driver; a SQLite file is only named, in the folder."""
    if kind == "sqlite":
        yield Database(kind, f"{driver}:///{folder / 'test.db'}")
        return
    server = make_url(request.getfixturevalue(f"{kind}_server"))
    with new_database(kind, server, driver) as url:
        yield Database(kind, url)


@contextmanager
def new_database(kind: str, server: URL, driver: str) -> Iterator[str]:
    """Make a database on a server, and drop it at the end; return its URL on this driver."""
    name = f"test_{uuid4().hex[:12]}"
    with _administrator(server) as connection:
        connection.execute(text(f"CREATE DATABASE {name} {_creation(kind, connection)}"))
    try:
        url = server.set(drivername=driver, database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with _administrator(server) as connection:
            _drop(kind, connection, name)


def _creation(kind: str, connection: Connection) -> str:
    """Return the options of CREATE DATABASE."""
    if kind == "mariadb":
        return "CHARACTER SET utf8mb4"
    # Its files are copied with two thirds of the CPU time of writing them to the log first.
    return "STRATEGY file_copy" if connection.dialect.server_version_info >= (15,) else ""


def clear(kind: str, url: str) -> None:
    """Drop all that a database on a server has."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    name = make_url(url).database
    statements = {
        "postgresql": ("DROP SCHEMA IF EXISTS dbtasks, public CASCADE", "CREATE SCHEMA public"),
        "mariadb": (f"DROP DATABASE {name}", f"CREATE DATABASE {name} CHARACTER SET utf8mb4"),
    }
    with engine.connect() as connection:
        for statement in statements[kind]:
            connection.execute(text(statement))


@contextmanager
def new_cluster_database(nodes: Sequence[str]) -> Iterator[Sequence[str]]:
    """Make a database in a cluster of MariaDB, and drop it at the end; return its URLs."""
    with new_database("mariadb", make_url(nodes[0]), KINDS["mariadb"]) as first:
        for node in nodes:
            with _administrator(make_url(node)) as connection:
                connection.execute(text("SET wsrep_sync_wait = 1"))
                connection.scalar(text("SELECT 1"))  # answers when it has the database too
        yield [same_database(first, node) for node in nodes]


def same_database(url: str, server: str) -> str:
    """Return the URL by which another server leads to a URL's database."""
    there = make_url(server).set(database=make_url(url).database)
    return there.render_as_string(hide_password=False)


def clean_environment() -> dict[str, str]:
    """Return the environment without what is meant for the tests themselves."""
    meant = ("DBTASKS_TEST_", "PYTEST_", "TEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(meant)}


def _serve(kind: str, variable: str, package: str) -> Iterator[str]:
    """Return the server that the environment names, or one of our own until the session ends."""
    if given := os.environ.get(variable):
        yield make_url(given).set(drivername=KINDS[kind]).render_as_string(hide_password=False)
        return
    yield from _keep(kind, f"install {kind} (apt-get install {package}) or set {variable}")


def _keep(kind: str, missing: str, behind: str | None = None) -> Iterator[str]:
    """Return a server of our own until the session ends."""
    try:
        server = servers.start(kind, behind=behind)
    except NotInstalledError:
        server = None
    if server is None:
        _unavailable(missing)
    try:
        yield server.url
    finally:
        server.stop()


def _unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to run."""
    if os.environ.get("DBTASKS_TEST_REQUIRE_SERVERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(f"no server: {reason}")  # the words that .ci/run looks for


def _drop(kind: str, connection: Connection, name: str) -> None:
    """Drop a database, though a test may still be connected to it, or have dropped it."""
    if kind == "postgresql":
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        return
    used_by = text("SELECT id FROM information_schema.processlist WHERE db = :name")
    for number in connection.scalars(used_by, {"name": name}).all():
        with suppress(DBAPIError):  # it has just ended by itself
            connection.execute(text(f"KILL {number}"))
    connection.execute(text("SET lock_wait_timeout = 30"))  # not a day
    connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))


@contextmanager
def _administrator(server: URL) -> Iterator[Connection]:
    with _engine(server).connect() as connection:
        yield connection


@cache
def _engine(server: URL) -> Engine:
    """Return an engine that asks a server for its version and settings no more than once."""
    return create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
