"""An env.py that makes its own engine is led to the database that we name, or refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from conftest import KINDS, Database, fresh_database
from foreign import Inv, marks, sqlite_only, tables


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[Database]:
    """Return a second database of the same kind."""
    folder = tmp_path / "other"
    folder.mkdir()
    with fresh_database(request, folder, database.kind, KINDS[database.kind]) as fresh:
        yield fresh


OWN_ENGINE = """
from alembic import context
from sqlalchemy import create_engine, text

with create_engine({url!r}{more}).connect() as connection:
    {before}
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def write_env(root: Path, url: str, more: str = "", before: str = "") -> None:
    text = OWN_ENGINE.format(url=url, more=more, before=before)
    (root / "alembic" / "env.py").write_text(text)


def test_url_of_its_own_leads_to_the_project(
    copy: Callable[[str], Path], run: Inv, database: Database, other: Database
) -> None:
    root = copy("generic")
    write_env(root, other.url)
    run(root, "migrate")
    run(root, "migrate", "--to=-1", "--no-input")
    assert marks(run(root, "showmigrations")) == ["[X]1f0c5d", "[ ]8a4e9d"]
    assert tables(database) == {"alembic_version", "author"}
    assert tables(other) == set()
    assert not list((root.parent / "other").iterdir())


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_another_kind_of_database_is_refused(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    root = copy("generic")
    write_env(root, "mysql+pymysql://shop:hunter2-secret@db.invalid/shop")
    for command in ("showmigrations", "migrate"):
        refused = run(root, command, code=3)
        assert "mysql://db.invalid/shop" in refused.err
        assert database.url.rpartition("/")[2] in refused.err
        assert "hunter2" not in refused.err
    assert tables(database) == set()


@sqlite_only
def test_connection_that_cannot_be_followed_is_refused(
    copy: Callable[[str], Path], run: Inv, database: Database, tmp_path: Path
) -> None:
    root = copy("generic")
    elsewhere = tmp_path / "elsewhere.db"
    creator = f"creator=lambda: __import__('sqlite3').connect({str(elsewhere)!r})"
    write_env(root, "sqlite://", more=f", {creator}")
    refused = run(root, "migrate", code=3)
    assert "creator=" in refused.err
    assert not elsewhere.exists() or elsewhere.stat().st_size == 0
    assert tables(database) == set()


@sqlite_only
def test_database_in_memory_is_refused_and_says_why(copy: Callable[[str], Path], run: Inv) -> None:
    refused = run(copy("generic"), "migrate", code=3, url="sqlite://")
    assert "a database in memory has one only" in refused.err
    assert "hint: take a file" in refused.err


SEVERAL = """
from alembic import context
from sqlalchemy import create_engine

for url in {urls!r}:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


@sqlite_only
def test_several_databases_in_one_run_are_refused(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Else the second one's revisions would go to the first's database."""
    root = copy("generic")
    urls = ["sqlite:///one.db", "sqlite:///two.db"]
    (root / "alembic" / "env.py").write_text(SEVERAL.format(urls=urls))
    assert "several databases in one run" in run(root, "migrate", code=3).err
    assert tables(database) == set()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_env_that_does_not_commit_is_told(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Plain Alembic says that it has upgraded, and rolls back."""
    root = copy("generic")
    write_env(root, database.url, before='connection.execute(text("SELECT 1"))')
    failed = run(root, "migrate", code=2)
    assert "env.py has not committed" in failed.err
    assert "state: rolled back" in failed.err
    assert tables(database) == set()


@sqlite_only
def test_env_that_runs_nothing_is_told(copy: Callable[[str], Path], run: Inv) -> None:
    root = copy("generic")
    (root / "alembic" / "env.py").write_text('print("not ready yet")\n')
    failed = run(root, "migrate", "--check", code=2)
    assert "env.py runs no migrations" in failed.err
    assert failed.out == ""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_keywords_of_env_are_kept(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """It may not say where to go, but a search_path is its own affair."""
    root = copy("generic")
    more = ', connect_args={"host": "db.invalid", "options": "-csearch_path=shop"}'
    engine = create_engine(database.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA shop")
    write_env(root, "postgresql+psycopg://nobody@db.invalid/nothing", more=more)
    run(root, "migrate")
    assert {"author", "book"} <= set(inspect(engine).get_table_names(schema="shop"))
    engine.dispose()
