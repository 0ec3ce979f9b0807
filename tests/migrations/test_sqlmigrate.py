"""sqlmigrate: the SQL of one revision, both ways, from the URL alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect

from conftest import Database, Result
from dbtasks import Project, migrations
from dbtasks.errors import DbtasksError, Refused, UsageError
from trees import FIRST, add_revision

Inv = Callable[..., Result]

NOWHERE = {
    "sqlite": "sqlite:///nowhere.db",
    "postgresql": "postgresql+psycopg://app:s3cr3t@nowhere.invalid/shop",
    "mysql": "mysql+pymysql://app:s3cr3t@nowhere.invalid/shop",
    "mariadb": "mariadb+pymysql://app:s3cr3t@nowhere.invalid/shop",
}
"""Databases that cannot be connected to."""

ADD_EMAIL = """
op.add_column("employee", sa.Column("email", sa.String(50)))
op.execute("UPDATE employee SET email = 'x' WHERE name LIKE 'A%'")
op.execute(sa.table("department", sa.column("name", sa.String)).update().values(name="y"))
"""


@pytest.fixture
def email(company: Path) -> Path:
    """Return the reference project with a second revision."""
    drop = 'op.drop_column("employee", "email")'
    add_revision(company, "0002_email", ADD_EMAIL, downgrade=drop)
    return company


@pytest.fixture
def at_nowhere(company: Path) -> Project:
    """Return the reference project on a database that cannot be connected to."""
    return Project.configure(
        company, metadata="company.models:Base", url="postgresql+psycopg://nowhere.invalid/shop"
    )


def statements(text: str) -> list[str]:
    parts = (part.strip() for part in text.split(";\n"))
    return [part for part in parts if part and part not in ("BEGIN", "COMMIT")]


def execute(project: Project, text: str) -> None:
    with project.migrating(writes=True) as connection, connection.begin():
        for statement in statements(text):
            connection.exec_driver_sql(statement.replace("%", "%%"))  # as a driver wants it


def columns(project: Project) -> dict[str, set[str]]:
    """Return the columns of each table that is not one of ours."""
    with project.connect() as connection:
        found = inspect(connection)
        return {
            table: {column["name"] for column in found.get_columns(table)}
            for table in found.get_table_names()
            if not table.startswith("dbtasks_")
        }


@pytest.mark.parametrize("url", NOWHERE.values(), ids=NOWHERE)
def test_needs_no_database(inv: Inv, email: Path, url: str) -> None:
    done = inv("sqlmigrate", "--revision", "0002", env={"DATABASE_URL": url})
    assert (done.code, done.err) == (0, "")
    assert "ADD COLUMN email VARCHAR(50);" in done.out
    assert "LIKE 'A%';" in done.out
    assert "UPDATE department SET name='y';" in done.out
    assert f"SET version_num='0002_email' WHERE alembic_version.version_num = '{FIRST}'" in done.out
    assert "CREATE TABLE" not in done.out
    assert done.out.startswith("BEGIN;\n") == ("mysql" not in url and "mariadb" not in url)
    assert list(email.glob("*.db")) == []


@pytest.mark.parametrize("url", NOWHERE.values(), ids=NOWHERE)
def test_backwards(inv: Inv, email: Path, url: str) -> None:
    arguments = ["sqlmigrate", "--revision", "0002", "--backwards"]
    done = inv(*arguments, env={"DATABASE_URL": url})
    assert (done.code, done.err) == (0, "")
    assert "ALTER TABLE employee DROP COLUMN email;" in done.out
    assert f"SET version_num='{FIRST}' WHERE alembic_version.version_num = '0002_" in done.out


def test_what_it_shows_is_what_migrate_does(email: Path, project: Project) -> None:
    """Each revision's SQL, sent by hand, leads where `migrate` does, and back again."""
    for revision in (FIRST, "0002_email"):
        execute(project, migrations.sqlmigrate(project, revision=revision))
    assert all(entry.applied for entry in migrations.showmigrations(project))
    by_hand = columns(project)
    for revision in ("0002_email", FIRST):
        execute(project, migrations.sqlmigrate(project, revision=revision, backwards=True))
    assert set(columns(project)) <= {"alembic_version"}  # Alembic 1.16 drops it too
    migrations.migrate(project)
    assert columns(project) == by_hand


def test_to_a_file_and_by_other_names(inv: Inv, email: Path) -> None:
    done = inv("sqlmigrate", "--revision", "0002")
    assert inv("sqlmigrate", "--revision", "0002", "-o", "0002.sql").out == ""
    assert (email / "0002.sql").read_text() == done.out
    assert inv("sqlmigrate", "--revision", "0002_email").out == done.out
    assert inv("sqlmigrate", "--revision", "head").out == done.out


