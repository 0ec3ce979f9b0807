"""The runner in this process: what it returns is what a process returns, and nothing stays."""

import gc
import logging
import os
import py_compile
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event

import runner
from conftest import Database, Result, as_process, clean_environment, clear, in_process
from dbtasks import settings

Inv = Callable[..., Result]


FAMILIES = {
    "project": (
        "--list",
        "--version",
        "migrate --help",
        "settings",
        "settings --format json",
        "init",
        "nope",
        "migrate --nope",
        "query --model=",
        "settings --database nowhere",
    ),
    "migrations": (
        "migrate --check",
        "migrate --plan",
        "migrate",
        "migrate",
        "showmigrations --format json",
        "sqlmigrate",
        "makemigrations --check",
        "makemigrations --empty --name more",
        "makemigrations --name none",
        "migrate --to nope",
        "migrate redo --no-input",
        "rollback",
        "rollback --no-input",
        "squashmigrations --name all",
        "resolve",
        "unlock",
        "migrate --to base --no-input --lock-timeout soon",
    ),
    "records": (
        "query",
        "migrate seed query",
        "query --format csv",
        "query --where name=Nobody",
        "query --where nom=Bob",
        "query --where id=x --traceback",
        "get --pk 1",
        "get --pk 99",
        "add --set name=Zoë --set dept_id=1 --echo",
        "add --set name=Zoe --set dept_id=99",
        "update --where name=Bob --set name=Rob --no-input",
        "delete --where name=Rob",
        "delete --where name=Rob --expect 2 --no-input",
        "delete --where name=Rob --no-input",
        "sql --statement 'SELECT name FROM employee ORDER BY id'",
        "sql --file -",
        "sql --statement 'DELETE FROM employee'",
        "sql --statement 'SELECT nonsense'",
    ),
    "data": (
        "seed",
        "migrate seed seed",
        "seed --dry-run",
        "dumpdata",
        "dumpdata --output d.jsonl",
        "dumpdata --output nowhere/d.jsonl",
        "flush",
        "flush --dry-run",
        "flush --no-input",
        "loaddata --input d.jsonl",
        "loaddata --input d.jsonl",
        "loaddata --input nowhere.jsonl",
        "loaddata --input tasks.py",
        "copydata --from default --to default",
    ),
    "databases": (
        "waitdb",
        "waitdb --timeout soon",
        "migrate",
        "waitdb",
        "protect --as production",
        "flush --no-input",
        "protect",
    ),
}
"""Command lines of each family, the good and the failing, as a user types them one by one."""

