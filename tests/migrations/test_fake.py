"""--fake, --fake-initial and --per-revision: what is only recorded, and what each commits."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect

from conftest import Database, Result
from dbtasks import Project, migrations
from dbtasks.errors import DbtasksError, PartlyApplied, Refused, Rejected
from trees import FIRST, add_revision

BROKEN = 'op.execute("UPDATE nowhere SET a = 1")'
DEPARTMENT = "CREATE TABLE department (id INTEGER NOT NULL{key}, name VARCHAR({size}){null}"
EMPLOYEE = (
    "CREATE TABLE employee (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, "
    "dept_id INTEGER NOT NULL, FOREIGN KEY (dept_id) REFERENCES department (id))"
)

KEYLESS = EMPLOYEE.replace(", FOREIGN KEY (dept_id) REFERENCES department (id)", "")
PLACE = "CREATE TABLE place (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(50){})"


def department(*, size: int = 50, null: str = " NOT NULL", more: str = "") -> str:
    return DEPARTMENT.format(key=" PRIMARY KEY", size=size, null=null) + f"{more})"


def make(project: Project, *statements: str) -> None:
    with project.migrating(writes=True) as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def tables(project: Project) -> set[str]:
    with project.connect() as connection:
        names = inspect(connection).get_table_names()
    return {name for name in names if not name.startswith("dbtasks_")}


def applied(project: Project) -> list[str]:
    return [one.revision.id for one in migrations.showmigrations(project) if one.applied]


def test_fake_records_without_running(company: Path, project: Project) -> None:
    add_revision(company, "0002_broken", BROKEN, downgrade=BROKEN)
    plan = migrations.migrate(project, fake=True)
    assert [step.faked for step in plan.steps] == [True, True]
    assert applied(project) == [FIRST, "0002_broken"]
    assert tables(project) == {"alembic_version"}
    migrations.migrate(project, to="base", fake=True)
    assert applied(project) == []


def test_initial_that_stands_is_recorded_and_the_rest_runs(
    company: Path, database: Database, project: Project, inv: Callable[..., Result]
) -> None:
    make(project, department(), EMPLOYEE)
    add_revision(company, "0002_place", 'op.create_table("place", sa.Column("id", sa.Integer()))')
    done = inv("migrate", "--fake-initial", env={"DATABASE_URL": database.url})
    assert done.code == 0, done.err
    assert f"Applying {FIRST} ... FAKED" in done.out
    assert "Applying 0002_place ... OK" in done.out
    assert tables(project) == {"alembic_version", "department", "employee", "place"}


def test_initial_that_exists_is_not_to_be_run(project: Project) -> None:
    make(project, department())
    with pytest.raises(DbtasksError, match="already exists") as raised:
        migrations.migrate(project)
    if isinstance(raised.value, Rejected):
        assert raised.value.hint is not None
        assert "inv migrate --fake-initial; if not, fix 0001" in raised.value.hint


def test_initial_that_does_not_stand_is_run(project: Project) -> None:
    plan = migrations.migrate(project, fake_initial=True)
    assert [step.faked for step in plan.steps] == [False]
    assert tables(project) == {"alembic_version", "department", "employee"}


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ((department(),), "the table employee is missing, and others exist"),
        ((department(size=20), EMPLOYEE), "the column department.name is "),
        ((department(null=""), EMPLOYEE), "the column department.name is NULL in the database"),
        (
            (department().replace("name VARCHAR(50)", "name INTEGER"), EMPLOYEE),
            "the column department.name is int",
        ),
        (
            (department(more=", size INTEGER"), EMPLOYEE),
            "the column department.size is only in the database",
        ),
        (
            (department(), EMPLOYEE.replace("name VARCHAR(100) NOT NULL, ", "")),
            "the column employee.name is only in the revision",
        ),
        ((department().replace(" PRIMARY KEY", ""), KEYLESS), "the primary key department"),
        ((department(), KEYLESS), "the foreign key employee"),
    ],
    ids=["table", "length", "null", "type", "more", "less", "key", "reference"],
)
def test_initial_that_differs_is_refused(
    project: Project, statements: tuple[str, ...], words: str
) -> None:
    make(project, *statements)
    before = tables(project)
    with pytest.raises(Refused) as caught:
        migrations.migrate(project, fake_initial=True)
    assert caught.value.exit_code == 3
    assert words in caught.value.message.replace("INTEGER", "integer")
    assert f"inv migrate --fake --to {FIRST}" in (caught.value.hint or "")
    assert applied(project) == []
    assert tables(project) - {"alembic_version"} == before


@pytest.mark.parametrize(
    ("made", "written", "words"),
    [
        (PLACE.format(""), PLACE.format(""), ""),
        (PLACE.format(", CHECK (id > 0)"), PLACE.format(""), ""),
        (PLACE.format(", note INTEGER"), PLACE.format(""), "place.note is only in the database"),
        (PLACE.format(""), PLACE.format(", UNIQUE (name)"), "the (unique|index) place"),
        (PLACE.format(""), PLACE.format(", CONSTRAINT low CHECK (id > 9)"), "the check place.low"),
        (
            PLACE.format(", CONSTRAINT low CHECK (id > 5)"),
            PLACE.format(", CONSTRAINT low CHECK (id > 9)"),
            "the check place.low",
        ),
    ],
    ids=["same", "more", "column", "unique", "check", "another"],
)
def test_initial_of_sql_is_compared(
    company: Path, project: Project, made: str, written: str, words: str
) -> None:
    (company / "migrations" / "versions" / f"{FIRST}.py").unlink()
    add_revision(company, "0001_place", f"op.execute({written!r})", after=None)
    make(project, made)
    if words:
        with pytest.raises(Refused, match=words):
            migrations.migrate(project, fake_initial=True)
        assert applied(project) == []
    else:
        plan = migrations.migrate(project, fake_initial=True)
        assert [step.faked for step in plan.steps] == [True]
        assert applied(project) == ["0001_place"]


def test_initial_without_a_scratch_database_is_compared(company: Path, project: Project) -> None:
    # It does not run on an empty database.
    add_revision(
        company,
        FIRST,
        'op.execute("SELECT 1 FROM elsewhere")\n'
        'op.create_table("place", sa.Column("id", sa.Integer(), nullable=False))',
        after=None,
    )
    make(project, "CREATE TABLE elsewhere (id INTEGER)", "CREATE TABLE place (id VARCHAR(9))")
    with pytest.raises(Refused, match=r"place.id is (NULL|VARCHAR)"):
        migrations.migrate(project, fake_initial=True)
    make(project, "DROP TABLE place", "CREATE TABLE place (id INTEGER NOT NULL)")
    plan = migrations.migrate(project, fake_initial=True)
    assert [step.faked for step in plan.steps] == [True]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_initial_with_other_labels_is_refused(company: Path, project: Project) -> None:
    (company / "migrations" / "versions" / f"{FIRST}.py").unlink()
    kind = 'sa.Enum("red", "green", name="colour")'
    add_revision(
        company, "0001_place", f'op.create_table("place", sa.Column("colour", {kind}))', after=None
    )
    make(project, "CREATE TYPE colour AS ENUM ('red')", "CREATE TABLE place (colour colour)")
    with pytest.raises(Refused, match="the type colour differs: labels"):
        migrations.migrate(project, fake_initial=True)


def test_nothing_is_run_for_an_applied_initial(company: Path, project: Project) -> None:
    migrations.migrate(project)
    file = company / "migrations" / "versions" / f"{FIRST}.py"
    file.write_text(file.read_text() + "\n\ndef upgrade():\n    raise RuntimeError\n")
    add_revision(company, "0002_place", 'op.create_table("place", sa.Column("id", sa.Integer()))')
    plan = migrations.migrate(project, fake_initial=True)
    assert [step.faked for step in plan.steps] == [False]


def test_each_revision_commits(company: Path, project: Project) -> None:
    make_place = 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))'
    add_revision(company, "0002_broken", f"{make_place}\n{BROKEN}")
    add_revision(company, "0003_last", after="0002_broken")
    with pytest.raises(DbtasksError) as caught:
        migrations.migrate(project, per_revision=True)
    assert applied(project) == [FIRST]
    if project.backend.title == "MySQL":
        assert isinstance(caught.value, PartlyApplied)
        assert caught.value.state == "1 of 3 applied, 0002_broken stopped part way"
    else:
        assert isinstance(caught.value, Rejected)
        assert caught.value.state == "1 of 3 applied"
        assert tables(project) == {"alembic_version", "department", "employee"}


def test_each_revision_commits_backwards_too(company: Path, project: Project) -> None:
    add_revision(company, "0002_broken", downgrade=BROKEN)
    add_revision(company, "0003_last", after="0002_broken")
    migrations.migrate(project)
    with pytest.raises(DbtasksError) as caught:
        migrations.migrate(project, to="base", per_revision=True)
    assert caught.value.state == "1 of 3 reverted"
    assert applied(project) == [FIRST, "0002_broken"]
