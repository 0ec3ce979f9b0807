"""squashmigrations: one revision in the place of several, which does what they did."""

import ast
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from conftest import ROOT, Database, Result
from dbtasks import Project, migrations
from dbtasks.errors import Refused, UsageError
from dbtasks.migrations.execution import current
from dbtasks.migrations.history.reader import files_of
from trees import FIRST, add_revision, heads_of, revisions

Inv = Callable[..., Result]

ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

HELPED = """

# The same name in two revisions.
NAMES = {names!r}


def fill(names):
    # each by itself
    for name in names:
        op.execute(sa.text("INSERT INTO department (name) VALUES (:name)").bindparams(name=name))
"""


def helped(path: Path, *names: str) -> Path:
    """Add a constant and a helper to a revision, with names that others use too."""
    path.write_text(path.read_text() + HELPED.format(names=names))
    return path


@pytest.fixture
def history(company: Path) -> Path:
    """Return the reference project with renames, a branch and a merge."""
    return write_history(company, rows=False)


@pytest.fixture
def full_history(company: Path) -> Path:
    """Return the same with revisions that bring rows."""
    return write_history(company, rows=True)


def write_history(company: Path, *, rows: bool) -> Path:
    rename = 'op.alter_column("employee", {!r}, new_column_name={!r}, existing_type=sa.String(100))'
    add_revision(
        company,
        "0002_full_name",
        rename.format("name", "full_name"),
        downgrade=rename.format("full_name", "name"),
    )
    for side, name in (("left", "Sales"), ("right", "Legal")):
        path = add_revision(
            company,
            f"0003_{side}",
            f'op.create_table("{side}", sa.Column("id", sa.Integer, primary_key=True))\n'
            + ("fill(NAMES)" if rows else ""),
            downgrade=f'op.drop_table("{side}")\n'
            f"op.execute(\"DELETE FROM department WHERE name = '{name}'\")",
            after="0002_full_name",
        )
        if rows:
            helped(path, name)
    add_revision(company, "0004_merge", after=("0003_left", "0003_right"))
    row = (
        "\nop.execute(\"INSERT INTO staff (id, full_name, dept_id) SELECT 7, 'Zoe', min(id) \"\n"
        '    "FROM department")'
    )
    add_revision(
        company,
        "0005_staff",
        'op.rename_table("employee", "staff")' + (row if rows else ""),
        downgrade='op.execute("DELETE FROM staff WHERE id = 7")\n'
        'op.rename_table("staff", "employee")',
        after="0004_merge",
    )
    return company


def found(project: Project) -> tuple[set[str], list[str], list[str]]:
    """Return the tables, the names of the departments, and those of the staff."""
    with project.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        departments = connection.scalars(text("SELECT name FROM department ORDER BY name"))
        people = (
            connection.scalars(text("SELECT full_name FROM staff")) if "staff" in tables else ()
        )
        return tables, [*departments], [*people]


def test_renames_a_branch_and_a_merge(history: Path, project: Project) -> None:
    migrations.migrate(project)
    before = found(project)
    squashed = migrations.squashmigrations(project, first="0002", last="0005")
    (file,) = squashed.files
    assert [one.id for one in file.replaced] == [
        *("0002_full_name", *sorted(("0003_left", "0003_right"))),
        *("0004_merge", "0005_staff"),
    ] or [one.id for one in file.replaced][1:3] == ["0003_right", "0003_left"]
    assert revisions(history) == [f"{FIRST}.py", "0005_staff.py"]

    # The database that was at its end needs nothing, and is told so without Alembic.
    assert heads_of(project.settings) == {"0005_staff"}
    assert current.is_current(project, files_of(project.settings) or ())
    assert migrations.migrate(project).steps == ()

    migrations.migrate(project, to=FIRST)
    assert found(project)[0] & {"left", "right", "staff", "employee"} == {"employee"}
    assert [one.revision.id for one in migrations.migrate(project).steps] == ["0005_staff"]
    assert found(project) == before


def test_from_the_beginning(full_history: Path, project: Project) -> None:
    migrations.squashmigrations(project, first=FIRST, last="0004")
    assert revisions(full_history) == ["0004_merge.py", "0005_staff.py"]
    migrations.migrate(project)
    assert found(project)[1] == ["Legal", "Sales"]
    assert found(project)[2] == ["Zoe"]
    migrations.migrate(project, to="base")
    with project.connect() as connection:
        assert "department" not in inspect(connection).get_table_names()


