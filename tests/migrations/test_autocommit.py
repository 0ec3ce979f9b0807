"""autocommit_block(): what it keeps when the rest fails or is killed, and how that is resumed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from conftest import Database, clean_environment
from dbtasks import Project, migrations, own_tables
from dbtasks.errors import DbtasksError, PartlyApplied, Refused
from kills import arm, kill_on
from trees import FIRST, add_revision

Kill = Callable[..., None]

postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
both = pytest.mark.parametrize("database", ["postgresql", "sqlite"], indirect=True)

PLACE = """
op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("name", sa.String(50)))
"""
COLUMN = 'op.add_column("place", sa.Column("code", sa.Integer()))'
CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("ix_place", "place", ["name"], postgresql_concurrently=True)
"""
READ = 'op.get_bind().execute(sa.text("SELECT count(*) FROM department")).scalar()'
ROW = """
with op.get_context().autocommit_block():
    op.execute("INSERT INTO place (id, name) VALUES (1, 'Oslo')")
"""
ENUM = """
op.execute("CREATE TYPE mood AS ENUM ('sad')")
with op.get_context().autocommit_block():
    op.execute("ALTER TYPE mood ADD VALUE 'happy'")
op.execute("CREATE TABLE person (mood mood)")
op.execute("INSERT INTO person VALUES ('happy')")
"""
BROKEN = 'op.execute("UPDATE nowhere SET a = 1")'


@pytest.fixture
def kill(company: Path, database: Database) -> Kill:
    """Return a function that runs `inv migrate`, killed before or after a statement."""
    arm(company)
    return lambda when, words: kill_on(company, database.url, clean_environment(), when, words)


def write(company: Path, *bodies: str) -> Path:
    return add_revision(company, "0002_more", "\n".join(one.strip() for one in bodies))


def failed(project: Project, **options: bool) -> DbtasksError:
    with pytest.raises(DbtasksError) as caught:
        migrations.migrate(project, **options)
    return caught.value


def applied(project: Project) -> list[str]:
    return [one.revision.id for one in migrations.showmigrations(project) if one.applied]


def journal(project: Project) -> dict[str, str]:
    """Return the last state of each revision that the journal knows."""
    table = own_tables.migration(project.backend.own_schema)
    with project.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.id))
        return {row.revision: row.state for row in rows}


def columns(project: Project) -> list[str]:
    with project.connect() as connection:
        return [one["name"] for one in inspect(connection).get_columns("place")]


def indexes(project: Project) -> list[str | None]:
    with project.connect() as connection:
        return [one["name"] for one in inspect(connection).get_indexes("place")]


