"""Whatever is sent, SQLite keeps the journal from which it rolls back."""

import sqlite3
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from conftest import Database
from dbtasks import Project, fixtures, migrations
from dbtasks.errors import DbtasksError, Refused
from dbtasks.records import sql, update
from trees import add_revision

ROWS = 20_000
MODES = ("OFF", "MEMORY", "'off'", "o", "mem", "[of]", '"M"')
PRAGMAS = (
    "PRAGMA journal_mode={}",
    "pragma main . journal_mode ( {} )",
    "PRAGMA journal_mode= {}",
)
LONGER = "UPDATE department SET name = name || name || name"

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def filled(company: Path, database: Database) -> Iterator[Project]:
    """Return the reference project on a file with many departments."""
    named = {"metadata": "company.models:Base", "seeds": "careless:seed"}
    with Project.configure(company, **named, url=database.url) as project:
        migrations.migrate(project)
        with project.connect(writes=True) as connection:
            rows = [(number, f"department {number}") for number in range(ROWS)]
            connection.exec_driver_sql("INSERT INTO department VALUES (?, ?)", rows)
        yield project


def content(project: Project) -> list[tuple[object, ...]]:
    """Return the rows, read by SQLite alone, of a file that is whole."""
    with sqlite3.connect(str(project.backend.url.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT id, name FROM department ORDER BY id").fetchall()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pragma", PRAGMAS)
def test_sql_that_would_leave_none_is_refused(filled: Project, pragma: str, mode: str) -> None:
    before = content(filled)
    typed = f"{pragma.format(mode)}; {LONGER}"
    with pytest.raises(Refused, match="not authorized"):
        with sql(filled, typed, write=True, several=True, dry_run=True) as results:
            assert [one.changed for one in results]
    assert content(filled) == before


@pytest.mark.parametrize("mode", MODES)
def test_seed_and_revision_that_would_leave_none(filled: Project, company: Path, mode: str) -> None:
    before = content(filled)
    sent = (f"PRAGMA journal_mode={mode}", LONGER)
    lines = [f"    session.execute(text({one!r}))" for one in sent]
    seed = ["from sqlalchemy import text", "def seed(session):", *lines, "    1 / 0"]
    (company / "src" / "careless.py").write_text("\n".join(seed))
    sys.modules.pop("careless", None)
    invalidate_caches()
    with pytest.raises(DbtasksError, match="roll back") as seeded:
        fixtures.seed(filled)
    assert seeded.value.state == "rolled back"
    lines = [f"op.execute({one!r})" for one in sent]
    body = "\n".join([*lines, "1 / 0"])
    add_revision(company, "0002_off", body)
    with pytest.raises(Refused, match="PRAGMA journal_mode=OFF"):
        migrations.migrate(filled)
    assert content(filled) == before


@pytest.mark.parametrize("mode", MODES)
def test_mode_that_the_project_connects_with(filled: Project, tmp_path: Path, mode: str) -> None:
    other = tmp_path / "other.db"

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"ATTACH '{other}' AS \"an other\"")
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute(f'PRAGMA "an other".journal_mode={mode}')

    before = content(filled)
    filled.close()
    event.listen(Engine, "connect", connected)
    try:
        update(filled, "Department", everything=True, values=["name=x"], dry_run=True)
        with pytest.raises(ZeroDivisionError):
            with filled.connect(writes=True) as connection:
                connection.execute(text(LONGER))
                _ = 1 / 0
        assert content(filled) == before
        with filled.connect(writes=True) as connection:
            for name in ("main", '"an other"'):
                asked = connection.exec_driver_sql(f"PRAGMA {name}.journal_mode")
                assert asked.scalar() == "delete"
    finally:
        event.remove(Engine, "connect", connected)
