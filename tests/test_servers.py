"""The throw-away servers answer, keep to themselves, and leave nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

import recipes
import servers
import surroundings
from conftest import KINDS, ROOT, Database, Pooled, Result, fresh_database

PATIENCE = 30.0
GIVEN = {"postgresql": "TEST_POSTGRESQL_URL", "mariadb": "TEST_MARIADB_URL"}
QUESTIONS = {
    "postgresql": {"folder": "SHOW data_directory", "port": "SHOW port"},
    "mariadb": {"folder": "SELECT @@datadir", "port": "SELECT @@port"},
}

SESSION = """
import time

def test_waiting({kind}_server):
    print("\\n" + {kind}_server, flush=True)
    time.sleep(300)
"""

USER = """
import sys
from pathlib import Path

import servers

with servers.share("mariadb", Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def ask(url: object, question: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return str(connection.scalar(text(question)))


def folder_of(url: str) -> Path:
    kind = "postgresql" if url.startswith("postgresql") else "mariadb"
    return Path(ask(url, QUESTIONS[kind]["folder"])).parent


def processes_of(folder: Path) -> list[str]:
    """Return the command lines, of whichever user, in which the folder stands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command.replace("\0", " "))
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python until the block ends, without this session's own pytest settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TEST_"))}
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kept | {"PYTHONPATH": str(ROOT / "tests")},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # the keeper of its servers ends them


def line_with(process: subprocess.Popen[str], part: str) -> str:
    for line in process.stdout:
        if part in line:
            return line.strip()
    raise AssertionError(f"the process ended without a line with {part!r}")


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: str) -> str:
    """Return the URL of a server that we started: another's is not ours to judge."""
    if os.environ.get(GIVEN[kind]):
        pytest.skip(f"{GIVEN[kind]} is set")
    return request.getfixturevalue(f"{kind}_server")


each_server = pytest.mark.parametrize("kind", list(GIVEN))


def test_every_kind_of_database_answers(database: Database) -> None:
    assert ask(database.url, "SELECT 1") == "1"


def test_every_driver_answers(drivers: Database) -> None:
    assert ask(drivers.url, "SELECT 1") == "1"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_sqlite_file_does_not_exist_yet(database: Database) -> None:
    path = Path(make_url(database.url).database)
    assert path.is_absolute()
    assert path.parent.is_dir()
    assert not path.exists()


@each_server
def test_a_database_is_dropped_though_it_is_in_use(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    with fresh_database(request, tmp_path, kind, KINDS[kind]) as fresh:
        engine = create_engine(fresh.url)
        connection = engine.connect()
        connection.execute(text("CREATE TABLE place (id INTEGER)"))
        connection.execute(text("INSERT INTO place VALUES (1)"))
    with pytest.raises(DBAPIError):
        connection.scalar(text("SELECT id FROM place"))
    connection.invalidate()
    connection.close()
    engine.dispose()
    with pytest.raises(OperationalError, match=r"does not exist|Unknown database"):
        ask(fresh.url, "SELECT 1")


@each_server
def test_a_password_is_checked(server: str, kind: str) -> None:
    app = make_url(server).set(username=recipes.APP)
    if kind == "postgresql":
        app = app.set(database="postgres")
    assert ask(app.set(password=recipes.APP_PASSWORD), "SELECT 1") == "1"
    with pytest.raises(OperationalError, match=r"password authentication failed|Access denied"):
        ask(app.set(password="wrong"), "SELECT 1")


@each_server
def test_the_well_known_ports_are_left_alone(server: str, kind: str) -> None:
    url = make_url(server)
    assert ask(url, QUESTIONS[kind]["port"]) == str(url.port)
    assert url.port not in (5432, 3306)


@each_server
def test_a_stopped_server_is_gone(server: str, kind: str) -> None:
    another = servers.start(kind)
    try:
        folder = folder_of(another.url)
        assert another.url != server
        assert processes_of(folder)
    finally:
        another.stop()
    another.stop()  # a second time does nothing
    assert not processes_of(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("kind", "number"), [("postgresql", signal.SIGINT), ("mariadb", signal.SIGKILL)]
)
@pytest.mark.usefixtures("server")
def test_a_session_that_is_ended_leaves_nothing(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    test = tmp_path / "test_waiting.py"
    test.write_text(SESSION.format(kind=kind), encoding="utf-8")
    options = ["-c", os.devnull, "-p", "no:cacheprovider", "-s"]
    with running("-c", surroundings.PYTEST, *options, str(test)) as session:
        folder = folder_of(line_with(session, "://"))
        assert processes_of(folder)
        session.send_signal(number)
        session.wait(PATIENCE)
        if number == signal.SIGKILL:  # pytest has not waited for it
            assert eventually(lambda: not folder.exists())
    assert not processes_of(folder)
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
@each_server
@pytest.mark.usefixtures("server")
def test_a_server_ends_even_when_its_keeper_is_killed(kind: str) -> None:
    with running(servers.__file__, kind) as keeper:
        folder = folder_of(line_with(keeper, "://"))
        assert processes_of(folder)
        keeper.kill()
        assert eventually(lambda: not processes_of(folder))
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["mariadb"])
@pytest.mark.usefixtures("server")
def test_processes_share_a_server_until_the_last_has_done_with_it(tmp_path: Path) -> None:
    """Also when the one that has started it is killed; who comes later gets another one."""
    with ExitStack() as users:
        first, second = (users.enter_context(running("-c", USER, str(tmp_path))) for _ in range(2))
        url = line_with(first, "://")
        assert line_with(second, "://") == url
        folder = folder_of(url)
        first.kill()
        first.wait()
        assert folder_of(url) == folder
        second.stdin.close()
        assert second.wait(PATIENCE) == 0
        with running("-c", USER, str(tmp_path)) as third:
            assert line_with(third, "://") != url
            assert not processes_of(folder)
            assert not folder.exists()


def test_a_cluster_is_one_database_on_three_nodes(galera: Sequence[str]) -> None:
    assert [ask(node, "SELECT @@wsrep_on") for node in galera] == ["1"] * 3
    assert len({ask(node, "SELECT @@port") for node in galera}) == 3
    engine = create_engine(galera[1], poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE place (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO place VALUES (7)"))
    for node in galera:
        assert eventually(lambda node=node: ask(node, "SELECT max(id) FROM place") == "7")


def test_a_cluster_locks_on_one_node_only(galera: Sequence[str]) -> None:
    """This is what makes it worth a server of its own."""
    with ExitStack() as connections:
        for node in galera:
            engine = create_engine(node, poolclass=NullPool)
            connection = connections.enter_context(engine.connect())
            assert connection.scalar(text("SELECT GET_LOCK('one', 0)")) == 1


def test_a_pooler_gives_each_transaction_another_session(pgbouncer: Pooled) -> None:
    """The driver is told of a process that the server does not know."""
    engine = create_engine(pgbouncer.url, poolclass=NullPool)
    with engine.connect() as one, engine.connect() as another:
        for connection in (one, another):
            assert connection.scalar(text("SELECT pg_try_advisory_lock(1)")) is True
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            assert connection.connection.driver_connection.info.backend_pid != backend
            connection.commit()
    database = ask(pgbouncer.direct, "SELECT current_database()")
    assert ask(pgbouncer.url, "SELECT current_database()") == database


@pytest.mark.usefixtures("pgbouncer_server")
def test_a_pooler_ends_with_its_session(postgresql_server: str) -> None:
    another = servers.start("pgbouncer", behind=postgresql_server)
    port = make_url(another.url).port
    assert ask(f"{another.url}/postgres", "SELECT 1") == "1"
    another.stop()
    with pytest.raises(OperationalError, match=str(port)):
        ask(f"{another.url}/postgres", "SELECT 1")


def test_inv_runs_in_the_reference_project(inv: Callable[..., Result], company: Path) -> None:
    result = inv("--list")
    assert (result.code, result.err) == (0, "")
    assert "migrate" in result.out
    assert (company / "tasks.py").is_file()
