"""SQLite as dbtasks opens it."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from dbtasks import Project
from dbtasks.errors import LocalFailure, Locked, Rejected, Unreachable


def project_on(path: Path) -> Project:
    return Project.configure(path.parent, url=f"sqlite:///{path}?timeout=0.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE a (id INTEGER PRIMARY KEY);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a (id));"
    )
    connection.close()
    return path


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="there is no database file"):
        with project_on(tmp_path / "none.db").connect():
            pass
    assert list(tmp_path.iterdir()) == []


def test_foreign_keys_hold(path: Path) -> None:
    with pytest.raises(Rejected, match="KEY constraint failed, by INSERT INTO b") as caught:
        with project_on(path).connect(writes=True) as connection:
            connection.execute(text("INSERT INTO b VALUES (1, 99)"))
    assert caught.value.state == "rolled back"


def test_ddl_is_rolled_back(path: Path) -> None:
    project = project_on(path)
    with pytest.raises(Rejected), project.connect(writes=True) as connection:
        connection.execute(text("CREATE TABLE c (id INTEGER)"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))
    with project.connect() as connection:
        tables = connection.scalars(text("SELECT name FROM sqlite_master ORDER BY 1")).all()
    assert tables == ["a", "b"]


def test_reading_goes_on_beside_a_writer_and_a_second_writer_is_told(path: Path) -> None:
    with project_on(path).connect(writes=True) as writer:
        writer.execute(text("INSERT INTO a VALUES (1)"))
        with project_on(path).connect() as reader:
            assert reader.scalar(text("SELECT count(*) FROM a")) == 0
        with pytest.raises(Locked, match=r"app\.db is locked"):
            with project_on(path).connect(writes=True):
                pass


def test_full_database_is_a_local_failure(path: Path) -> None:
    with pytest.raises(LocalFailure, match="full"):
        with project_on(path).connect(writes=True) as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=4")
            connection.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(100000) AS x")
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(Unreachable, match="file is not a database"):
        with project_on(tmp_path / "notes.db").connect() as connection:
            connection.execute(text("SELECT * FROM sqlite_master"))
