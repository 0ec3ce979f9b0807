"""waitdb: until the database answers, and no longer."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from conftest import Database, Result
from dbtasks import Project, databases
from dbtasks.engines.base.sockets import KEEPALIVE
from dbtasks.errors import Unreachable, UsageError
from silence import silent

NAMES = {"SQLite": "SQLite 3", "PostgreSQL": "PostgreSQL 1", "MySQL": "MariaDB 1"}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_says_engine_and_version(project: Project) -> None:
    if project.backend.title == "SQLite":
        with project.migrating(writes=True):
            pass
    answer = databases.waitdb(project)
    assert answer.version.startswith(NAMES[project.backend.title])
    assert 0 <= answer.seconds < 10


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_one_attempt_without_a_timeout(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://someone:s3cr3t@127.0.0.1:{closed_port()}/none"
    started = monotonic()
    with pytest.raises(Unreachable) as caught:
        databases.waitdb(Project.configure(tmp_path, url=url))
    assert monotonic() - started < 5
    assert "waitdb" in (caught.value.hint or "")
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_time_that_is_no_number(tmp_path: Path, driver: str) -> None:
    """waitdb does not wait for a mistake in the URL to go away."""
    url = f"postgresql+{driver}://u@127.0.0.1:{closed_port()}/d?connect_timeout=soon"
    with pytest.raises(UsageError, match="does not take this URL"):
        databases.waitdb(Project.configure(tmp_path, url=url), timeout=30)


def test_hint_for_a_driver_that_gives_up_first(tmp_path: Path) -> None:
    backend = Project.configure(tmp_path, url="postgresql://u@127.0.0.1/d").backend
    error = OperationalError(None, None, TimeoutError("connection timeout expired"))
    assert "add connect_timeout=SECONDS after ?" in str(backend.explain_connecting(error).hint)


def test_keeps_trying_until_it_is_there(tmp_path: Path) -> None:
    project = Project.configure(tmp_path, url="sqlite:///late.db")
    failures: list[Unreachable] = []

    def make() -> None:
        sleep(0.3)
        (tmp_path / "late.db").touch()

    thread = threading.Thread(target=make)
    thread.start()
    answer = databases.waitdb(project, timeout=20, on_failure=failures.append)
    thread.join()
    assert failures
    assert answer.seconds >= 0.3
    project.close()


def test_gives_up_in_time(tmp_path: Path) -> None:
    started = monotonic()
    with pytest.raises(Unreachable):
        databases.waitdb(Project.configure(tmp_path, url="sqlite:///never.db"), timeout=0.5)
    assert 0.4 < monotonic() - started < 5


networked = pytest.mark.parametrize(
    "drivers",
    ["postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql", "mysql+mysqldb"],
    indirect=True,
)


@networked
@pytest.mark.parametrize("stops", ["at once", "half", "authenticated"])
def test_a_server_that_accepts_and_does_not_answer(
    company: Path, drivers: Database, inv_process: Callable[..., Result], stops: str
) -> None:
    """Otherwise each of these waits for ever, and the test with it."""
    url = make_url(drivers.url)
    assert url.host
    assert url.port
    with silent(drivers.kind, (url.host, url.port), stops=stops) as port:
        there = url.set(port=port)
        with Project.configure(company, url=there.render_as_string(False)) as project:
            with pytest.raises(Unreachable, match="no answer within"):
                databases.waitdb(project, timeout=0.7)
        own = there.update_query_dict({"connect_timeout": "1"}).render_as_string(False)
        done = inv_process("query", env={"DATABASE_URL": own}, timeout=30)
        # The driver's own limit may be a moment before ours.
        told = "connect_timeout=SECONDS" in done.err or "Lost connection" in done.err
        assert (done.code, told) == (5, True), done.err
        assert "Traceback" not in done.err


@networked
def test_a_late_answer_is_no_error(company: Path, drivers: Database) -> None:
    with Project.configure(company, url=drivers.url) as project:
        assert databases.waitdb(project, timeout=20).seconds < 20


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        ("postgresql://a/x", 5),
        ("postgresql://a/x?connect_timeout=40", 40),
        ("postgresql://a/x?connect_timeout=0", None),
        ("postgresql+asyncpg://a/x?timeout=7", 7),
        ("postgresql:///x?host=a:5432&host=b:5432", 10),
        ("postgresql:///x?host=a,b,c&connect_timeout=2", 6),
        ("mysql://a/x", 5),
        ("mysql+aiomysql://a/x?connect_timeout=3", 3),
        ("sqlite:///x.db", None),
    ],
)
def test_time_to_answer(tmp_path: Path, url: str, seconds: float | None) -> None:
    assert Project.configure(tmp_path, url=url).backend.patience == seconds


@networked
@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="needs TCP_KEEPIDLE")
def test_the_system_looks_whether_a_silent_peer_is_there(company: Path, drivers: Database) -> None:
    """A statement has no deadline; a server that is gone would leave us waiting for hours."""
    with (
        Project.configure(company, url=drivers.url) as project,
        project.connect() as connection,
    ):
        driver = connection.connection.driver_connection
        descriptor = (driver if hasattr(driver, "fileno") else driver._sock).fileno()
        wire = socket.socket(fileno=descriptor)
        idle = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        alive = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        wire.detach()
    assert (alive, idle) == (1, KEEPALIVE["TCP_KEEPIDLE"])
