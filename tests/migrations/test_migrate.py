"""migrate: forwards, backwards, to a revision, and what a failure leaves."""

from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from conftest import statements_sent
from dbtasks import Project, migrations, own_tables
from dbtasks.errors import (
    DbtasksError,
    PartlyApplied,
    ProjectFailed,
    Refused,
    Rejected,
    Unreachable,
    UsageError,
)
from dbtasks.migrations import Step
from trees import FIRST, add_revision


def tables(project: Project) -> set[str]:
    with project.connect() as connection:
        names = inspect(connection).get_table_names()
    return {name for name in names if not name.startswith("dbtasks_")}


def applied(project: Project) -> list[str]:
    return [one.revision.id for one in migrations.showmigrations(project) if one.applied]


def ids(plan: migrations.Plan) -> list[str]:
    return [step.revision.id for step in plan.steps]


@pytest.fixture
def three(company: Path, project: Project) -> Project:
    add_revision(
        company,
        "0002_place",
        'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))',
        downgrade='op.drop_table("place")',
    )
    add_revision(
        company,
        "0003_street",
        'op.add_column("place", sa.Column("street", sa.String(50)))',
        downgrade='op.drop_column("place", "street")',
        after="0002_place",
    )
    return project


def journal(project: Project) -> list[tuple[str, str]]:
    table = own_tables.migration(project.backend.own_schema)
    rows = select(table.c.revision, table.c.state).order_by(table.c.id)
    with project.connect() as connection:
        return [tuple(row) for row in connection.execute(rows)]


def test_little_is_sent_after_a_commit(three: Project) -> None:
    """What is applied is not compared with anything."""
    with statements_sent() as statements:
        migrations.migrate(three)
    written = [
        place
        for place, statement in enumerate(statements)
        if statement.startswith(("INSERT", "UPDATE")) and "dbtasks_migration" in statement
    ]
    assert len(statements) - 1 - written[-1] <= 5


def test_the_version_and_the_journal_are_compiled_once(three: Project) -> None:
    with statements_sent() as statements:
        migrations.migrate(three)
    versions = [one for one in statements if one.startswith("UPDATE alembic_version")]
    assert len(versions) == 2
    assert len({*versions}) == 1
    if three.backend.transactional_ddl:  # with the last of them, in the same transaction
        assert sum("dbtasks_migration (" in one and "INSERT" in one for one in statements) == 1
    assert [revision for revision, _ in journal(three)] == [FIRST, "0002_place", "0003_street"]


def test_applies_all_and_then_nothing(three: Project) -> None:
    seen: list[Step] = []
    plan = migrations.migrate(three, on_step=seen.append)
    assert ids(plan) == [FIRST, "0002_place", "0003_street"]
    assert [step.seconds is None for step in seen] == [True, False] * 3
    assert tables(three) == {"alembic_version", "department", "employee", "place"}
    assert migrations.migrate(three).steps == ()


@pytest.mark.every_value
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("start", "to", "expected"),
    [
        ("base", "heads", [FIRST, "0002_place", "0003_street"]),
        ("base", "head", [FIRST, "0002_place", "0003_street"]),
        ("base", "+1", [FIRST]),
        ("base", "0002_place", [FIRST, "0002_place"]),
        ("base", "0002", [FIRST, "0002_place"]),
        ("heads", "-1", ["0003_street"]),
        ("heads", "0002", ["0003_street"]),
        ("heads", "base", ["0003_street", "0002_place", FIRST]),
        ("0002", "0002", []),
        ("0001", "+2", ["0002_place", "0003_street"]),
    ],
)
def test_goes_to_the_target_whichever_way_it_lies(
    three: Project, start: str, to: str, expected: list[str]
) -> None:
    if start != "base":
        migrations.migrate(three, to=start)
    plan = migrations.plan(three, to=to)
    assert ids(plan) == expected
    assert plan.backwards == (start == "heads")
    assert ids(migrations.migrate(three, to=to)) == expected


