"""add, update and delete as a user types them: with and without a terminal, and interrupted."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment

Inv = Callable[..., Result]
Terminal = Callable[..., tuple[int, str]]

PRODUCTION = {"DBTASKS_ENV": "production"}
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def names(office: Inv) -> list[str]:
    return office("query", "--columns", "name", "--format", "csv").out.splitlines()[1:]


def test_quick_reference(office: Inv) -> None:
    done = office("add", "-m", "Department", "-s", "name=Sales")
    assert (done.code, done.out) == (0, "Added 1 Department.\nid=2\n")
    assert done.err.startswith("database: default, ")
    done = office("add", "--set", "name=Carl", "--set", "department.name=Sales")
    assert (done.code, done.out) == (0, "Added 1 Employee.\nid=3\n")
    assert office("query").out == "Alice → Engineering\nBob → Engineering\nCarl → Sales\n"
    done = office("update", "--pk", "3", "--set", "name=Karl")
    assert (done.code, done.out) == (0, "1 matched, 1 changed.\n")
    done = office("update", "-w", "department.name=Engineering", "-s", "dept_id=1")
    assert (done.code, done.out) == (0, "2 matched, 0 changed.\n")
    done = office("delete", "--where", "department.name=Sales")
    assert (done.code, done.out) == (0, "1 deleted.\n")
    done = office("delete", "--pk", "3")
    assert (done.code, done.out) == (0, "0 deleted.\n")
    assert names(office) == ["Alice", "Bob"]
    done = office("get", "--pk", "1")
    assert done.out.splitlines()[-1].split() == ["department", "Engineering"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "-s", "name=x", "-s", "department.name=Nowhere"], 2, "finds no Department"),
        (["add"], 2, "nothing is set"),
        (["add", "--from-file", "missing.csv"], 9, "missing.csv"),
        (["update", "-s", "name=x"], 2, "no record is named"),
        (["update", "--pk", "1", "--all", "-s", "name=x"], 2, "--all goes with"),
        (["update", "--pk", "1"], 2, "nothing is set"),
        (["update", "--pk", "1", "-s", "name=x", "--expect", "two"], 2, "--expect"),
        (["update", "--pk", "1", "-s", "name=x", "--batch-size", "0"], 2, "--batch-size"),
        (["update", "--where", "dept_id=1", "-s", "name=x", "--expect", "1"], 3, "2 records match"),
        (["delete"], 2, "no record is named"),
        (["delete", "--all"], 3, "no terminal"),
    ],
)
@on_sqlite
def test_refused(office: Inv, arguments: list[str], code: int, words: str) -> None:
    check_refused(office, arguments, code, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "-s", "name=x", "-s", "dept_id=99"], "dept_id=99"),
        (["delete", "-m", "Department", "--pk", "1"], "oreign key"),
    ],
)
def test_refused_by_the_database(office: Inv, arguments: list[str], words: str) -> None:
    check_refused(office, arguments, 8, words)


def check_refused(office: Inv, arguments: list[str], code: int, words: str) -> None:
    done = office(*arguments)
    assert (done.code, words.lower() in done.err.lower(), done.out) == (code, True, ""), done
    assert done.err.splitlines()[-1] in ("state: nothing was changed", "state: rolled back")
    assert names(office) == ["Alice", "Bob"]


@on_sqlite
def test_terminal_shows_and_asks(office: Inv, terminal: Terminal) -> None:
    command = ("update", "--where", "dept_id=1", "--set", "name=Zoë")
    for answer in ("n\n", "\n", "yep\n", "\x04"):
        code, shown = terminal(*command, answer=answer)
        assert (code, "error: not confirmed" in shown) == (3, True), shown
        assert shown.rstrip().endswith("state: rolled back")
        assert names(office) == ["Alice", "Bob"]
    assert "update of 2 records:\n  id=1, name=Alice → Zoë, dept_id=1\n  id=2, name=Bob" in shown
    code, shown = terminal(*command, answer="y\n")
    assert (code, "2 matched, 2 changed." in shown) == (0, True)
    assert names(office) == ["Zoë", "Zoë"]


def test_terminal_shows_ten_records(office: Inv, terminal: Terminal) -> None:
    office("add", "--from-file", "-", input="name,dept_id\n" + "n,1\n" * 20)
    code, shown = terminal("delete", "--where", "name=n", answer="y\n")
    assert (code, shown.count("name=n,"), "… and 10 more" in shown) == (0, 10, True), shown
    assert "delete 20 records? [y/N]" in shown
    assert names(office) == ["Alice", "Bob"]


@on_sqlite
@pytest.mark.parametrize(
    "limit", [["--pk", "1"], ["-w", "id=1", "--expect", "1"], ["-w", "id=1", "--no-input"]]
)
def test_terminal_does_not_ask(office: Inv, terminal: Terminal, limit: list[str]) -> None:
    code, shown = terminal("update", "--set", "name=Zoë", *limit)
    assert (code, "[y/N]" in shown) == (0, False), shown
    assert names(office) == ["Zoë", "Bob"]


@on_sqlite
def test_all_asks_for_the_databases_name(office: Inv, terminal: Terminal) -> None:
    code, shown = terminal("delete", "--all", answer="y\n")
    assert (code, "Type test.db to go on" in shown) == (3, True), shown
    assert names(office) == ["Alice", "Bob"]
    code, shown = terminal("delete", "--all", answer="test.db\n")
    assert (code, "2 deleted." in shown) == (0, True)
    assert names(office) == []


@on_sqlite
def test_terminal_says_what_goes_with_it(office: Inv, terminal: Terminal) -> None:
    code, shown = terminal("delete", "-m", "Department", "-w", "id=1", answer="n\n")
    assert "employee: 2 rows stand against it (no ON DELETE)" in shown
    assert code == 8


@on_sqlite
def test_terminal_obeys_no_escape_sequence(office: Inv, terminal: Terminal) -> None:
    office("add", "-s", "name=\x1b[2Jx", "-s", "dept_id=1")
    _, shown = terminal("delete", "--where", "id=3", answer="n\n")
    assert ("\x1b" in shown, "\\x1b[2Jx" in shown) == (False, True)


def test_dry_run(office: Inv) -> None:
    done = office("update", "--where", "name=Bob", "--set", "name=Zoë", "--dry-run")
    assert done.code == 0, done
    assert done.out.startswith("UPDATE employee SET name=")
    assert done.out.endswith("1 matched, 1 would be changed.\n")
    assert "  id=2, name=Bob → Zoë, dept_id=1\n" in done.err
    done = office("delete", "--all", "--dry-run")
    assert (done.code, done.out.endswith("2 would be deleted.\n")) == (0, True), done
    assert done.out.startswith("DELETE FROM employee")
    assert "  id=2, name=Bob, dept_id=1\n" in done.err
    done = office("add", "-s", "name=x", "-s", "dept_id=1", "--dry-run")
    assert done.out.startswith("Would add 1 Employee.\n")
    assert names(office) == ["Alice", "Bob"]


def test_from_file(office: Inv, company: Path) -> None:
    done = office("add", "--from-file", "-", input='\ufeffname,dept_id\n"Zoë, ",1\n')
    assert (done.code, done.out) == (0, "Added 1 Employee.\nid=3\n"), done
    done = office("add", "--from-file", "-", "query", input='{"name": "Yan", "dept_id": 1}\n')
    assert (done.code, done.out.splitlines()[-1]) == (0, "Yan → Engineering")
    (company / "more.json").write_text('[{"id": 3, "name": "Xu"}, {"name": "é", "dept_id": 1}]')
    done = office("add", "--from-file", "more.json", "--upsert")
    assert (done.code, done.out.splitlines()[0]) == (0, "Added 1 Employee, changed 1."), done
    assert names(office) == ["Alice", "Bob", "Xu", "Yan", "é"]
    done = office("add", "--from-file", "-", input="name,dept_id\na,1\nb,9\n")
    assert (done.code, done.err.splitlines()[1].startswith("error: record 2: ")) == (8, True)
    assert len(names(office)) == 5


def test_upsert_of_a_file_in_production_wants_a_number(
    office: Inv, company: Path, database: Database
) -> None:
    assert office("protect", "--as", "production").code == 0
    env = {"DBTASKS_ENV": "live"}
    (company / "more.json").write_text('[{"id": 1, "name": "X"}, {"id": 2, "name": "Y"}]')
    upsert = ("add", "--from-file", "more.json", "--upsert")
    for extra, words in (((), "--expect N"), (("--expect", "1"), "2 existing records")):
        done = office(*upsert, *extra, env=env)
        assert (done.code, words in done.err) == (3, True), done
        assert "or name one with --pk" not in done.err, "add has no --pk"
    assert names(office) == ["Alice", "Bob"]
    dry = office(*upsert, "--dry-run", env=env)
    assert (dry.code, dry.out.splitlines()[0]) == (0, "Would add 0 Employee, changed 2."), dry
    assert "name=Alice → X" in dry.err
    done = office("add", "--upsert", "-s", "id=1", "-s", "name=Zoë", env=env)  # it names its key
    assert (done.code, done.out.splitlines()[0]) == (0, "Added 0 Employee, changed 1.")
    done = office(*upsert, "--expect", "2", env=env)
    assert (done.code, done.out.splitlines()[0]) == (0, "Added 0 Employee, changed 2."), done
    assert names(office) == ["X", "Y"]


def test_batches_show_progress(office: Inv) -> None:
    done = office("update", "--all", "-y", "--set", "name=x", "--batch-size", "1")
    assert (done.code, done.out) == (0, "2 matched, 2 changed.\n"), done
    assert done.err.splitlines()[1:] == ["1 done, to id=1", "2 done, to id=2"]


def test_interrupted_batches(office: Inv, company: Path, database: Database) -> None:
    office("add", "--from-file", "-", input="name,dept_id\n" + "n,1\n" * 8)
    command = ("delete", "--where", "name=n", "--batch-size", "3")
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *command, "--pause", "60"],
        cwd=company,
        env=clean_environment() | {"DATABASE_URL": database.url},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("3 done"):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 130
    state = "state: 3 records are committed, to id=5; the same command does the rest\n"
    assert rest == f"\nerror: interrupted\n{state}"
    assert len(names(office)) == 7
    done = office(*command)
    assert (done.code, done.out) == (0, "5 deleted.\n"), done
    assert names(office) == ["Alice", "Bob"]


def test_production_wants_a_limit(office: Inv) -> None:
    assert office("protect", "--as", "production").code == 0
    for command in (["update", "-s", "name=x"], ["delete"]):
        done = office(*command, "--where", "dept_id=1", env=PRODUCTION)
        assert (done.code, "--expect N" in done.err) == (3, True), done
        done = office(*command, "--where", "dept_id=1", "--no-input", env=PRODUCTION)
        assert (done.code, "--expect N" in done.err) == (3, True), done
        done = office(*command, "--all", "--no-input", env=PRODUCTION)
        assert (done.code, "--allow-production" in done.err) == (3, True), done
        done = office(*command, "--pk", "1")
        assert (done.code, "DBTASKS_ENV" in done.err) == (3, True), done
    assert names(office) == ["Alice", "Bob"]
    for limit in (["--where", "dept_id=1", "--expect", "2"], ["--pk", "1"]):
        done = office("update", "-s", "name=x", *limit, env=PRODUCTION)
        assert done.code == 0, done


@on_sqlite
def test_table_without_a_key_has_none_to_show(office: Inv, company: Path) -> None:
    tasks = company / "tasks.py"
    tasks.write_text(tasks.read_text().replace("company.models:Base", "words:metadata"))
    (company / "words.py").write_text(
        "from sqlalchemy import Column, MetaData, String, Table\n\n"
        "metadata = MetaData()\n"
        'word = Table("word", metadata, Column("text", String(10)))\n'
    )
    create = "CREATE TABLE word (text VARCHAR(10))"
    assert office("sql", "--write", "--statement", create).code == 0
    assert office("add", "-m", "word", "-s", "text=a").out == "Added 1 word.\n"
