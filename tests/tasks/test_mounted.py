"""Several collections in one process, several databases, and Invoke's own configuration."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result

Inv = Callable[..., Result]

TWO = Path(__file__).parents[1] / "projects" / "two_databases" / "tasks.py"

SEVERAL = """
from dbtasks import collection

ns = collection(
    metadata="company.models:Base",
    seeds="company.seeds:seed",
    default_model="Employee",
    default_url="sqlite:///app.db",
    databases={
        "other": {"default_url": "sqlite:///other.db"},
        "replica": {"default_url": "sqlite:///app.db", "read_only": True},
    },
)
"""


OWN_TASK = """
from invoke import task

@task
def hello(c):
    print("hello")

ns.add_task(hello)
"""


@pytest.fixture
def two(company: Path) -> Path:
    shutil.copy(TWO, company / "tasks.py")
    return company


@pytest.fixture
def several(company: Path) -> Path:
    (company / "tasks.py").write_text(SEVERAL)
    return company


def test_two_collections_each_on_its_own(inv: Inv, two: Path) -> None:
    done = inv("one.migrate", "two.migrate", "one.seed", "two.query")
    assert done.code == 0
    assert done.out.count("Applying 0001_department_employee") == 2
    assert "0 records" in done.err
    assert inv("one.query").out == "Alice → Engineering\nBob → Engineering\n"
    assert sorted(path.name for path in two.glob("*.db")) == ["one.db", "two.db"]


def test_two_databases_in_memory_are_two(inv: Inv, two: Path) -> None:
    memory = "sqlite:///:memory:"
    done = inv(
        *("one.migrate", "two.migrate", "one.seed", "two.query", "one.query"),
        env={"ONE_URL": memory, "TWO_URL": memory},
    )
    assert done.out.endswith("Alice → Engineering\nBob → Engineering\n")
    assert done.err.endswith("0 records\n2 records\n")


def test_same_command_twice_with_other_options(inv: Inv) -> None:
    inv("migrate", "seed")
    done = inv("query", "--name", "A", "query", "--name", "B")
    assert done.out == "Alice → Engineering\nBob → Engineering\n"


def test_database_all_is_every_writable_one(inv: Inv, several: Path) -> None:
    assert inv("migrate", "--database", "all").out.count("Applying") == 2
    assert sorted(path.name for path in several.glob("*.db")) == ["app.db", "other.db"]


def test_read_only_alias_is_not_written_to(inv: Inv, several: Path) -> None:
    refused = inv("migrate", "--database", "replica")
    assert (refused.code, list(several.glob("*.db"))) == (3, [])
    assert "declared read-only" in refused.err
    inv("migrate", "seed")
    assert inv("query", "--database", "replica", "--name", "B").out == "Bob → Engineering\n"


def test_no_input_names_the_database_where_there_are_several(inv: Inv, several: Path) -> None:
    inv("migrate")
    refused = inv("migrate", "--to", "base", "--no-input")
    assert (refused.code, "--database" in refused.err) == (2, True)
    assert inv("migrate", "--to", "base", "--no-input", "--database", "default").code == 0


def test_variable_names_the_database_of_the_whole_line(inv: Inv, several: Path) -> None:
    done = inv("migrate", "seed", "query", env={"DBTASKS_DATABASE": "other"})
    assert done.out.endswith("Bob → Engineering\n")
    assert [path.name for path in several.glob("*.db")] == ["other.db"]


def test_alias_of_the_environment_alone(inv: Inv, company: Path) -> None:
    env = {"STAGING_DATABASE_URL": "sqlite:///staging.db"}
    assert inv("migrate", "--database", "staging", env=env).code == 0
    assert [path.name for path in company.glob("*.db")] == ["staging.db"]


def test_invoke_configuration(inv: Inv, company: Path) -> None:
    (company / "invoke.yaml").write_text("db:\n  default_url: sqlite:///from-yaml.db\n")
    inv("migrate")
    assert (company / "from-yaml.db").is_file()
    inv("migrate", env={"INVOKE_DB_URL": "sqlite:///from-variable.db"})
    assert (company / "from-variable.db").is_file()
    shown = inv("settings", "--format", "csv", env={"INVOKE_DB_DEFAULT_MODEL": "Department"}).out
    assert "default_model,Department,invoke configuration" in shown


def test_dotenv(inv: Inv, company: Path) -> None:
    (company / ".env").write_text("DATABASE_URL=sqlite:///from-dotenv.db\n")
    inv("migrate")
    assert [path.name for path in company.glob("*.db")] == ["from-dotenv.db"]


def test_only_without_and_a_task_of_the_projects_own(inv: Inv, company: Path) -> None:
    tasks = company / "tasks.py"
    text = tasks.read_text()
    tasks.write_text(
        text.replace("collection(\n", 'collection(\n    only=["migrate", "query"],\n', 1)
    )
    assert [
        line.split()[0] for line in inv("--list").out.splitlines()[2:] if line[2:3].strip()
    ] == [
        "migrate",
        "query",
    ]
    tasks.write_text(text.replace("collection(\n", 'collection(\n    without=["test"],\n', 1))
    assert "  test " not in inv("--list").out
    tasks.write_text(text.replace("collection(\n", 'collection(\n    only=["migrat"],\n', 1))
    refused = inv("--list")
    assert (refused.code, "did" in refused.err or "migrate?" in refused.err) == (2, True)
    tasks.write_text(text + OWN_TASK)
    assert inv("hello", "migrate").out.startswith("hello\nApplying")


def test_mounted_below_a_name_with_configuration(inv: Inv, company: Path) -> None:
    (company / "tasks.py").write_text(
        "from invoke import Collection\nfrom dbtasks import collection\n"
        "ns = Collection()\n"
        'ns.add_collection(collection(metadata="company.models:Base"), name="db")\n'
        'ns.configure({"db": {"default_url": "sqlite:///mounted.db"}})\n'
    )
    assert inv("db.migrate").code == 0
    assert (company / "mounted.db").is_file()


def test_application_factory_is_called_first(inv: Inv, company: Path) -> None:
    (company / "src" / "shop.py").write_text(
        "class App:\n"
        "    def app_context(self): return self\n"
        "    def push(self): print('pushed')\n"
        "def create_app():\n    print('made')\n    return App()\n"
    )
    tasks = company / "tasks.py"
    tasks.write_text(
        tasks.read_text().replace("collection(\n", 'collection(\n    app="shop:create_app",\n')
    )
    inv("migrate")
    assert inv("query").out.startswith("made\npushed\n")


@pytest.mark.pyproject
def test_alembic_elsewhere_and_in_pyproject(inv: Inv, company: Path) -> None:
    (company / "alembic.ini").unlink()
    (company / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    )
    tasks = company / "tasks.py"
    tasks.write_text(
        tasks.read_text().replace("collection(\n", 'collection(\n    alembic="pyproject.toml",\n')
    )
    assert inv("migrate", cwd=company / "src").out.startswith("Applying")


def test_state_of_all_names_what_is_done(inv: Inv, several: Path) -> None:
    (several / "other.db").write_text("not a database, but long enough to be looked at" * 40)
    inv("migrate")
    done = inv("seed", "--database", "all")
    assert done.code == 5
    assert inv("query").err == "0 records\n"  # all are looked at before the first is written to
    (several / "other.db").unlink()
    done = inv("seed", "--database", "all")
    assert done.err.endswith("state: nothing was changed; done before: default\n")


def test_what_the_first_of_all_has_used_up(inv: Inv, several: Path) -> None:
    inv("migrate", "--database", "all", "seed", "--database", "all")
    record, change = '{"name": "Zoë", "dept_id": 1}', "UPDATE employee SET name = 'X' WHERE id = 1"
    for given, arguments in (
        (record, ("add", "--from-file", "-")),
        (change, ("sql", "--write", "--file", "-")),
        ("", ("query", "--format", "csv", "--output", "found.csv")),
    ):
        done = inv(*arguments, "--database", "all", input=given)
        assert done.code == 2
        assert "is for one database, and default has had it\nhint: name one" in done.err
        assert done.err.endswith("state: nothing was changed; done before: default\n")
    found = (several / "found.csv").read_text(encoding="utf-8")
    assert found == "id,name,dept_id\n1,X,1\n2,Bob,1\n3,Zoë,1\n"
    assert inv("query", "--count", "--database", "other").out == "2\n"
