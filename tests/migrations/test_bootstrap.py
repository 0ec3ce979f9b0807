"""`bootstrap=`: what a history takes for granted is made on an empty database."""

from pathlib import Path

import pytest

from conftest import Database
from office import Inv, add_column, execute, on_sqlite, rows
from trees import add_revision

FUNCTION = """

def create_tables(connection):
    connection.exec_driver_sql("CREATE TABLE legacy (id INTEGER)")
    {}
"""


@pytest.fixture
def legacy(company: Path) -> Path:
    """Return a project whose second revision changes a table that no revision made."""
    add_revision(company, "0002_legacy", 'op.execute("ALTER TABLE legacy ADD COLUMN a INTEGER")')
    tasks = company / "tasks.py"
    text = tasks.read_text()
    assert "metadata=" in text
    tasks.write_text(
        text.replace("metadata=", 'bootstrap="company.start:create_tables",\n    metadata=', 1)
    )
    write(company)
    return company


def write(company: Path, last: str = "return None") -> None:
    (company / "src" / "company" / "start.py").write_text(FUNCTION.format(last))


def test_an_empty_database_is_bootstrapped(inv: Inv, legacy: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    done = inv("migrate", cwd=legacy, env=env)
    assert done.code == 0, done
    assert done.out.startswith("Applying company.start:create_tables ... OK (")
    assert rows(database, "SELECT a FROM legacy") == []
    assert inv("migrate", cwd=legacy, env=env).out == "Nothing to apply.\n"
    assert inv("migrate", "--to", "base", "--no-input", cwd=legacy, env=env).code == 0
    add_column(legacy, "nick: Mapped[str | None] = mapped_column(String(50))")
    made = inv("makemigrations", "--drop", "legacy", "--no-input", cwd=legacy, env=env)
    assert (made.code, "add column employee.nick" in made.err) == (0, True), made


@on_sqlite
def test_a_database_with_tables_is_not(inv: Inv, legacy: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    execute(database, "CREATE TABLE legacy (id INTEGER)")
    done = inv("migrate", cwd=legacy, env=env)
    assert (done.code, "create_tables" in done.out) == (0, False), done


def test_an_initial_revision_is_compared_without_its_tables(
    inv: Inv, legacy: Path, database: Database
) -> None:
    execute(database, "CREATE TABLE legacy (id INTEGER)")
    done = inv(
        "migrate", "--fake-initial", "--to", "0001", cwd=legacy, env={"DATABASE_URL": database.url}
    )
    assert (done.code, "0001_department_employee ... OK" in done.out) == (0, True), done
    execute(database, "DELETE FROM alembic_version")
    done = inv("migrate", "--fake-initial", cwd=legacy, env={"DATABASE_URL": database.url})
    assert (done.code, "0001_department_employee ... FAKED" in done.out) == (0, True), done


def test_the_function_may_say_where_the_tables_are(
    inv: Inv, legacy: Path, database: Database
) -> None:
    """create_all of the models as they are, and no revision before the one that is named."""
    env = {"DATABASE_URL": database.url}
    write(
        legacy,
        "from company.models import Base\n    Base.metadata.create_all(connection)\n"
        "    return '0001_department_employee'",
    )
    done = inv("migrate", cwd=legacy, env=env)
    assert (done.code, "0002" in done.out, "0001" in done.out) == (0, True, False), done
    assert "[X] 0001" in inv("showmigrations", cwd=legacy, env=env).out
    for more in ((), ("--from-database",)):
        compared = inv("makemigrations", "--check", *more, cwd=legacy, env=env)
        assert (compared.code, compared.out) == (1, "drop table legacy\n"), compared
        assert ("only read" in compared.err) == (not more)
    execute(database, "DELETE FROM alembic_version")
    refused = inv("makemigrations", "--check", cwd=legacy, env=env)
    assert (refused.code, "up to date: inv migrate" in refused.err) == (3, True), refused


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("raise ValueError('no licence')", "ValueError: no licence"),
        ("connection.exec_driver_sql('SELEC 1')", "SELEC"),
        ("connection.exec_driver_sql('SELEC 1')", "bootstrap='company.start:create_tables'"),
        ("connection.commit()", "commits the transaction that it is called in"),
        ("return 7", "returned 7"),
        ("return 'nowhere'", "nowhere"),
    ],
)
def test_a_function_that_fails_is_named(
    inv: Inv, legacy: Path, database: Database, last: str, told: str
) -> None:
    write(legacy, last)
    env = {"DATABASE_URL": database.url}
    checked = inv("makemigrations", "--check", cwd=legacy, env=env)
    assert (checked.code in (2, 3, 8), told in checked.err) == (True, True), checked
    done = inv("migrate", cwd=legacy, env=env)
    assert (told in done.err, "0001" in done.out) == (True, False), done
    if database.kind == "mariadb":
        assert (done.code, "has made stays" in done.err) == (6, True), done
    else:
        assert (done.code in (2, 8), "stays" in done.err) == (True, False), done


def test_a_reference_to_nothing(inv: Inv, legacy: Path, database: Database) -> None:
    (legacy / "src" / "company" / "start.py").unlink()
    done = inv("migrate", cwd=legacy, env={"DATABASE_URL": database.url})
    assert (done.code, "bootstrap='company.start:create_tables'" in done.err) == (2, True), done