CHANGES = (
    (r"\d+(\.\d+)? ?m?s\b", "TIME"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*", "NOW"),
    (r"(?m)^\[(generated|cached) .*\]$|cached since .*|generated in .*", "CACHE"),
    (r'"seconds": [\d.e-]+', "TIME"),
    (r"(\w+@[\w.-]+):\d+", r"\1:PID"),
)
"""What two runs differ in: patterns, and what to compare in their place."""


@pytest.mark.parametrize(
    ("family", "program", "database"),
    [
        (family, program, kind)
        for family in FAMILIES
        for program, kind in (
            *(("inv", "sqlite"), ("dbtasks", "sqlite")),
            *(("inv", "postgresql"), ("inv", "mariadb")),
        )
        if family != "project" or kind == "sqlite"  # whose commands open no database
    ],
    indirect=["database"],
)
def test_every_result_is_that_of_a_process(
    company: Path, database: Database, program: str, family: str
) -> None:
    """Output, errors and exit code of each line; both start with the same files and rows."""
    lines = FAMILIES[family]
    kept = company.with_name("kept")
    shutil.copytree(company, kept)
    process = as_process("invoke" if program == "inv" else program, company)
    apart = [result_of(process, line, database) for line in lines]
    shutil.rmtree(company)
    kept.rename(company)
    empty(database)
    here = [result_of(in_process(program, company), line, database) for line in lines]
    for mine, theirs in zip(here, apart, strict=True):
        assert mine == theirs
    codes = {code for _, code, _, _ in here}
    assert {0} < codes


def result_of(run: Inv, line: str, database: Database) -> tuple[str, int, str, str]:
    done = run(*shlex.split(line), env={"DATABASE_URL": database.url}, input="SELECT 1 AS one\n")
    return line, done.code, without_times(done.out), without_times(done.err)


def without_times(text: str) -> str:
    for pattern, word in CHANGES:
        text = re.sub(pattern, word, text)
    return text


def empty(database: Database) -> None:
    if database.kind == "sqlite":
        for file in Path(database.url.partition("///")[2]).parent.glob("test.db*"):
            file.unlink()
    else:
        clear(database.kind, database.url)


LEAVES_MUCH = """
import logging, os, sys, warnings
from sqlalchemy import Engine, event
from company.models import Department

HEARD = os.path.abspath("heard")

@event.listens_for(Engine, "commit")
def note(connection):
    with open(HEARD, "a") as file:
        file.write("x")

def seed(session):
    session.add(Department(name="one"))
    os.environ["LEFT"] = "1"
    sys.path.insert(0, "left")
    sys.argv.append("left")
    os.chdir("/")
    warnings.simplefilter("error")
    logging.disable(0)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    logging.getLogger("left").setLevel(logging.CRITICAL)
"""


def test_nothing_stays(company: Path) -> None:
    seeds = company / "src" / "company" / "seeds.py"
    seeds.write_text(LEAVES_MUCH, encoding="utf-8")
    state = (os.getcwd(), dict(os.environ), sys.path[:], sys.argv[:], warnings.filters[:])
    hook = sys.unraisablehook
    modules = set(sys.modules)
    declared = settings.declared[:]
    done = runner.run("migrate", "seed", cwd=company, env=clean_environment())
    assert (done.returncode, done.stderr.count("database: ")) == (0, 2), done
    assert state == (os.getcwd(), dict(os.environ), sys.path, sys.argv, warnings.filters)
    assert sys.unraisablehook is hook
    assert logging.getLogger("left").level == logging.NOTSET
    assert [one for one in set(sys.modules) - modules if one.startswith(("company", "tasks"))] == []
    assert settings.declared == declared
    heard = (company / "heard").read_text(encoding="utf-8")
    with create_engine("sqlite://").begin():
        pass
    assert (heard != "", (company / "heard").read_text(encoding="utf-8")) == (True, heard)


def test_module_that_is_rewritten_at_once(company: Path) -> None:
    """At the same second and size: Python takes its old bytecode, where there is some."""
    seeds = company / "src" / "company" / "seeds.py"
    line = "from company.models import Department as D\n"
    line += "def seed(session):\n    session.add(D(name='{}'))"
    runner.run("migrate", cwd=company, env=clean_environment())
    for name in ("one", "two", "six"):
        seeds.write_text(line.format(name), encoding="utf-8")
        os.utime(seeds, (1_000_000_000, 1_000_000_000))
        py_compile.compile(str(seeds)) if name == "one" else None
        assert runner.run("seed", cwd=company, env=clean_environment()).returncode == 0
    shown = runner.run("query", "-m", "Department", cwd=company, env=clean_environment())
    assert [line.split()[-1] for line in shown.stdout.splitlines()[-3:]] == ["one", "two", "six"]


def test_models_of_two_projects_of_one_name(company: Path) -> None:
    """A class whose relationship cannot be configured is gone with its command."""
    models = company / "src" / "company" / "models.py"
    text = models.read_text(encoding="utf-8")
    models.write_text(text.replace("Mapped[Department]", 'Mapped["Nowhere"]'), encoding="utf-8")
    broken = runner.run("query", cwd=company, env=clean_environment())
    assert "Nowhere" in broken.stderr, broken
    models.write_text(text, encoding="utf-8")
    done = runner.run("migrate", "seed", "query", cwd=company, env=clean_environment())
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Bob → Engineering"), done


def test_log_is_written_though_pytest_has_handlers(company: Path) -> None:
    done = runner.run("--debug", "--list", cwd=company, env=clean_environment())
    assert "invoke.config" in done.stderr, done
    assert "invoke" not in runner.run("--list", cwd=company, env=clean_environment()).stderr


def test_listener_of_the_tests_stays(company: Path) -> None:
    heard: list[object] = []
    listen = lambda connection, record: heard.append(record)  # noqa: E731 - to be removed
    event.listen(Engine, "connect", listen)
    try:
        runner.run("--list", cwd=company, env=clean_environment())
        create_engine("sqlite://").connect().close()
    finally:
        event.remove(Engine, "connect", listen)
    assert len(heard) == 1


def test_models_are_freed(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COLLECTED_EVERY", 1)
    counts = []
    for _ in range(3):
        runner.run("migrate", "seed", "query", cwd=company, env=clean_environment())
        gc.unfreeze()  # what is frozen is in no list
        counts.append(sum(isinstance(one, MetaData) for one in gc.get_objects()))
    assert counts[-1] <= counts[0], counts  # other tests may have left some, which go too


ENGINES = """
from sqlalchemy import create_engine
from dbtasks import collection

count = 0


def make():
    global count
    count += 1
    print("made", count)
    return create_engine("sqlite:///app.db")


ns = collection(metadata="company.models:Base", default_model="Employee", engine=ENGINE)
"""


@pytest.mark.parametrize("engine", ["make", '"engines:make"'])
def test_engine_of_a_function_is_made_for_each_command(company: Path, engine: str) -> None:
    """In one process it is made once, and a second command in it would not see a changed file."""
    text = ENGINES.replace("ENGINE", engine)
    (company / "tasks.py").write_text(text, encoding="utf-8")
    (company / "engines.py").write_text(text.rpartition("ns = ")[0], encoding="utf-8")
    for _ in range(2):
        done = runner.run("migrate", cwd=company, env=clean_environment())
        assert (done.returncode, done.stdout.count("made 1")) == (0, 1), done


def test_what_needs_a_process_is_refused(company: Path) -> None:
    env = clean_environment()
    with pytest.raises(RuntimeError, match="inv_process"):
        runner.run("query", cwd=company, env={**env, "PYTHONHASHSEED": "1"})
    with ThreadPoolExecutor() as threads:
        beside = threads.submit(runner.run, "query", cwd=company, env=env)
    with pytest.raises(RuntimeError, match="inv_process"):
        beside.result()


def test_a_connection_that_is_left_open_says_nothing_later(
    company: Path, inv: Inv, caplog: pytest.LogCaptureFixture
) -> None:
    """The garbage collector may find it during another command, whose errors a test compares."""
    (company / "tasks.py").write_text(
        "from sqlalchemy import create_engine, text\n"
        "left = [create_engine('sqlite:///left.db').connect()]\n"
        "left[0].execute(text('SELECT 1'))\n"
        "left.append(left)\n"
        "from invoke import Collection\n"
        "ns = Collection()\n"
    )
    assert "No tasks found" in inv("--list").err
    gc.unfreeze()
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
