"""More tables than a transaction of PostgreSQL can lock by its max_locks_per_transaction."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

import servers
from conftest import Database, Result, new_database
from foreign import Inv, tables
from recipes import NotInstalledError
from trees import add_revision

TABLES = 150
MODELS = f"""
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

for number in range({TABLES}):
    sa.Table(
        f"t{{number}}",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, index=True),
    )
"""

STATEMENTS = """
for number in range({first}, {last}):
    key, name = sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    op.create_table(f"t{{number}}", key, name)
    op.create_index(f"ix_t{{number}}_name", f"t{{number}}", ["name"])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the URL of a PostgreSQL with room for few locks."""
    try:
        found = servers.start("few_locks")
    except NotInstalledError:
        pytest.skip("no server: install postgresql")
    yield found.url
    found.stop()


@pytest.fixture
def database(server: str) -> Iterator[Database]:
    with new_database("postgresql", make_url(server), "postgresql+psycopg") as url:
        yield Database("postgresql", url)


@pytest.fixture
def run(inv: Inv, company: Path, database: Database) -> Callable[..., Result]:
    """Return `inv` in a project with many tables, which has to succeed unless a code is given."""
    (company / "src" / "company" / "models.py").write_text(MODELS)
    for path in (company / "migrations" / "versions").glob("*.py"):
        path.unlink()

    def run(*arguments: str, code: int = 0) -> Result:
        done = inv(*arguments, env={"DATABASE_URL": database.url})
        assert done.code == code, done.err
        return done

    return run


def write_history(company: Path, revisions: int) -> None:
    after, size = None, TABLES // revisions
    for number in range(revisions):
        body = STATEMENTS.format(first=number * size, last=(number + 1) * size)
        name = f"{number + 1:04}_tables"
        add_revision(company, name, body, after=after)
        after = name


def test_makemigrations_writes_them_and_migrate_says_what_it_takes(
    run: Callable[..., Result], database: Database
) -> None:
    run("makemigrations")
    refused = run("migrate", code=8)
    assert "out of shared memory" in refused.err
    assert "divide 0001_initial.py; or raise max_locks_per_transaction" in refused.err
    assert "rolled back, 0 of 1 applied" in refused.err
    assert tables(database) == set()
    assert run("makemigrations", "--check").out == "No changes.\n"


def test_a_run_with_a_transaction_for_each_revision(
    run: Callable[..., Result], company: Path, database: Database
) -> None:
    write_history(company, 10)
    refused = run("migrate", code=8)
    assert "inv migrate --per-revision" in refused.err
    assert "rolled back, 0 of 10 applied" in refused.err
    assert tables(database) == set()
    run("migrate", "--per-revision")
    assert len(tables(database)) == TABLES + 1
    assert run("makemigrations", "--check").out == "No changes.\n"


def test_functions_of_the_history_are_there_for_the_models(
    run: Callable[..., Result], company: Path
) -> None:
    write_history(company, 10)
    function = "CREATE FUNCTION five() RETURNS integer LANGUAGE sql AS 'SELECT 5'"
    add_revision(company, "0011_five", f'op.execute("{function}")', after="0010_tables")
    models = company / "src" / "company" / "models.py"
    column = "sa.Column('five', sa.Integer, server_default=sa.text('five()'))"
    models.write_text(f"{MODELS}\nBase.metadata.tables['t7'].append_column({column})\n")
    assert run("makemigrations", "--check", code=1).out == "add column t7.five\n"
    run("makemigrations")
    run("migrate", "--per-revision")
    assert run("makemigrations", "--check").out == "No changes.\n"