@pytest.mark.parametrize("to", ["nowhere", "000", "+9", "-9", "", "a b", "'; DROP TABLE x"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_target_that_cannot_be(three: Project, to: str) -> None:
    with pytest.raises(UsageError) as caught:
        migrations.migrate(three, to=to)
    assert caught.value.hint
    assert applied(three) == []


def test_planning_and_sql_change_nothing(three: Project) -> None:
    migrations.plan(three)
    text = migrations.sql(three)
    assert text.index("CREATE TABLE department") < text.index("place")
    if three.backend.title == "SQLite":
        assert not Path(three.backend.url.database or "").exists()
    else:
        assert tables(three) == set()
    migrations.migrate(three, to="0002")
    text = migrations.sql(three)
    assert "CREATE TABLE" not in text
    assert "0003_street" in text
    assert applied(three) == [FIRST, "0002_place"]


def test_back_to_base_and_forwards_again(three: Project) -> None:
    migrations.migrate(three)
    migrations.migrate(three, to="base")
    assert tables(three) == {"alembic_version"}
    migrations.migrate(three)
    assert len(applied(three)) == 3


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_failure_leaves_nothing_and_a_mended_run_works(company: Path, project: Project) -> None:
    """One transaction a run: the revision before the failing one is rolled back too."""
    path = add_revision(
        company,
        "0002_broken",
        'op.create_table("place", sa.Column("id", sa.Integer()))\nop.execute("SELECT nonsense")',
    )
    with pytest.raises(Rejected, match=r"0002_broken: .*nonsense") as caught:
        migrations.migrate(project)
    assert caught.value.state == "rolled back, 0 of 2 applied"
    assert "0002_broken.py" in (caught.value.hint or "")
    assert tables(project) == set()
    path.write_text(path.read_text().replace('op.execute("SELECT nonsense")', ""))
    migrations.migrate(project)
    assert "place" in tables(project)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_failure_without_transactional_ddl_says_what_stays(company: Path, project: Project) -> None:
    add_revision(
        company,
        "0002_broken",
        'op.create_table("place", sa.Column("id", sa.Integer()))\nop.execute("SELECT nonsense")',
    )
    with pytest.raises(PartlyApplied) as caught:
        migrations.migrate(project)
    assert caught.value.state == "1 of 2 applied, 0002_broken stopped part way"
    assert "place" in tables(project)
    assert applied(project) == [FIRST]


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_failure_of_the_first_statement_leaves_no_part(company: Path, project: Project) -> None:
    add_revision(company, "0002_broken", 'op.execute("SELECT nonsense")')
    with pytest.raises(Rejected) as caught:
        migrations.migrate(project)
    assert caught.value.state == "1 of 2 applied"
    assert applied(project) == [FIRST]


@pytest.mark.parametrize("database", ["postgresql", "sqlite"], indirect=True)
def test_autocommit_block_keeps_what_came_before_it(company: Path, project: Project) -> None:
    add_revision(
        company,
        "0002_half",
        "with op.get_context().autocommit_block():\n"
        '    op.execute("CREATE TABLE kept (id INTEGER)")\n'
        'op.execute("SELECT nonsense")',
    )
    with pytest.raises(PartlyApplied) as caught:
        migrations.migrate(project)
    assert caught.value.state == "1 of 2 applied, 0002_half stopped part way"
    assert applied(project) == [FIRST]
    assert "kept" in tables(project)
    assert journal(project) == [(FIRST, "applied"), ("0002_half", "failed")]


def test_exception_of_a_revision_is_the_projects_own(company: Path, project: Project) -> None:
    add_revision(company, "0002_raises", 'raise KeyError("colour")')
    with pytest.raises(DbtasksError, match="0002_raises raised KeyError: 'colour'") as caught:
        migrations.migrate(project)
    assert caught.value.exit_code == 2
    assert "0002_raises.py" in caught.value.message


def test_database_ahead_of_the_code_is_left_alone(three: Project, company: Path) -> None:
    """An older image after a rollback of the deployment: the journal knows what comes after."""
    migrations.migrate(three)
    (company / "migrations" / "versions" / "0003_street.py").unlink()
    assert migrations.migrate(three) == migrations.Plan((), ahead=("0003_street",))
    assert migrations.plan(three).ahead == ("0003_street",)
    with pytest.raises(Refused, match="at revision 0003_street"):
        migrations.migrate(three, to="base")
    stray = migrations.showmigrations(three)[-1]
    assert (stray.revision.id, stray.known) == ("0003_street", False)


def test_database_that_comes_after_only_some_of_the_code_is_refused(
    three: Project, company: Path
) -> None:
    migrations.migrate(three)
    versions = company / "migrations" / "versions"
    (versions / "0003_street.py").unlink()
    (versions / "0002_place.py").unlink()
    add_revision(company, "0002_other", "pass", after=FIRST)
    with pytest.raises(Refused, match="at revision 0003_street"):
        migrations.migrate(three)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_missing_alembic_ini(company: Path, project: Project) -> None:
    (company / "alembic.ini").unlink()
    with pytest.raises(UsageError, match=r"there is no .*alembic\.ini"):
        migrations.migrate(project)


REBUILD = """
with op.batch_alter_table("department") as batch:
    batch.alter_column("name", type_=sa.String(80))
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rebuilding_a_parent_keeps_its_children(company: Path, project: Project) -> None:
    """With foreign keys on, the DROP TABLE in batch mode would delete ON DELETE CASCADE rows."""
    add_revision(
        company,
        "0002_child",
        'op.create_table("child", sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("d", sa.Integer(), sa.ForeignKey("department.id", ondelete="CASCADE")))\n'
        "op.execute(\"INSERT INTO department VALUES (1, 'd')\")\n"
        'op.execute("INSERT INTO child VALUES (1, 1)")',
    )
    add_revision(company, "0003_rebuild", REBUILD, after="0002_child")
    migrations.migrate(project)
    with project.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM child").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_only_new_orphans_refuse(company: Path, project: Project) -> None:
    orphan = "op.execute(\"INSERT INTO employee VALUES ({0}, 'x', 99)\")"
    migrations.migrate(project)
    with project.migrating(writes=True) as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO employee VALUES (7, 'old', 77)")
    path = add_revision(company, "0002_orphan", orphan.format(8))
    with pytest.raises(
        Refused, match=r"leaves 1 row without its parent: employee\.dept_id refers to"
    ) as caught:
        migrations.migrate(project)
    assert caught.value.state == "rolled back, 0 of 1 applied"
    assert applied(project) == [FIRST]
    path.write_text(path.read_text().replace(orphan.format(8), "pass"))
    migrations.migrate(project)
    assert applied(project) == [FIRST, "0002_orphan"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sql_of_a_revision_that_reads(company: Path, project: Project) -> None:
    add_revision(company, "0002_reads", 'op.get_bind().execute(sa.text("SELECT 1")).fetchall()')
    with pytest.raises(UsageError, match="needs a live database"):
        migrations.sql(project)


@pytest.mark.parametrize("database", ["postgresql", "sqlite"], indirect=True)
def test_one_transaction_a_revision_keeps_whole_revisions(company: Path, project: Project) -> None:
    env = company / "migrations" / "env.py"
    env.write_text(
        env.read_text().replace("metadata)", "metadata, transaction_per_migration=True)")
    )
    add_revision(company, "0002_fine")
    add_revision(company, "0003_broken", 'op.execute("SELECT nonsense")', after="0002_fine")
    with pytest.raises(Rejected) as caught:
        migrations.migrate(project)
    assert caught.value.state == "2 of 3 applied"
    assert applied(project) == [FIRST, "0002_fine"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_more_steps_than_revisions(company: Path, project: Project) -> None:
    add_revision(company, "0002_more")
    migrations.migrate(project, to=FIRST)
    for work, words in {
        lambda: migrations.rollback(project, steps=2): "1 revision is applied, not 2",
        lambda: migrations.redo(project, steps=3): "1 revision is applied, not 3",
        lambda: migrations.migrate(project, to="+2"): "1 revision is pending, not 2",
    }.items():
        with pytest.raises(UsageError, match=f"^{words}$"):
            work()
    migrations.rollback(project)
    with pytest.raises(UsageError, match=r"^no revisions are applied$"):
        migrations.rollback(project)
    migrations.migrate(project)
    with pytest.raises(UsageError, match=r"^no revisions are pending$"):
        migrations.migrate(project, to="+1")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("per_revision", [False, True])
def test_state_says_what_was_reverted(
    company: Path, project: Project, *, per_revision: bool
) -> None:
    if per_revision:
        env = company / "migrations" / "env.py"
        env.write_text(
            env.read_text().replace("metadata)", "metadata, transaction_per_migration=True)")
        )
    add_revision(company, "0002_broken", downgrade="1 / 0")
    add_revision(company, "0003_fine", after="0002_broken")
    migrations.migrate(project)
    with pytest.raises(ProjectFailed) as caught:
        migrations.rollback(project, steps=2)
    expected = "1 of 2 reverted" if per_revision else "rolled back, 0 of 2 reverted"
    assert caught.value.state == expected


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_relative_folders_are_those_of_alembic_ini(
    company: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = company / "other revisions"
    other.mkdir()
    add_revision(company, "0002_elsewhere").rename(other / "0002_elsewhere.py")
    (company / "alembic.ini").write_text(
        "[alembic]\nscript_location = migrations\npath_separator = newline\n"
        "version_locations =\n    migrations/versions\n    other revisions\n"
    )
    monkeypatch.chdir(company / "src")
    assert ids(migrations.migrate(project)) == [FIRST, "0002_elsewhere"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("alembic.ini", "[alembic\n", "cannot be read"),
        ("alembic.ini", "[alembic]\nscript_location = %(nowhere)s\n", "cannot be read"),
        ("alembic.ini", "[alembic]\nscript_location = nowhere\n", "nowhere"),
    ],
)
def test_broken_configuration_is_the_users(
    company: Path, project: Project, name: str, content: str, words: str
) -> None:
    (company / name).write_text(content)
    with pytest.raises(UsageError, match=words):
        migrations.plan(project)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_missing_env_and_env_that_raises(company: Path, project: Project) -> None:
    env = company / "migrations" / "env.py"
    env.write_text("1 / 0\n")
    for work in (migrations.plan, migrations.showmigrations, migrations.migrate):
        with pytest.raises(DbtasksError, match=r"env\.py raised ZeroDivisionError"):
            work(project)
    env.unlink()
    with pytest.raises(UsageError, match=r"there is no .*env\.py"):
        migrations.migrate(project)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_connection_lost_in_a_revision(company: Path, project: Project) -> None:
    add_revision(
        company, "0002_killed", 'op.execute("SELECT pg_terminate_backend(pg_backend_pid())")'
    )
    with pytest.raises(Unreachable, match="0002_killed: the connection was lost") as caught:
        migrations.migrate(project)
    assert caught.value.state == "rolled back, 0 of 2 applied"
    assert "waitdb" in (caught.value.hint or "")
    assert tables(project) == set()


def test_sql_is_what_would_be_sent(company: Path, project: Project) -> None:
    """Neither a driver's parameters nor its doubled % stand in it."""
    add_revision(
        company,
        "0002_data",
        "op.execute(\"DELETE FROM department WHERE name LIKE 'A%'\")\n"
        "department = sa.table('department', sa.column('name', sa.String()))\n"
        "op.execute(department.update().values(name='x'))",
    )
    text = migrations.sql(project)
    assert "LIKE 'A%';" in text
    assert "UPDATE department SET name='x'" in text
