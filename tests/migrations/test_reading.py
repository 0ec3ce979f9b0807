"""The models compared with a database that is only read, where no scratch database can be had."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from conftest import Database, Result
from dbtasks.engines.base.scratch import Scratch
from dbtasks.engines.sqlite.backend import SQLite
from foreign import Inv
from office import NAME, add_column, change, execute, rows
from recipes import APP, APP_PASSWORD
from trees import add_revision

NICK = "    nick: Mapped[str] = mapped_column(String(50))\n"
WANTS_ROWS = "assert op.get_bind().scalar(sa.text('SELECT count(*) FROM employee'))"
READ = "compared with the database, which is only read"
GRANTS = {
    "postgresql": ["GRANT ALL ON SCHEMA public TO app"],
    "mariadb": ["GRANT ALL ON {name}.* TO app@'%'"],
}


@pytest.fixture
def limited(inv: Inv, database: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[Inv, str]:
    """Return `inv` by a role that may make no database, and the hint of that."""
    url = sa.make_url(database.url)
    if database.kind == "sqlite":
        monkeypatch.setattr(SQLite, "scratch", Scratch)  # as on an engine that dbtasks cannot read
        hint = "no scratch database can be made on SQLite"
    else:
        hint = {
            "postgresql": "run ALTER ROLE app CREATEDB;",
            "mariadb": r"run GRANT ALL ON `dbtasks\_scratch\_%`.* TO 'app'@'%';",
        }[database.kind]
        for grant in GRANTS[database.kind]:
            execute(database, grant.format(name=url.database))
        url = url.set(username=APP, password=APP_PASSWORD)
    env = {"DATABASE_URL": url.render_as_string(hide_password=False)}

    def run(*arguments: str, code: int = 0, **options: object) -> Result:
        done = inv(*arguments, env=env, **options)
        assert done.code == code, done.err
        assert APP_PASSWORD not in done.err
        return done

    return run, hint


def test_a_role_that_may_make_no_database(
    limited: tuple[Inv, str], company: Path, database: Database
) -> None:
    run, hint = limited
    refused = run("makemigrations", "--check", code=2)
    assert hint in refused.err
    assert "bring the database up to date: inv migrate" in refused.err
    run("migrate")
    done = run("makemigrations", "--check")
    assert done.out == "No changes.\n"
    assert READ in done.err
    assert hint in done.err
    assert run("makemigrations", "--check", "--from-database").out == "No changes.\n"
    execute(database, "INSERT INTO department (name) VALUES ('Sales')")
    execute(database, "INSERT INTO employee (name, dept_id) VALUES ('Ann', 1)")
    change(company, NAME, NAME.replace("name", "full_name") + NICK)
    assert "nick" in run("makemigrations", "--check", code=1).out
    asked = run("makemigrations", "--no-input", code=3)
    assert "--rename employee.name:employee.full_name" in asked.err
    run(
        *("makemigrations", "--no-input", "--rename", "employee.name:employee.full_name"),
        *("--default", "employee.nick=none"),
    )
    run("migrate")
    assert rows(database, "SELECT full_name, nick FROM employee") == [("Ann", "none")]
    assert run("makemigrations", "--check").out == "No changes.\n"
    run("rollback", "--no-input")
    assert rows(database, "SELECT name FROM employee") == [("Ann",)]


def test_a_first_revision(limited: tuple[Inv, str], company: Path, database: Database) -> None:
    run, _ = limited
    next((company / "migrations" / "versions").glob("*.py")).unlink()
    run("makemigrations")
    run("migrate")
    assert run("makemigrations", "--check").out == "No changes.\n"


def test_a_history_that_does_not_run_on_an_empty_database(
    office: Inv, company: Path, database: Database
) -> None:
    """It wants a row that the project's own database has."""
    add_revision(company, "0002_rows", WANTS_ROWS)
    failed = office("makemigrations", "--check")
    assert (failed.code, "0002_rows" in failed.err) == (2, True)
    assert office("migrate").code == 0
    done = office("makemigrations", "--check")
    assert (done.code, done.out) == (0, "No changes.\n"), done.err
    assert READ in done.err
    assert "0002_rows" in done.err
    assert "scratch" not in done.err
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    made = office("makemigrations")
    assert made.code == 0, made.err
    assert office("migrate").code == 0
    assert office("makemigrations", "--check").code == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_is_written_to_the_database(office: Inv, company: Path, database: Database) -> None:
    add_revision(
        company, "0002_rows", "assert op.get_bind().scalar(sa.text('SELECT 1 FROM employee'))"
    )
    office("migrate")
    path = Path(database.url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    assert office("makemigrations").code == 0
    assert path.read_bytes() == before


def test_it_is_not_asked_where_the_scratch_database_is_wrong(
    office: Inv, database: Database
) -> None:
    """Who names a scratch database wants that one."""
    refused = office("makemigrations", "--check", env={"SCRATCH_DATABASE_URL": database.url})
    assert refused.code == 2
    assert READ not in refused.err
