"""waitdb: until the database answers, and no longer."""

import socket
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest

from dbtasks import Project, databases
from dbtasks.errors import Unreachable

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
