"""What the tests run on: real databases of every kind, the reference project, and `inv` itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

import servers
from dbtasks import Project

ROOT = Path(__file__).parents[1]

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
class Result:
    """What a finished process left."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Return the administrator's URL of a PostgreSQL server."""
    yield from _serve("postgresql", "TEST_POSTGRESQL_URL", "postgresql")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """Return the administrator's URL of a MariaDB server."""
    yield from _serve("mariadb", "TEST_MARIADB_URL", "mariadb-server")


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a fresh, empty database of each kind; a SQLite file does not exist yet.

    A test for some kinds only: `@pytest.mark.parametrize("database", ["sqlite"], indirect=True)`.
    """
    with fresh_database(request, tmp_path, request.param, KINDS[request.param]) as fresh:
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
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what would change a project's settings: `inv test` itself sets DBTASKS_ENV."""
    for name in list(os.environ):
        if name in ("DBTASKS_ENV", "DBTASKS_DATABASE") or name.endswith("DATABASE_URL"):
            monkeypatch.delenv(name)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Return the folder of a copy of the reference project."""
    project = tmp_path / "project"
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
    """Return a function that runs `inv` as a process, in the reference project unless told."""

    def run(
        *args: str,
        cwd: Path = company,
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - the word that subprocess has
        timeout: float = 60,
    ) -> Result:
        given = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *args],
            cwd=cwd,
            env=clean_environment() | dict(env or {}),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
            **given,
        )
        return Result(done.returncode, done.stdout, done.stderr)

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
    name = f"test_{uuid4().hex[:12]}"
    with _administrator(server) as connection:
        charset = "CHARACTER SET utf8mb4" if kind == "mariadb" else ""
        connection.execute(text(f"CREATE DATABASE {name} {charset}"))
    try:
        url = server.set(drivername=driver, database=name)
        yield Database(kind, url.render_as_string(hide_password=False))
    finally:
        with _administrator(server) as connection:
            _drop(kind, connection, name)


def clean_environment() -> dict[str, str]:
    """Return the environment without what would change the project's settings or pytest's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DBTASKS_", "INVOKE_", "PYTEST_"))
        and not name.endswith("DATABASE_URL")
        and name != "PYTHONPATH"
    }


def _serve(kind: str, variable: str, package: str) -> Iterator[str]:
    """Return the server that the environment names, or one of our own until the session ends."""
    if given := os.environ.get(variable):
        yield make_url(given).set(drivername=KINDS[kind]).render_as_string(hide_password=False)
        return
    try:
        server = servers.start(kind)
    except servers.NotInstalledError:
        server = None
    if server is None:
        _unavailable(f"install {kind} (apt-get install {package}) or set {variable}")
    try:
        yield server.url
    finally:
        server.stop()


def _unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to run."""
    if os.environ.get("DBTASKS_TEST_REQUIRE_SERVERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


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
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
