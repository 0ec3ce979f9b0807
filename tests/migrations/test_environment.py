"""Plain Alembic in the same checkout, through the same env.py, on the same database."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database


@pytest.fixture
def alembic(company: Path) -> Callable[..., str]:
    def run(*arguments: str, url: str | None = None, cwd: Path | None = None) -> str:
        environ = {k: v for k, v in os.environ.items() if not k.endswith("DATABASE_URL")}
        if url:
            environ["DATABASE_URL"] = url
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=cwd or company,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_upgrade_current_and_check(
    database: Database, inv: Callable[..., object], alembic: Callable[..., str]
) -> None:
    alembic("upgrade", "head", url=database.url)
    assert "0001_department_employee (head)" in alembic("current", url=database.url)
    assert "No new upgrade operations" in alembic("check", url=database.url)
    shown = inv("migrate", "--check", env={"DATABASE_URL": database.url})
    assert shown.out == "Nothing to apply.\n"  # type: ignore[attr-defined]  # a Result


def test_default_url_of_tasks_py_is_alembics_too(
    company: Path, inv: Callable[..., object], alembic: Callable[..., str]
) -> None:
    inv("migrate")
    assert "(head)" in alembic("current")
    assert "(head)" in alembic("-c", str(company / "alembic.ini"), "current", cwd=company.parent)
    assert [path.name for path in company.glob("*.db")] == ["app.db"]


def test_dotenv_beside_alembic_ini(company: Path, alembic: Callable[..., str]) -> None:
    (company / ".env").write_text("DATABASE_URL=sqlite:///from-dotenv.db\n")
    alembic("upgrade", "head")
    assert (company / "from-dotenv.db").is_file()


def test_without_tasks_py_the_environment_is_enough(
    company: Path, alembic: Callable[..., str]
) -> None:
    """An image that is deployed without tasks.py."""
    (company / "tasks.py").unlink()
    alembic("upgrade", "head", url="sqlite:///other.db")
    assert (company / "other.db").is_file()


def test_sql_needs_no_database(alembic: Callable[..., str]) -> None:
    text = alembic("upgrade", "head", "--sql", url="postgresql://nobody@nowhere.invalid/none")
    assert "CREATE TABLE employee" in text
    assert "id SERIAL NOT NULL" in text


def test_autogenerate_sees_neither_views_nor_our_tables(
    company: Path, inv: Callable[..., object], alembic: Callable[..., str]
) -> None:
    inv("migrate")
    import sqlite3

    connection = sqlite3.connect(company / "app.db")
    connection.execute("CREATE TABLE dbtasks_journal (id INTEGER)")
    connection.commit()
    connection.close()
    assert "No new upgrade operations" in alembic("check")
