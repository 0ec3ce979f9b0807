"""How long the transactions of a run are where env.py has its own opinion, and that it is said."""

from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from conftest import Database, Result
from dbtasks import Project, migrations, own_tables
from foreign import Inv
from trees import FIRST, add_revision

transactional = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

CONTEXT = """
from alembic import context
from sqlalchemy import create_engine

from company.models import Base

url = context.config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, target_metadata=Base.metadata{options})
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url{engine}).connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata{options})
        {begin}
            context.run_migrations()
        {end}
"""
OURS = """
from company.models import Base
from dbtasks.migrations import environment

environment.run(Base.metadata, transaction_per_migration=True)
"""
BEGIN = "with context.begin_transaction():"
PER_REVISION = "env.py sets transaction_per_migration: each revision is a transaction of its own"
AT_ONCE = "each statement is committed at once, and a failure leaves a revision partly applied"


def write_env(
    company: Path, options: str = "", engine: str = "", begin: str = BEGIN, end: str = ""
) -> None:
    text = CONTEXT.format(options=options, engine=engine, begin=begin, end=end or "pass")
    (company / "migrations" / "env.py").write_text(text)


def break_third(company: Path) -> None:
    add_revision(company, "0002_place", 'op.create_table("place", sa.Column("id", sa.Integer()))')
    broken = 'op.add_column("place", sa.Column("code", sa.Integer()))\nop.drop_table("nowhere")'
    add_revision(company, "0003_code", broken, after="0002_place")


def fix_third(company: Path) -> None:
    path = company / "migrations" / "versions" / "0003_code.py"
    path.write_text(path.read_text().replace('op.drop_table("nowhere")', "pass"))


def consistent(project: Project) -> list[str]:
    """Return the applied revisions, of which report, version table and journal say the same."""
    applied = [entry.revision.id for entry in migrations.showmigrations(project) if entry.applied]
    table = own_tables.migration(project.backend.own_schema)
    with project.connect() as connection:
        found = own_tables.stands(connection, table)
        rows = connection.execute(select(table).order_by(table.c.id)).all() if found else []
        assert inspect(connection).has_table("place") == ("0002_place" in applied)
    assert [row.revision for row in rows if row.state == "applied"] == applied
    return applied


def lines(result: Result) -> list[str]:
    return [line.split(" ... ")[0] for line in result.err.splitlines()]


@transactional
@pytest.mark.parametrize("env", ["own", "ours"])
def test_transaction_per_migration_is_said(
    company: Path, inv: Inv, project: Project, database: Database, env: str
) -> None:
    if env == "own":
        write_env(company, ", transaction_per_migration=True")
    else:
        (company / "migrations" / "env.py").write_text(OURS)
    break_third(company)
    url = {"DATABASE_URL": database.url}
    for looks in (["--plan"], ["--dry-run"]):
        assert PER_REVISION in inv("migrate", *looks, env=url).err
    failed = inv("migrate", env=url)
    assert PER_REVISION in lines(failed)[1], failed.err  # the first names the database
    assert "state: 2 of 3 applied" in failed.err
    assert consistent(project) == [FIRST, "0002_place"]
    assert PER_REVISION not in inv("migrate", "--plan", env=url).err  # it is one revision only
    fix_third(company)
    inv("migrate", env=url)
    assert PER_REVISION in inv("rollback", "--steps=2", "--no-input", env=url).err


@transactional
def test_usual_transaction_is_not_worth_a_word(
    company: Path, inv: Inv, project: Project, database: Database
) -> None:
    write_env(company)
    break_third(company)
    url = {"DATABASE_URL": database.url}
    assert inv("migrate", "--plan", env=url).err == ""
    failed = inv("migrate", env=url)
    assert "transaction_per" not in failed.err
    assert "state: rolled back, 0 of 3 applied" in failed.err
    assert consistent(project) == []
    per_revision = inv("migrate", "--per-revision", env=url)  # the user knows
    assert "transaction_per" not in per_revision.err
    assert consistent(project) == [FIRST, "0002_place"]


@postgresql
@pytest.mark.parametrize(
    ("options", "engine", "says"),
    [
        (", transactional_ddl=False", "", f"env.py sets transactional_ddl=False: {AT_ONCE}"),
        ("", ', isolation_level="AUTOCOMMIT"', f"env.py connects in AUTOCOMMIT: {AT_ONCE}"),
    ],
)
def test_statements_that_commit_are_said(
    company: Path,
    inv: Inv,
    project: Project,
    database: Database,
    options: str,
    engine: str,
    says: str,
) -> None:
    write_env(company, options, engine)
    break_third(company)
    url = {"DATABASE_URL": database.url}
    assert says in inv("migrate", "--plan", env=url).err
    failed = inv("migrate", env=url)
    assert says in failed.err
    assert failed.code == 6
    assert "state: 2 of 3 applied, 0003_code stopped part way" in failed.err
    assert "operation 1 is applied" in failed.err
    assert consistent(project) == [FIRST, "0002_place"]
    fix_third(company)
    assert inv("migrate", "--resume", env=url).code == 0
    assert consistent(project) == [FIRST, "0002_place", "0003_code"]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_nothing_is_said_where_the_database_commits(
    company: Path, inv: Inv, database: Database
) -> None:
    write_env(company, ", transaction_per_migration=True")
    break_third(company)
    assert inv("migrate", "--plan", env={"DATABASE_URL": database.url}).err == ""


@pytest.mark.parametrize(
    ("options", "begin", "end"),
    [
        ("", "if True:", "connection.commit()"),
        (", on_version_apply=lambda ctx, **applied: ctx.connection.commit()", "if True:", ""),
    ],
    ids=["at-the-end", "each-version"],
)
@transactional
def test_env_that_commits_by_itself(
    company: Path,
    inv: Inv,
    project: Project,
    database: Database,
    options: str,
    begin: str,
    end: str,
) -> None:
    """What it has committed is reported as applied, and what it has not as rolled back."""
    write_env(company, options, begin=begin, end=end)
    break_third(company)
    url = {"DATABASE_URL": database.url}
    failed = inv("migrate", env=url)
    kept = [FIRST, "0002_place"] if options else []
    assert f"{len(kept)} of 3 applied" in failed.err
    assert "part way" not in failed.err
    assert consistent(project) == kept
    fix_third(company)
    assert inv("migrate", env=url).code == 0
    assert consistent(project) == [FIRST, "0002_place", "0003_code"]