@ONE
@pytest.mark.parametrize("last", ["heads", "head"])
def test_everything(full_history: Path, project: Project, last: str) -> None:
    migrations.squashmigrations(project, first="base", last=last)
    assert revisions(full_history) == ["0005_staff.py"]
    assert [one.revision.id for one in migrations.migrate(project).steps] == ["0005_staff"]


@ONE
@pytest.mark.parametrize(("first", "last"), [("base", "0003_left"), ("0002", "heads")])
def test_several_beginnings_or_heads_are_named(
    history: Path, project: Project, first: str, last: str
) -> None:
    add_revision(history, "0001_other", after=None)
    add_revision(history, "0006_other", after="0001_other")
    with pytest.raises(UsageError) as raised:
        migrations.squashmigrations(project, first=first, last=last)
    named = "0001_department_employee, 0001_other" if first == "base" else "0005_staff, 0006_other"
    assert named in str(raised.value)


def test_a_database_in_the_middle_is_told(history: Path, inv: Inv, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    inv("migrate", "--to", "0003_left", env=env)
    done = inv("squashmigrations", "--from", "0002", "--to", "0005")  # where that is not seen
    assert done.code == 0, done
    assert done.out.splitlines()[0].endswith("0005_staff.py")
    assert sum(line.startswith("Removed ") for line in done.out.splitlines()) == 4
    for command in (
        ["migrate"],
        ["migrate", "--plan"],
        ["migrate", "--to", FIRST, "--no-input"],
        ["migrate", "--dry-run"],
        ["showmigrations"],
    ):
        told = inv(*command, env=env)
        assert told.code == 3, (command, told)
        assert "the database stands at 0003_left, inside the squashed 0005_staff: " in told.err
        assert "migrate to 0005_staff first" in told.err


@ONE
def test_a_range_that_begins_with_a_merge(history: Path, project: Project) -> None:
    squashed = migrations.squashmigrations(project, first="0004", last="0005")
    parents = assigned(squashed.files[0].text)["down_revision"]
    assert sorted(parents) == ["0003_left", "0003_right"]
    assert heads_of(project.settings) == {"0005_staff"}
    assert len(migrations.migrate(project).steps) == 5


@ONE
def test_what_is_squashed_can_be_squashed(history: Path, project: Project) -> None:
    migrations.squashmigrations(project, first="0002", last="0004")
    squashed = migrations.squashmigrations(project, first="0004", last="0005")
    values = assigned(squashed.files[0].text)
    assert values["replaces"][0] == "0002_full_name"
    assert sorted(values["replaces"]) == [
        *("0002_full_name", "0003_left", "0003_right", "0004_merge", "0005_staff")
    ]
    assert (values["revision"], values["down_revision"]) == ("0005_staff", FIRST)
    migrations.migrate(project)
    assert found(project)[0] >= {"left", "right", "staff"}


def test_an_env_py_of_its_own(tmp_path: Path, inv: Inv, database: Database) -> None:
    """Its connections go to the scratch databases, too, and not to the project's."""
    root = Path(shutil.copytree(ROOT / "tests" / "projects" / "generic", tmp_path / "generic"))
    env = {"DATABASE_URL": database.url}
    words = ("squashmigrations", "--from", "1f0c5d2a7b31", "--to", "8a4e9d03c6f2")
    done = inv(*words, cwd=root, env=env)
    assert done.code == 0, done
    assert inv("showmigrations", cwd=root, env=env).out.startswith("[ ] 8a4e9d03c6f2")
    assert inv("migrate", cwd=root, env=env).out.count("Applying") == 1


def assigned(code: str) -> dict[str, object]:
    """Return the literals that a module gives to names."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


# -- what is refused ----------------------------------------------------------------------------


@ONE
@pytest.mark.parametrize("how", ["comes after", "depends on"])
def test_what_hangs_inside(how: str, history: Path, project: Project) -> None:
    if how == "comes after":
        add_revision(history, "0006_other", after="0003_left")
    else:
        path = add_revision(history, "0006_other", after=None)
        path.write_text(path.read_text() + "\ndepends_on = '0003_left'\n")
    before = revisions(history)
    with pytest.raises(Refused, match=f"0006_other {how} 0003_left") as refused:
        migrations.squashmigrations(project, first="0002", last="0005")
    assert refused.value.exit_code == 3
    assert str(refused.value.hint).startswith("end the range there: --to 0003_left; or begin")
    assert revisions(history) == before


@ONE
def test_what_hangs_at_the_beginning(history: Path, project: Project) -> None:
    """The range cannot end where it begins."""
    add_revision(history, "0006_other", after="0002_full_name")
    with pytest.raises(Refused, match="0006_other comes after 0002_full_name") as refused:
        migrations.squashmigrations(project, first="0002", last="0005")
    assert str(refused.value.hint).startswith("begin behind it: --from 0003_")


@ONE
def test_a_history_without_revisions(company: Path, project: Project) -> None:
    (company / "migrations" / "versions" / f"{FIRST}.py").unlink()
    with pytest.raises(UsageError, match="the history has no revisions") as raised:
        migrations.squashmigrations(project, first="base", last="heads")
    assert str(raised.value.hint) == "write the first: inv makemigrations"


@ONE
def test_a_merge_with_what_is_outside(history: Path, project: Project) -> None:
    with pytest.raises(Refused, match="0004_merge also comes after 0003_right"):
        migrations.squashmigrations(project, first="0003_left", last="0005")


@ONE
def test_bad_usage(inv: Inv, history: Path, project: Project) -> None:
    for first, last in (("0005", "0002"), ("0003_left", "0003_right")):
        with pytest.raises(UsageError, match="does not come after"):
            migrations.squashmigrations(project, first=first, last=last)
    with pytest.raises(UsageError, match="0002_full_name is one revision, and nothing to squash"):
        migrations.squashmigrations(project, first="0002", last="0002")
    with pytest.raises(UsageError, match="there is no revision"):
        migrations.squashmigrations(project, first="0009", last="0005")
    assert inv("squashmigrations", "--from", "0002").code == 2


# -- what it looks like -------------------------------------------------------------------------


def test_dry_run_shows_the_file(history: Path, inv: Inv) -> None:
    before = revisions(history)
    shown = inv("squashmigrations", "--from", "0002", "--to", "0005", "--dry-run")
    assert shown.code == 0, shown
    compile(shown.out, "shown", "exec")
    assert revisions(history) == before
    inv("squashmigrations", "--from", "0002", "--to", "0005")
    written = history / "migrations" / "versions" / "0005_staff.py"
    assert written.read_text() == shown.out


@ONE
def test_name(history: Path, project: Project) -> None:
    ini = history / "alembic.ini"
    ini.write_text(ini.read_text().replace("%%(rev)s", "%%(rev)s-%%(slug)s"))
    squashed = migrations.squashmigrations(project, first="0002", last="0005", name="all_of_it")
    assert revisions(history) == [f"{FIRST}.py", "0005_staff-all_of_it.py"]
    assert squashed.files[0].text.startswith('"""all of it\n')
    assert migrations.migrate(project).steps[-1].revision.id == "0005_staff"


@ONE
def test_a_name_that_is_taken(history: Path, project: Project) -> None:
    ini = history / "alembic.ini"
    ini.write_text(ini.read_text().replace("%%(rev)s", "%%(slug)s"))
    with pytest.raises(Refused, match=f"there is a .*{FIRST}.py already"):
        migrations.squashmigrations(project, first="0002", last="0005", name=FIRST)


@ONE
def test_all_is_as_it_was_where_the_file_is_not_found(history: Path, project: Project) -> None:
    """A template may make names that Alembic leaves out, as an editor's."""
    ini = history / "alembic.ini"
    ini.write_text(ini.read_text().replace("%%(rev)s", ".#%%(slug)s"))
    before = revisions(history)
    with pytest.raises(Refused, match="is not found in the history"):
        migrations.squashmigrations(project, first="0002", last="0005", name="all")
    assert revisions(history) == before
    assert len(migrations.migrate(project).steps) == len(before)


@ONE
def test_labels_and_dependencies_are_kept(company: Path, project: Project) -> None:
    log = add_revision(company, "0002_log", after=None)
    log.write_text(log.read_text() + "\nbranch_labels = 'log'\n")
    first = add_revision(company, "0003_first")
    first.write_text(first.read_text() + "\ndepends_on = 'log'\nbranch_labels = ('main',)\n")
    add_revision(company, "0004_last", after="0003_first")
    squashed = migrations.squashmigrations(project, first="0003", last="0004")
    values = assigned(squashed.files[0].text)
    assert values["branch_labels"] == ("main",)
    assert values["depends_on"] == ("log",)
    steps = [one.revision.id for one in migrations.migrate(project).steps]
    assert sorted(steps[:2]) == [FIRST, "0002_log"]
    assert steps[2:] == ["0004_last"]


USED_UP = {
    "a counter": ("ids = itertools.count(1)", "next(ids)"),
    "a list": ("ids = [2, 1]", "ids.pop()"),
    "a global": (
        "count = 0\n\n\ndef add():\n    global count\n    count += 1\n    return count",
        "add()",
    ),
}


@pytest.mark.parametrize(("line", "value"), USED_UP.values(), ids=USED_UP)
def test_what_a_revision_uses_up(line: str, value: str, company: Path, project: Project) -> None:
    """Each run of a history begins with modules that are new."""
    row = "op.execute(f\"INSERT INTO department (id, name) VALUES ({%s}, 'A')\")"
    path = add_revision(company, "0002_rows", "\n".join([row % value] * 2))
    path.write_text(
        path.read_text().replace("\nrevision =", f"\nimport itertools\n\n{line}\n\nrevision =")
    )
    back = f'assert {value} == 1\nop.execute("DELETE FROM department")'
    path = add_revision(company, "0003_last", downgrade=back, after="0002_rows")
    path.write_text(
        path.read_text().replace("\nrevision =", f"\nimport itertools\n\n{line}\n\nrevision =")
    )
    migrations.squashmigrations(project, first="base", last="0003")
    migrations.migrate(project)
    with project.connect() as connection:
        assert [*connection.scalars(text("SELECT id FROM department ORDER BY id"))] == [1, 2]
    migrations.migrate(project, to="base")


LAMBDA = "\n\ndowngrade = lambda: op.execute(\"DELETE FROM department WHERE name = 'A'\")\n"


def test_a_downgrade_that_is_no_def(
    company: Path, project: Project, inv: Inv, database: Database
) -> None:
    env = {"DATABASE_URL": database.url}
    row = "op.execute(\"INSERT INTO department (name) VALUES ('A')\")"
    for revision, after in (("0002_row", FIRST), ("0003_row", "0002_row")):
        path = add_revision(company, revision, row if after == FIRST else "pass", after=after)
        path.write_text(path.read_text().replace("def downgrade():\n    pass\n", LAMBDA.lstrip()))
        assert "lambda" in path.read_text()
    for command in (
        ("migrate",),
        ("rollback", "--no-input"),
        ("migrate", "--to", "base", "--no-input"),
        ("squashmigrations", "--from", "base", "--to", "0003", "--dry-run"),
        ("squashmigrations", "--from", "base", "--to", "0003"),
        ("migrate",),
    ):
        done = inv(*command, env=env)
        assert done.code == 0, (command, done)
    with project.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM department")) == 1
    assert inv("rollback", "--no-input", env=env).code == 0


@ONE
def test_one_that_cannot_be_reverted(company: Path, project: Project) -> None:
    add_revision(company, "0002_fixed", downgrade="raise NotImplementedError")
    add_revision(company, "0003_last", after="0002_fixed")
    migrations.squashmigrations(project, first="0002", last="0003")
    migrations.migrate(project)
    with pytest.raises(Refused, match="0003_last cannot be reverted"):
        migrations.migrate(project, to=FIRST)


# -- squashes of the version that put Python together -------------------------------------------


EARLIER = ROOT / "tests" / "projects" / "squashed"


def take_files(company: Path, folder: str) -> None:
    """Give the reference project the revisions that an earlier version left."""
    versions = company / "migrations" / "versions"
    shutil.rmtree(versions)
    shutil.copytree(EARLIER / folder, versions)


def test_a_squash_of_an_earlier_version(company: Path, project: Project) -> None:
    """It runs, tells a database inside of it, and is squashed again with its `replaces`."""
    take_files(company, "ending")
    migrations.migrate(project)
    before = found(project)
    assert before[1:] == (["Legal", "Sales"], ["Zoe"])
    migrations.migrate(project, to=FIRST)
    assert found(project)[0] & {"left", "right", "staff", "employee"} == {"employee"}
    migrations.migrate(project)
    squashed = migrations.squashmigrations(project, first="base", last="0005")
    replaced = assigned(squashed.files[0].text)["replaces"]
    assert sorted(replaced) == [
        *(FIRST, "0002_full_name", "0003_left", "0003_right", "0004_merge", "0005_staff")
    ]
    migrations.migrate(project, to="base")
    migrations.migrate(project)
    assert found(project) == before


@ONE
def test_an_earlier_version_that_was_killed(company: Path, project: Project) -> None:
    take_files(company, "killed")
    with pytest.raises(
        Refused, match=r"renamed revisions in .*: 0002_full_name\.py\.squashed, "
    ) as refused:
        migrations.migrate(project)
    assert "rename them back, without .squashed at the end" in str(refused.value.hint)
    for path in (company / "migrations" / "versions").glob("*.squashed"):
        path.rename(path.with_suffix(""))
    migrations.migrate(project)
    assert found(project)[1:] == (["Legal", "Sales"], ["Zoe"])
