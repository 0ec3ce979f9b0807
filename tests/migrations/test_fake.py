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
        ((department(),), "the table employee is missing, and others stand"),
        ((department(size=20), EMPLOYEE), "the column department.name is VARCHAR"),
        ((department(null=""), EMPLOYEE), "the column department.name is NULL in the database"),
        (
            (department().replace("name VARCHAR(50)", "name INTEGER"), EMPLOYEE),
            "the column department.name is INTEGER",
        ),
        (
            (department(more=", size INTEGER"), EMPLOYEE),
            "the column department.size is only in the database",
        ),
        (
            (department(), EMPLOYEE.replace("name VARCHAR(100) NOT NULL, ", "")),
            "the column employee.name is only in the revision",
        ),
    ],
    ids=["table", "length", "null", "type", "more", "less"],
)
def test_initial_that_differs_is_refused(
    project: Project, statements: tuple[str, ...], words: str
) -> None:
    make(project, *statements)
    before = tables(project)
    with pytest.raises(Refused) as caught:
        migrations.migrate(project, fake_initial=True)
    assert caught.value.exit_code == 3
    assert words in caught.value.message
    assert f"inv migrate --fake --to {FIRST}" in (caught.value.hint or "")
    assert applied(project) == []
    assert tables(project) - {"alembic_version"} == before


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
