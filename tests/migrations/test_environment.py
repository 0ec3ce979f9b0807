"""Plain Alembic in the same checkout, through the same env.py, on the same database."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import warm
from conftest import Database, clean_environment


@pytest.fixture
def alembic(company: Path) -> Callable[..., str]:
    def run(*arguments: str, url: str | None = None, cwd: Path | None = None) -> str:
        environ = {k: v for k, v in os.environ.items() if not k.endswith("DATABASE_URL")}
        if url:
            environ["DATABASE_URL"] = url
        done = warm.run("alembic", *arguments, cwd=cwd or company, env=environ)
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


@pytest.mark.parametrize("file", ["alembic.ini", None])
def test_url_that_a_program_sets_wins(company: Path, tmp_path: Path, file: str | None) -> None:
    """Alembic's own recipe for tests; the URL that stands in alembic.ini is not one of these."""
    with (company / "alembic.ini").open("a") as ini:
        ini.write("sqlalchemy.url = driver://user:pass@localhost/dbname\n")
    program = (
        "from alembic import command\n"
        "from alembic.config import Config\n"
        f"config = Config({file!r})\n"
        "config.set_main_option('script_location', 'migrations')\n"
        "config.set_main_option('prepend_sys_path', 'src')\n"
        f"config.set_main_option('sqlalchemy.url', 'sqlite:///{tmp_path}/test.db')\n"
        "command.upgrade(config, 'head')\n"
    )
    (company / "run.py").write_text(program)
    environ = clean_environment() | {"DATABASE_URL": "sqlite:///development.db"}
    done = warm.run("run", cwd=company, env=environ)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "test.db").is_file()
    assert not (company / "development.db").exists()


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


@pytest.mark.pyproject
def test_pyproject_toml(company: Path, alembic: Callable[..., str]) -> None:
    (company / "alembic.ini").unlink()
    (company / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["src"]\n'
    )
    tasks = company / "tasks.py"
    tasks.write_text(tasks.read_text().replace("(\n", '(\n    alembic="pyproject.toml",\n', 1))
    alembic("upgrade", "head")
    assert (company / "app.db").is_file()


def test_tasks_as_a_package(company: Path, alembic: Callable[..., str]) -> None:
    (company / "tasks").mkdir()
    (company / "tasks.py").rename(company / "tasks" / "database.py")
    (company / "tasks" / "__init__.py").write_text("from tasks.database import ns\n")
    alembic("upgrade", "head")
    assert (company / "app.db").is_file()


def test_read_only_alias_and_two_collections_are_refused(company: Path) -> None:
    def refused(**environ: str) -> str:
        told = clean_environment() | environ
        done = warm.run("alembic", "upgrade", "head", cwd=company, env=told)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    tasks = company / "tasks.py"
    text = tasks.read_text()
    tasks.write_text(text.replace("(\n", '(\n    databases={"ro": {"read_only": True}},\n', 1))
    ro = {"DBTASKS_DATABASE": "ro", "RO_DATABASE_URL": "sqlite:///app.db"}
    assert "declared read-only" in refused(**ro)
    tasks.write_text(text + text.replace("ns =", "other ="))
    assert "several collections" in refused()
    assert list(company.glob("*.db")) == []