@both
def test_what_was_rolled_back_is_not_told_as_applied(
    company: Path, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operation after the block is done, and undone with its transaction."""
    path = write(company, PLACE, CONCURRENTLY, COLUMN, BROKEN)
    error = failed(project)
    assert isinstance(error, PartlyApplied)
    assert "stopped at operation 4 of 4 (UPDATE nowhere SET a = 1); operations 1-2 are applied" in (
        error.message
    )
    assert columns(project) == ["id", "name"]
    assert "operations 1-2 are applied" in failed(project).message
    assert capsys.readouterr().out == ""  # the operations are counted without their SQL
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project, resume=True)
    assert columns(project) == ["id", "name", "code"]
    assert indexes(project) == ["ix_place"]
    assert applied(project) == [FIRST, "0002_more"]


@both
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("CREATE INDEX", "at operation 2 of 3 (create_index ix_place on place), which may"),
        ("ADD COLUMN", "at operation 3 of 3; operations 1-2"),
    ],
)
def test_killed_in_and_after_the_block(
    company: Path, project: Project, kill: Kill, when: str, words: str, told: str
) -> None:
    write(company, PLACE, CONCURRENTLY, COLUMN)
    kill(when, words)
    assert columns(project) == ["id", "name"]
    assert told in failed(project).message
    migrations.migrate(project, resume=True)
    assert columns(project) == ["id", "name", "code"]
    assert indexes(project) == ["ix_place"]


@both
def test_killed_before_the_block_leaves_nothing(
    company: Path, project: Project, kill: Kill
) -> None:
    write(company, PLACE, CONCURRENTLY, COLUMN)
    kill("after", "CREATE TABLE place")
    migrations.migrate(project)
    assert columns(project) == ["id", "name", "code"]


@both
@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_of_a_block_in_doubt_are_not_written_twice(
    company: Path, project: Project, kill: Kill, when: str
) -> None:
    """They commit by themselves, and the journal after them."""
    write(company, PLACE, ROW.replace("(id, name) VALUES (1, ", "(name) VALUES ("), COLUMN)
    kill(when, "INSERT INTO place")
    for _ in range(2):
        error = failed(project, resume=True)
        assert isinstance(error, Refused)
        assert "whether operation 2 of 0002_more was done" in error.message
    with project.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM place").scalar()
    assert count == (1 if when == "after" else 0)


@postgresql
def test_new_value_of_a_type(company: Path, project: Project, kill: Kill) -> None:
    path = write(company, ENUM, BROKEN)
    kill("before", "CREATE TABLE person")
    assert "operations 1-2 are applied" in failed(project).message
    assert isinstance(failed(project, resume=True), PartlyApplied)
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project, resume=True)
    with project.connect() as connection:
        assert connection.exec_driver_sql("SELECT mood FROM person").scalar() == "happy"


@postgresql
def test_new_value_of_a_type_in_doubt(company: Path, project: Project, kill: Kill) -> None:
    write(company, ENUM)
    kill("after", "ALTER TYPE")
    error = failed(project, resume=True)
    assert isinstance(error, Refused)
    assert "(ALTER TYPE mood ADD VALUE 'happy') cannot be seen in the schema" in error.message


@postgresql
def test_index_that_was_not_finished(company: Path, project: Project) -> None:
    unique = CONCURRENTLY.replace("postgresql", "unique=True, postgresql")
    rows = "op.execute(\"INSERT INTO place VALUES (1, 'x'), (2, 'x')\")"
    write(company, PLACE, rows, unique)
    assert isinstance(failed(project), PartlyApplied)
    for _ in range(2):
        error = failed(project, resume=True)
        assert isinstance(error, Refused)
        assert "the index ix_place was not finished, and is invalid" in error.message
        assert "DROP INDEX ix_place" in (error.hint or "")
    with project.connect(writes=True) as connection:
        connection.exec_driver_sql("DROP INDEX ix_place")
        connection.exec_driver_sql("DELETE FROM place WHERE id = 2")
    migrations.migrate(project, resume=True)
    assert indexes(project) == ["ix_place"]


def test_undo_takes_back_what_the_block_kept(
    company: Path, project: Project, database: Database
) -> None:
    path = write(company, READ, PLACE, CONCURRENTLY, COLUMN, BROKEN)
    failed(project)
    taken = migrations.resolve(project, revision="0002", undo=True)
    last = ["add_column place.code"] if database.kind == "mariadb" else []
    assert taken == [*last, "create_index ix_place on place", "create_table place"]
    path.write_text(path.read_text().replace(BROKEN, ""))
    migrations.migrate(project)
    assert columns(project) == ["id", "name", "code"]


@both
@pytest.mark.parametrize("per_revision", [False, True])
@pytest.mark.parametrize(
    "blocks", [(PLACE, ROW, COLUMN, CONCURRENTLY), (PLACE, ROW, COLUMN)], ids=["last", "middle"]
)
def test_two_blocks_and_revisions_around_them(
    company: Path, project: Project, per_revision: bool, blocks: tuple[str, ...]
) -> None:
    """The revision is committed with its version before the next one begins."""
    write(company, *blocks)
    last = add_revision(company, "0003_last", f"{COLUMN}\n{BROKEN}", after="0002_more")
    reported: list[str] = []
    with pytest.raises(DbtasksError) as caught:
        migrations.migrate(
            project,
            per_revision=per_revision,
            on_step=lambda step: reported.append(step.revision.id) if step.seconds else None,
        )
    assert caught.value.state == "2 of 3 applied"
    assert not isinstance(caught.value, PartlyApplied)
    assert reported == applied(project) == [FIRST, "0002_more"]
    assert journal(project) == {FIRST: "applied", "0002_more": "applied"}
    last.write_text(last.read_text().replace(f"{COLUMN}\n    {BROKEN}", "pass"))
    migrations.migrate(project)
    assert applied(project) == [FIRST, "0002_more", "0003_last"]


@both
def test_block_on_the_way_back(company: Path, project: Project) -> None:
    add_revision(company, "0002_more", PLACE, downgrade=BROKEN)
    add_revision(
        company, "0003_last", ROW, downgrade=ROW.replace("(1, ", "(2, "), after="0002_more"
    )
    migrations.migrate(project)
    with pytest.raises(DbtasksError) as caught:
        migrations.rollback(project, steps=2)
    assert caught.value.state == "1 of 2 reverted"
    assert applied(project) == [FIRST, "0002_more"]
    assert set(journal(project).values()) == {"applied"}


@both
def test_killed_before_the_version_of_a_block_is_committed(
    company: Path, project: Project, kill: Kill
) -> None:
    write(company, PLACE, CONCURRENTLY)
    add_revision(company, "0003_last", COLUMN, after="0002_more")
    kill("before", "UPDATE alembic_version")
    assert "after its last operation" in failed(project).message
    migrations.migrate(project, resume=True)
    assert applied(project) == [FIRST, "0002_more", "0003_last"]


@both
def test_killed_after_a_block_and_its_version(company: Path, project: Project, kill: Kill) -> None:
    write(company, PLACE, CONCURRENTLY)
    add_revision(company, "0003_last", COLUMN, after="0002_more")
    kill("after", "ADD COLUMN")
    assert applied(project) == [FIRST, "0002_more"]
    assert journal(project) == {FIRST: "applied", "0002_more": "applied"}
    migrations.migrate(project)
    assert columns(project) == ["id", "name", "code"]


@both
@pytest.mark.parametrize("block", [True, False])
def test_the_script_commits_where_a_run_does(company: Path, project: Project, block: bool) -> None:
    write(company, PLACE, *([ROW] if block else []))
    add_revision(company, "0003_last", COLUMN, after="0002_more")
    sent = re.findall(r"COMMIT|BEGIN|(?<=version_num=')\w+|ADD COLUMN", migrations.sql(project))
    within = ["COMMIT", "BEGIN"] if block else []
    assert sent == ["BEGIN", *within, "0002_more", *within, "ADD COLUMN", "0003_last", "COMMIT"]
