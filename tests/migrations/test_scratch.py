"""Scratch databases: none survives its command, and none in use is dropped by another."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from time import time

import pytest
import sqlalchemy as sa

from conftest import Database
from dbtasks import Project, files
from foreign import Inv

PREFIX = "dbtasks_scratch_"
NAMES = {"postgresql": "SELECT datname FROM pg_database", "mariadb": "SHOW DATABASES"}

POOLED = """
from alembic import context
from company.models import Base
from facade import engine

{before}
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder in which SQLite's scratch databases are."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left(database: Database, folder: Path) -> list[str]:
    """Return the scratch databases that exist."""
    if database.kind == "sqlite":
        return [path.name for path in folder.glob(f"{PREFIX}*")]
    with administering(database) as connection:
        names = connection.scalars(sa.text(NAMES[database.kind])).all()
    return [name for name in names if name.startswith(PREFIX)]


def administering(database: Database, name: str | None = None) -> closing[sa.Connection]:
    url = sa.make_url(database.url)
    url = url if name is None else url.set(database=name)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    return closing(engine.connect())


@pytest.mark.parametrize("before", ["", "kept = engine.connect()"])
def test_a_pool_of_env_py_keeps_no_scratch_database(
    inv: Inv, company: Path, database: Database, temporary_folder: Path, before: str
) -> None:
    (company / "facade.py").write_text(
        f"import sqlalchemy\nengine = sqlalchemy.create_engine({database.url!r})\n"
    )
    (company / "migrations" / "env.py").write_text(POOLED.format(before=before))
    for _ in range(2):
        done = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
        assert (done.code, done.out) == (0, "No changes.\n"), done.err
    assert left(database, temporary_folder) == []


def test_a_history_that_fails_leaves_no_scratch_database(
    inv: Inv, company: Path, database: Database, temporary_folder: Path
) -> None:
    path = next((company / "migrations" / "versions").glob("0001_*.py"))
    path.write_text(
        path.read_text().replace("def upgrade() -> None:", "def upgrade() -> None:\n    1 / 0")
    )
    failed = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
    assert failed.code == 2, failed.err
    assert left(database, temporary_folder) == []


@pytest.fixture
def abandoned(database: Database, temporary_folder: Path) -> Iterator[tuple[str, str]]:
    """Return the names of two old scratch databases: one that is locked, and one that is not."""
    names = [f"{PREFIX}{int(time()) - 100}_{number}" for number in (1, 2)]
    with ExitStack() as stack:
        if database.kind == "sqlite":
            for name in names:
                (temporary_folder / name).mkdir()
                os.utime(temporary_folder / name, (time() - 100,) * 2)
            stack.enter_context(files.locked(temporary_folder / names[0]))
            yield names[0], names[1]
            return
        connection = stack.enter_context(administering(database))
        for name in names:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
            stack.callback(connection.execute, sa.text(f"DROP DATABASE IF EXISTS {name}"))
        user = stack.enter_context(administering(database, names[0]))
        with Project.configure(".", url=database.url) as project:
            lock = project.backend.session_lock(user)
        assert lock is not None
        assert lock.take()
        yield names[0], names[1]


def test_the_next_command_drops_what_is_abandoned_and_not_what_is_in_use(
    inv: Inv, database: Database, temporary_folder: Path, abandoned: tuple[str, str]
) -> None:
    done = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
    assert done.code == 0, done.err
    assert left(database, temporary_folder) == [abandoned[0]]