@pytest.mark.every_value
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no revision is named"),
        (["--revision="], "--revision needs a value"),
        (["--revision", "nope"], "nope"),
        (["--revision", "base"], "there is no revision 'base'"),
        (["--revision", "+1"], "+1"),
        (["--revision", "0002"], "several revisions begin with '0002': "),
        (["--revision", "head"], "head"),
    ],
)
def test_revision_that_cannot_be_meant(
    inv: Inv, company: Path, arguments: list[str], words: str
) -> None:
    add_revision(company, "0002_left")
    add_revision(company, "0002_right")
    done = inv("sqlmigrate", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "hint: " in done.err


def test_an_id_that_begins_another(company: Path, at_nowhere: Project) -> None:
    add_revision(company, "0002")
    add_revision(company, "0002_more", after="0002")
    text = migrations.sqlmigrate(at_nowhere, revision="0002")
    assert f"{FIRST} -> 0002\n" in text


BATCH = """
with op.batch_alter_table("employee") as batch:
    batch.alter_column("name", type_=sa.String(80))
"""


@pytest.mark.every_value
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('op.get_bind().execute(sa.text("SELECT 1")).fetchall()', "'fetchall'"),
        ("sa.inspect(op.get_bind())", "NoInspectionAvailable"),
        (BATCH, "requires a live database"),
        ('sa.create_engine("sqlite://").connect()', "opens a connection"),
    ],
)
def test_revision_that_needs_a_database(inv: Inv, company: Path, body: str, words: str) -> None:
    add_revision(company, "0002_reads", body)
    done = inv("sqlmigrate", "--revision", "0002")
    assert (done.code, done.out) == (2, "")
    assert "without a live database" in done.err
    assert words in done.err


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_batch_mode_where_alter_can_do_it(company: Path, database: Database, inv: Inv) -> None:
    add_revision(company, "0002_batch", BATCH)
    shown = inv("sqlmigrate", "--revision", "0002", env={"DATABASE_URL": database.url})
    assert "ALTER TABLE employee " in shown.out


def test_revision_that_cannot_be_reverted(inv: Inv, company: Path) -> None:
    path = add_revision(company, "0002_one_way")
    path.write_text(path.read_text().partition("def downgrade")[0])
    add_revision(
        company, "0003_raises", downgrade="raise NotImplementedError", after="0002_one_way"
    )
    for revision in ("0002", "0003"):
        assert inv("sqlmigrate", "--revision", revision).code == 0
        done = inv("sqlmigrate", "--revision", revision, "--backwards")
        assert (done.code, done.out) == (3, "")
        assert "cannot be reverted: it has no downgrade()" in done.err


def test_branches_and_merges(company: Path, at_nowhere: Project) -> None:
    add_revision(company, "0002_left")
    add_revision(company, "0002_right")
    add_revision(company, "0003_merge", after=("0002_left", "0002_right"))
    for side in ("0002_left", "0002_right"):
        text = migrations.sqlmigrate(at_nowhere, revision=side)
        assert f"SET version_num='{side}' WHERE alembic_version.version_num = '{FIRST}'" in text
    forwards = statements(migrations.sqlmigrate(at_nowhere, revision="0003"))
    assert [one.split()[0] for one in forwards if "alembic" in one][-2:] == ["--", "UPDATE"]
    assert "DELETE FROM alembic_version" in forwards[0]
    backwards = statements(migrations.sqlmigrate(at_nowhere, revision="0003", backwards=True))
    assert "INSERT INTO alembic_version" in backwards[0]
    assert "UPDATE alembic_version" in backwards[1]


@pytest.mark.parametrize("after", [None, FIRST])
def test_a_dependency_counts_as_applied(
    company: Path, at_nowhere: Project, after: str | None
) -> None:
    """Of what a revision builds on, a database stands at the newest only."""
    add_revision(company, "0002_left")
    path = add_revision(company, "0003_audit", after=after)
    path.write_text(f"{path.read_text()}\ndepends_on = {[FIRST, '0002_left']!r}\n")
    text = migrations.sqlmigrate(at_nowhere, revision="0003")
    assert "CREATE TABLE" not in text
    assert "SET version_num='0003_audit' WHERE alembic_version.version_num = '0002_left'" in text
    assert "DELETE" not in text


def test_options_of_env_hold(company: Path, at_nowhere: Project) -> None:
    env = company / "migrations" / "env.py"
    env.write_text(env.read_text().replace("metadata)", 'metadata, version_table="revisions")'))
    assert "INSERT INTO revisions" in migrations.sqlmigrate(at_nowhere, revision=FIRST)


FOREIGN = """
from alembic import context
from sqlalchemy import create_engine

print("a word to the reader")
if context.is_offline_mode():
    assert context.config.get_main_option("sqlalchemy.url").endswith("nowhere.invalid/shop")
    context.configure(url="sqlite:///elsewhere.db", version_table="revisions")
    with context.begin_transaction():
        context.run_migrations()
else:
    raise RuntimeError("not offline")
"""


def test_env_of_ones_own_gets_the_projects_database(company: Path, inv: Inv) -> None:
    (company / "migrations" / "env.py").write_text(FOREIGN)
    done = inv("sqlmigrate", "--revision", FIRST, env={"DATABASE_URL": NOWHERE["postgresql"]})
    assert (done.code, done.err) == (0, "a word to the reader\n")
    assert "id SERIAL NOT NULL" in done.out
    assert "INSERT INTO revisions" in done.out


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("pass", UsageError, "runs nothing"),
        ("1 / 0", DbtasksError, "env.py raised ZeroDivisionError"),
        ('import sqlalchemy\nsqlalchemy.create_engine("sqlite://").connect()', UsageError, "opens"),
    ],
)
def test_env_that_cannot_do_it(
    company: Path, at_nowhere: Project, body: str, error: type[DbtasksError], words: str
) -> None:
    (company / "migrations" / "env.py").write_text(body)
    with pytest.raises(error, match=words):
        migrations.sqlmigrate(at_nowhere, revision=FIRST)


def test_the_library_refuses_as_the_command_does(company: Path, at_nowhere: Project) -> None:
    path = add_revision(company, "0002_one_way")
    path.write_text(path.read_text().partition("def downgrade")[0])
    with pytest.raises(Refused, match="0002_one_way cannot be reverted"):
        migrations.sqlmigrate(at_nowhere, revision="0002", backwards=True)
    with pytest.raises(UsageError, match="there is no revision ''"):
        migrations.sqlmigrate(at_nowhere, revision="")
