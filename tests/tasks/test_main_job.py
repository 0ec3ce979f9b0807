"""The main job, as a user types it: migrate, seed, query."""

import platform
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import ROOT, Database, Result, clean_environment
from terminals import run_on_terminal
from trees import paths

Inv = Callable[..., Result]

JOB = ("migrate", "seed", "query", "--name", "A")


def test_on_the_embedded_default(inv: Inv, company: Path) -> None:
    first = inv(*JOB)
    assert first.code == 0
    assert first.out.splitlines()[1:] == ["Added 1 Department, 2 Employee.", "Alice → Engineering"]
    assert first.out.startswith("Applying 0001_department_employee ... OK (0.")
    again = inv(*JOB)
    assert again.out == "Nothing to apply.\nNothing to add.\nAlice → Engineering\n"
    assert [path.name for path in company.glob("*.db")] == ["app.db"]


def test_through_every_driver(inv: Inv, drivers: Database) -> None:
    done = inv(*JOB, env={"DATABASE_URL": drivers.url})
    assert (done.code, done.out.splitlines()[-1]) == (0, "Alice → Engineering")
    assert inv("query", "--name", "a", env={"DATABASE_URL": drivers.url}).out == ""


def test_in_memory_for_the_whole_chain(inv: Inv, company: Path) -> None:
    before = paths(company)
    done = inv(*JOB, env={"DATABASE_URL": "sqlite+pysqlite:///:memory:"})
    assert done.out.splitlines()[-1] == "Alice → Engineering"
    assert paths(company) == before


def test_from_a_folder_below(inv: Inv, company: Path) -> None:
    done = inv(*JOB, cwd=company / "src" / "company")
    assert done.out.splitlines()[-1] == "Alice → Engineering"
    assert (company / "app.db").is_file()


def test_says_where_it_writes_without_the_password(inv: Inv, company: Path) -> None:
    url = f"sqlite:///{company}/x.db"
    done = inv("migrate", "seed", env={"DATABASE_URL": url, "DBTASKS_ENV": "staging"})
    line = f"database: default, sqlite+pysqlite:///{company}/x.db, staging\n"
    marked = "x.db is now marked as staging, as DBTASKS_ENV says; to undo that: "
    assert done.err == f"{line}{marked}inv protect --remove\n{line}"


def test_bare_async_and_heroku_urls(inv: Inv, database: Database) -> None:
    scheme = {
        "sqlite": ["sqlite", "sqlite+aiosqlite"],
        "postgresql": ["postgres", "postgresql", "postgresql+asyncpg"],
        "mariadb": ["mysql", "mariadb", "mysql+aiomysql", "mysql+asyncmy"],
    }
    rest = database.url.partition("://")[2]
    for one in scheme[database.kind]:
        done = inv(*JOB, env={"DATABASE_URL": f"{one}://{rest}"})
        assert (done.code, done.out.splitlines()[-1]) == (0, "Alice → Engineering")


