"""The console command `dbtasks`: one value without its option, the words of other tools, help."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment, in_process
from dbtasks.tasks.command_line import POSITIONAL

Program = Callable[..., Result]

MOUNTED = """
from invoke import Collection, task
from dbtasks import collection

@task
def deploy(c):
    '''Deploy it.'''
    print("deployed")

ns = Collection(deploy)
ns.add_collection(
    collection(metadata="company.models:Base", default_model="Employee", seeds="company.seeds:seed",
               default_url="sqlite:///app.db"), name="db")
"""

UNCHANGED = "state: nothing was changed\n"

MEANT = {
    "migrat": "migrate",
    "Migrate": "migrate",
    "migrate-db": "migrate",
    "makemigration": "makemigrations",
    "makemigrate": "makemigrations",
    "make-migrations": "makemigrations",
    "make_migrations": "makemigrations",
    "showmigration": "showmigrations",
    "squashmigration": "squashmigrations",
    "seeds": "seed",
    "sed": "seed",
    "querry": "query",
    "quary": "query",
    "updat": "update",
    "delet": "delete",
    "flsh": "flush",
    "dump-data": "dumpdata",
    "dump_data": "dumpdata",
    "loadata": "loaddata",
    "copy": "copydata",
    "wait": "waitdb",
    "wait-db": "waitdb",
    "tests": "test",
    "setting": "settings",
    "upgrade": "migrate",
    "upgrade head": "migrate",
    "downgrade": "rollback",
    "downgrade -1": "rollback",
    "stamp": "migrate --to REVISION --fake",
    "stamp head": "migrate --to REVISION --fake",
    "current": "showmigrations",
    "history": "showmigrations --graph",
    "heads": "showmigrations --graph",
    "branches": "showmigrations --graph",
    "merge": "makemigrations --merge",
    "revision": "makemigrations --message MESSAGE",
    "revision --autogenerate": "makemigrations --message MESSAGE",
    "alembic upgrade head": "migrate",
    "alembic current": "showmigrations",
    "flask db upgrade": "migrate",
    "db upgrade": "migrate",
    "db downgrade": "rollback",
    "db migrate": "makemigrations",
    "flask db migrate": "makemigrations",
    "db push": "migrate",
    "db:status": "showmigrations",
    "migrate:status": "showmigrations",
    "migrate:rollback": "rollback",
    "g migration": "makemigrations",
    "check": "makemigrations --check",
    "dbshell": "sql",
    "help": "--help",
    "help migrate": "migrate --help",
    "db current": "showmigrations",
    "manage.py migrate": "migrate",
    "python manage.py showmigrations": "showmigrations",
    "db:migrate": "migrate",
    "db:rollback": "rollback",
    "db:seed": "seed",
    "db:migrate:status": "showmigrations",
    "db:migrate:redo": "redo",
    "db:seed:replant": "seed --replant",
    "rails db:migrate": "migrate",
    "up": "migrate",
    "down": "rollback",
    "status": "showmigrations",
    "truncate": "flush",
    "sqlflush": "flush --dry-run",
    "export": "dumpdata --output FILE",
    "import": "loaddata --input FILE",
    "insert": "add",
    "inv migrate": "migrate",
}


@pytest.fixture
def dbtasks(company: Path) -> Program:
    """Return a function that runs `dbtasks` in the reference project."""
    return in_process("dbtasks", company)


def test_the_main_job(dbtasks: Program) -> None:
    done = dbtasks("migrate", "seed", "query", "--name", "A")
    assert done.code == 0
    assert done.out.endswith("Alice → Engineering\n")


def test_one_value_without_its_option(dbtasks: Program) -> None:
    dbtasks("migrate", "0001", "seed")
    assert dbtasks("query", "Department", "--columns", "name").out.split() == [
        *("name", "───────────"),
        "Engineering",
    ]
    assert "Alice" in dbtasks("get", "1").out
    assert "2" in dbtasks("sql", "select count(*) from employee").out
    assert "Reverting 0001" in dbtasks("migrate", "-1", "--no-input").out
    assert "Applying 0001" in dbtasks("migrate", "+1").out
    assert "Reverting 0001" in dbtasks("rollback", "1", "-y").out


@pytest.mark.parametrize(("command", "names"), POSITIONAL.items())
def test_a_value_means_an_option_that_there_is(
    dbtasks: Program, command: str, names: tuple[str, ...]
) -> None:
    shown = dbtasks(command, "--help").out
    for name in names:
        assert re.search(rf" --{name}\b", shown)
    words = [f"value{number}" for number, _ in enumerate(names)]
    assert not dbtasks(command, *words).err.startswith(("error: No idea", "error: there is no com"))


def test_values_of_a_list_option(dbtasks: Program) -> None:
    dbtasks("migrate", "seed")
    done = dbtasks("dumpdata", "Department", "Employee")
    assert "Dumped department: 1 row.\nDumped employee: 2 rows." in done.err


def test_value_of_an_option_may_look_like_a_command(dbtasks: Program) -> None:
    done = dbtasks("migrate", "query", "--name", "seed", "-w", "name=migrate", "--where=id=1")
    assert (done.code, done.out.count("Applying")) == (0, 1)
    assert "0 records" in done.err


@pytest.mark.parametrize(("typed", "meant"), MEANT.items())
def test_what_was_meant(dbtasks: Program, typed: str, meant: str) -> None:
    done = dbtasks(*typed.split())
    first = typed.split()[0]
    assert (done.code, done.err) == (
        2,
        f"error: there is no command {first!r}\nhint: did you mean: dbtasks {meant}\n{UNCHANGED}",
    )


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ("migrate --tto 1", "migrate has no option --tto", "did you mean: dbtasks migrate --to\n"),
        ("query --filter a", "query has no option --filter", "all options: dbtasks query --help"),
        ("dumpdata --nope", "dumpdata has no option --nope", "all options: dbtasks dumpdata"),
        ("query --modle X", "query has no option --modle", "did you mean: dbtasks query --model\n"),
        (
            "query --fromat x",
            "query has no option --fromat",
            "did you mean: dbtasks query --format\n",
        ),
        (
            "query --order=x",
            "query has no option --order",
            "did you mean: dbtasks query --order-by\n",
        ),
        ("add --dry_run", "add has no option --dry_run", "did you mean: dbtasks add --dry-run\n"),
        ("query -Q", "query has no option -Q", "all options: dbtasks query --help"),
        ("--verion", "there is no option --verion", "did you mean: dbtasks --version"),
        ("settings db", "there is no command 'db'", "the options of settings:"),
        ("rollback 1 2", "there is no command '2'", "the options of rollback:"),
        ("--help migrat", "there is no command 'migrat'", "did you mean: dbtasks migrate"),
        (
            "runserver",
            "there is no command 'runserver'",
            "the application has a command of its own",
        ),
        ("migrate app 0001", "there is no command '0001'", "did you mean: dbtasks migrate 0001\n"),
        (
            "sqlmigrate app 0001",
            "there is no command '0001'",
            "did you mean: dbtasks sqlmigrate 0001\n",
        ),
        ("migrate 0001 seeed", "there is no command 'seeed'", "did you mean: dbtasks seed\n"),
        ("nope", "there is no command 'nope'", "dbtasks --help"),
        ("migrate --no-input=x", "--no-input takes no value", "leave out =x\n"),
    ],
)
def test_usage_errors_exit_2(dbtasks: Program, words: str, error: str, hint: str) -> None:
    done = dbtasks(*words.split())
    assert done.code == 2
    assert done.err.startswith(f"error: {error}\nhint: {hint}")
    assert done.err.endswith(f"\n{UNCHANGED}")


def test_hint_of_a_mounted_collection(dbtasks: Program, company: Path) -> None:
    (company / "tasks.py").write_text(MOUNTED)
    for word in ("upgrade", "db.upgrade", "db.migrat"):
        assert "hint: did you mean: dbtasks db.migrate\n" in dbtasks(word).err
    done = dbtasks("migrate", "seed", "query", "Employee", "deploy")
    assert done.out.endswith("Alice → Engineering\nBob → Engineering\ndeployed\n")
    shown = dbtasks("--help").out
    assert shown.index("Migrations:") < shown.index("db.migrate") < shown.index("This project:")


def test_help_has_groups_and_examples(dbtasks: Program) -> None:
    for words in ((), ("--help",), ("-h",)):
        shown = dbtasks(*words).out
        assert shown.startswith("usage: dbtasks COMMAND")
        assert shown.index("\nMigrations:") < shown.index("  migrate ") < shown.index("\nRecords:")
    shown = dbtasks("migrate", "--help").out
    assert shown.startswith("usage: dbtasks migrate [TO] [OPTIONS]\n")
    assert "\nexamples:\n  dbtasks migrate\n" in shown


def test_version(dbtasks: Program) -> None:
    import dbtasks as package

    assert dbtasks("--version").out == f"dbtasks {package.__version__}\n"


def test_options_of_pytest_follow_test(dbtasks: Program, company: Path) -> None:
    (company / "tests").mkdir()
    (company / "tests" / "test_it.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    done = dbtasks("test", "-q", "-k", "test_a", "-p", "no:cacheprovider", "tests/test_it.py")
    assert done.code == 0
    assert "1 passed, 1 deselected" in done.out
    assert "pytest -k 'a b'" in dbtasks("--dry", "test", "-k", "a b").out


def test_a_database_without_models(
    dbtasks: Program, company: Path, tmp_path: Path, database: Database
) -> None:
    dbtasks("migrate", "seed", cwd=company, env={"DATABASE_URL": database.url})
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / ".env").write_text(f"DATABASE_URL={database.url}\n")
    assert "Alice" in dbtasks("query", "employee", cwd=folder).out
    assert "department, employee" in dbtasks("query", cwd=folder).err
    assert dbtasks("add", "department", "--set", "name=Sales", cwd=folder).code == 0
    done = dbtasks("dumpdata", "--output", "all.jsonl", cwd=folder)
    assert "Dumped department: 2 rows.\nDumped employee: 2 rows." in done.err
    assert dbtasks("flush", "--no-input", cwd=folder).code == 0
    done = dbtasks("loaddata", "all.jsonl", cwd=folder)
    assert done.code == 0, done.err
    assert "Loaded employee: 2 rows." in done.out
    done = dbtasks("migrate", cwd=folder)
    assert done.code == 2
    assert "hint: dbtasks init writes one" in done.err


@pytest.mark.parametrize(
    ("typed", "some"),
    [
        ("dbtasks ", ["migrate", "query"]),
        ("dbtasks mig", ["migrate"]),
        ("dbtasks migrate --to", ["0001_department_employee"]),
        ("dbtasks migrate ", ["seed", "0001_department_employee"]),
        ("dbtasks query --model=D", ["--model=Department", "--model=Employee"]),
        ("dbtasks query --model ", ["Department", "Employee"]),
        ("dbtasks query --wh", ["--where"]),
        ("dbtasks query -w ", ["dept_id", "name"]),
        ("dbtasks migrate --database ", ["default"]),
        ("dbtasks copydata ", ["default"]),
    ],
)
def test_completion(dbtasks: Program, typed: str, some: list[str]) -> None:
    done = dbtasks("--complete", "--", *typed.split(" "))
    assert set(some) <= set(done.out.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_the_shell(dbtasks: Program, shell: str) -> None:
    assert "--complete -- " in dbtasks("--print-completion-script", shell).out


def test_interrupted_while_tasks_are_loaded(company: Path) -> None:
    (company / "tasks.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(30)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "dbtasks", "migrate"],
        cwd=company,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("word", "meant"), [("zero", "migrate --to base"), ("dev", "makemigrations")]
)
def test_words_of_other_tools_for_a_revision(dbtasks: Program, word: str, meant: str) -> None:
    done = dbtasks("migrate", word)
    assert (done.code, f"hint: did you mean: dbtasks {meant}\n" in done.err) == (2, True), done


@pytest.mark.parametrize("words", ["--help", "migrate --help", "--print-completion-script bash"])
def test_help_that_nobody_reads(company: Path, words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "dbtasks", *words.split()]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            line, cwd=company, env=clean_environment(), stdout=closed, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr.decode()) == (141, "")