def test_output_is_utf8_in_any_locale(inv_process: Inv) -> None:
    inv_process("migrate", "seed")
    done = inv_process("query", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.out.splitlines()[0] == "Alice → Engineering"


def test_formats(inv: Inv) -> None:
    inv("migrate", "seed")
    assert inv("query", "--format", "jsonl", "--limit", "1").out == (
        '{"id": 1, "name": "Alice", "dept_id": 1}\n'
    )
    assert inv("query", "--format", "csv").out == "id,name,dept_id\n1,Alice,1\n2,Bob,1\n"
    assert inv("query", "--format", "table").out.split()[:3] == ["id", "name", "dept_id"]
    assert inv("query", "-m", "Department", "-w", "id=1").out == "Engineering\n"
    assert inv("query").err == "2 records\n"


def on_a_terminal(company: Path, *arguments: str, answer: str = "") -> tuple[int, str]:
    """Run `inv` on a terminal, type an answer, and return the exit code and all it showed."""
    environment = clean_environment()
    return run_on_terminal(company, *arguments, environment=environment, answer=answer)


def test_backwards_asks_for_the_databases_name(inv: Inv, company: Path) -> None:
    inv("migrate", "seed")
    code, shown = on_a_terminal(company, "migrate", "--to", "base", answer="yes\n")
    assert (code, "Type app.db to go on" in shown, "error: not confirmed" in shown) == (
        3,
        True,
        True,
    )
    assert inv("showmigrations").out.startswith("[X] 0001_department_employee  ")
    code, shown = on_a_terminal(company, "migrate", "--to", "base", answer="app.db\n")
    assert (code, "Reverting 0001_department_employee ... OK" in shown) == (0, True)


def test_backwards_without_a_terminal_wants_no_input(inv: Inv) -> None:
    inv("migrate")
    refused = inv("migrate", "--to", "base")
    assert (refused.code, refused.out) == (3, "")
    assert "--no-input" in refused.err
    for flag in ("--no-input", "--noinput", "-y"):
        inv("migrate")
        assert inv("migrate", "--to", "base", flag).out.startswith("Reverting")


def test_showmigrations_and_check(inv: Inv, company: Path) -> None:
    assert inv("showmigrations").out == "[ ] 0001_department_employee\n"
    pending = inv("migrate", "--check")
    assert (pending.code, pending.out) == (1, "[ ] 0001_department_employee\n")
    assert list(company.glob("*.db")) == []
    inv("migrate")
    assert inv("migrate", "--check").code == 0
    shown = inv("showmigrations", "--format", "jsonl").out
    assert '"revision": "0001_department_employee"' in shown
    assert '"applied": true' in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["migrate", "--dry"],
        ["--dry", "migrate"],
        ["migrate", "-R"],
        ["migrate", "--dry-run"],
        ["migrate", "--check"],
    ],
)
def test_dry_runs_of_migrate_change_nothing(
    inv: Inv, database: Database, arguments: list[str]
) -> None:
    done = inv(*arguments, env={"DATABASE_URL": database.url})
    assert ("CREATE TABLE employee" in done.out) == ("--check" not in arguments)
    shown = inv("showmigrations", env={"DATABASE_URL": database.url})
    assert shown.out == "[ ] 0001_department_employee\n"
    if database.kind == "sqlite":
        assert not Path(database.url.partition(":///")[2]).exists()


@pytest.mark.parametrize("arguments", [["seed", "--dry"], ["-R", "seed"], ["seed", "--dry-run"]])
def test_dry_runs_of_seed_change_nothing(inv: Inv, arguments: list[str]) -> None:
    inv("migrate")
    assert inv(*arguments).out == "Would add 1 Department, 2 Employee.\n"
    assert inv("query").out == ""


@pytest.mark.parametrize("arguments", [["--echo", "query"], ["query", "--echo"], ["query", "-e"]])
def test_echo_shows_the_sql_on_stderr(inv: Inv, arguments: list[str]) -> None:
    inv("migrate", "seed")
    done = inv(*arguments)
    assert "FROM employee" in done.err
    assert done.out == "Alice → Engineering\nBob → Engineering\n"
    assert "FROM employee" not in inv("query").err


def test_waitdb_and_settings(inv: Inv, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    if database.kind == "sqlite":
        inv("migrate", env=env)
    assert " answered after 0." in inv("waitdb", "--timeout", "5", env=env).out
    shown = inv("settings", "--format", "csv", env=env).out
    assert "environment: DATABASE_URL" in shown
    assert "metadata,company.models:Base,tasks.py" in shown
    versions = dict(re.findall(r"^version of (\w+),([\d.]+),installed$", shown, re.MULTILINE))
    driver = {"sqlite": "sqlite3", "postgresql": "psycopg", "mariadb": "pymysql"}[database.kind]
    assert {*versions} == {"python", "dbtasks", "sqlalchemy", "alembic", "invoke", driver}
    assert versions["python"] == platform.python_version()


def test_test_runs_pytest_and_hands_on_its_code(inv: Inv, company: Path) -> None:
    (company / "test_words.py").write_text(
        "import os\n"
        "def test_environment(): assert os.environ['DBTASKS_ENV'] == 'test'\n"
        "def test_other(): assert False\n"
    )
    assert inv("test", "--", "-q", "-k", "not other and environment").code == 0
    failed = inv("test", "--", "-q")
    assert (failed.code, "1 failed, 1 passed" in failed.out) == (1, True)


@pytest.mark.parametrize("program", ["invoke", "dbtasks"])
def test_test_without_pytest(company: Path, tmp_path: Path, program: str) -> None:
    """All installed packages but pytest, without a mock: links to them, and no site-packages."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for one in Path(find_spec("pytest").origin).parents[1].iterdir():
        if not one.name.lstrip("_").startswith("pytest"):
            (packages / one.name).symlink_to(one)
    done = subprocess.run(
        [sys.executable, "-S", "-m", program, "test"],
        cwd=company,
        env=clean_environment() | {"PYTHONPATH": f"{packages}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: pytest is not installed\nhint: pip install pytest\nstate: nothing was changed\n",
    )
