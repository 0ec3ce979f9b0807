"""query and get as typed: their options, their files, and what a terminal gets to see."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment
from terminals import run_on_terminal

Inv = Callable[..., Result]

WIDTH = 60


@pytest.fixture
def shop(inv: Inv, database: Database) -> Inv:
    """Return `inv` on a database with the reference project's rows."""

    def run(*args: str, **options: object) -> Result:
        return inv(*args, env={"DATABASE_URL": database.url}, **options)

    done = run("migrate", "seed")
    assert done.code == 0, done
    return run


@pytest.fixture
def seeded(inv: Inv) -> Inv:
    """Return `inv` on the embedded default with the reference project's rows."""
    assert inv("migrate", "seed").code == 0
    return inv


def write(inv: Inv, statement: str) -> None:
    done = inv("sql", "--write", "--statement", statement)
    assert done.code == 0, done


def on_a_terminal(company: Path, *arguments: str) -> tuple[int, str]:
    """Run `inv` on a terminal of 60 columns, and return the exit code and all it showed."""
    return run_on_terminal(company, *arguments, environment=clean_environment(), width=WIDTH)


def test_options_of_query(shop: Inv) -> None:
    where = ("--where", "name__istartswith=a", "-w", "department.name=Engineering")
    assert shop("query", "-m", "Employee", *where).out == "Alice → Engineering\n"
    columns = ("--columns", "id, name,department.name", "--format", "csv")
    done = shop("query", *columns, "--order-by=-department.name", "--order-by=-id")
    assert done.out == "id,name,department.name\n2,Bob,Engineering\n1,Alice,Engineering\n"
    done = shop("query", "--format", "jsonl", "--limit", "1", "--offset", "1")
    assert json.loads(done.out) == {"id": 2, "name": "Bob", "dept_id": 1}
    assert shop("query", "--count", "--name", "B").out == "1\n"
    assert shop("query", "--count", "--limit", "1").out == "1\n"
    done = shop("query", "--table", "department", "--format", "json")
    assert json.loads(done.out) == [{"id": 1, "name": "Engineering"}]
    assert shop("query", "--columns", "name").out.split() == ["name", "─────", "Alice", "Bob"]


def test_explain_and_dry_run(shop: Inv) -> None:
    done = shop("query", "--explain", "--format", "json")
    assert "employee" in str(json.loads(done.out))
    done = shop("query", "--dry-run", "--where", "name=nobody", "--limit", "3")
    assert done.out.startswith("SELECT employee.id")
    assert "'nobody'" in done.out.splitlines()[-1]
    assert done.err == ""


def test_markdown(seeded: Inv) -> None:
    write(seeded, "UPDATE employee SET name = 'a|b\\c' || char(10) || 'd' WHERE id = 2")
    assert seeded("query", "--format", "markdown").out.splitlines() == [
        "| id | name | dept_id |",
        "| --- | --- | --- |",
        "| 1 | Alice | 1 |",
        "| 2 | a\\|b\\\\c\\\\nd | 1 |",
    ]


def test_get(shop: Inv) -> None:
    done = shop("get", "--pk", "1")
    assert done.out == (
        "id          1\nname        Alice\ndept_id     1\ndepartment  Engineering\n"
    )
    done = shop("get", "-m", "Employee", "--pk", "id=2", "--format", "json")
    assert json.loads(done.out) == {
        "id": 2,
        "name": "Bob",
        "dept_id": 1,
        "department": {"id": 1, "name": "Engineering"},
    }
    done = shop("get", "--pk", "3")
    assert (done.code, done.out) == (1, "")
    assert "there is no Employee with id=3" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["query", "--limit", "-1"], "--limit '-1' is not a whole number"),
        (["query", "--offset", "x"], "--offset 'x' is not a whole number"),
        (["query", "--format", "xml"], "take text, table, json, jsonl, csv, markdown"),
        (["query", "--columns", "nam"], "did you mean name?"),
        (["query", "--where", "id=x"], "id='x' is not a value of type Integer"),
        (["query", "--where", "id__is=1"], "there is no lookup 'is'"),
        (["query", "--order-by", "id;DROP"], "no field 'id;DROP'"),
        (["query", "--table", "staff"], "no table 'staff'"),
        (["query", "--table", "employee", "-m", "Employee"], "exclude each other"),
        (["get"], "the key of Employee is id"),
        (["get", "--pk", "nr=1"], "id='nr=1'"),
        (["get", "--pk", "1", "--format", "csv"], "take text, json"),
    ],
)
def test_bad_options_exit_2(seeded: Inv, arguments: list[str], words: str) -> None:
    done = seeded(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_output_is_a_complete_file_or_none(seeded: Inv, company: Path) -> None:
    file = company / "out.csv"
    done = seeded("query", "--format", "csv", "--output", "out.csv")
    assert (done.code, done.out) == (0, "")
    whole = "id,name,dept_id\n1,Alice,1\n2,Bob,1\n"
    assert file.read_text() == whole
    seeded("query", "-o", "out.csv", "--name", "B")
    assert file.read_text() == "Bob → Engineering\n"
    before = sorted(company.iterdir())
    models = company / "src" / "company" / "models.py"
    models.write_text(models.read_text().replace("{self.name} →", "{1 // (2 - self.id)} →"))
    failed = seeded("query", "-o", "out.csv")
    assert failed.code == 2
    assert file.read_text() == "Bob → Engineering\n"
    assert sorted(company.iterdir()) == before
    assert seeded("query", "-o", "nowhere/out.csv", "--format", "csv").code == 9


def test_output_is_not_the_database(seeded: Inv, company: Path) -> None:
    [database] = company.glob("*.db")
    before = database.read_bytes()
    (company / "link").symlink_to(database)
    for command in ("query", "dumpdata"):
        for name in (database.name, f"{database.name}-wal", "link"):
            done = seeded(command, "-o", name)
            assert (done.code, done.out) == (2, "")
            assert f"{name} belongs to the SQLite database {database}" in done.err
    assert database.read_bytes() == before


def test_output_of_a_count_and_a_plan(seeded: Inv, company: Path) -> None:
    for option, words in (("--count", "2\n"), ("--explain", "employee"), ("--dry-run", "SELECT")):
        done = seeded("query", option, "--output", "out.txt")
        assert (done.code, done.out) == (0, "")
        assert words in (company / "out.txt").read_text()


@pytest.mark.parametrize("format_", ["text", "table", "jsonl", "csv"])
def test_a_reader_that_stops_ends_it_quietly(seeded: Inv, company: Path, format_: str) -> None:
    numbers = "WITH RECURSIVE n(v) AS (SELECT 3 UNION ALL SELECT v + 1 FROM n WHERE v < 20000)"
    write(seeded, f"INSERT INTO employee (id, name, dept_id) {numbers} SELECT v, 'n', 1 FROM n")
    command = f"{sys.executable} -m invoke query --format {format_} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=company,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_table_fits_the_terminal(seeded: Inv, company: Path) -> None:
    long = "日本" * 20 + "a long name " * 4
    write(seeded, f"UPDATE employee SET name = '{long}' WHERE id = 2")
    code, shown = on_a_terminal(company, "query", "--format", "table")
    assert code == 0
    table = shown.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert max(sum(1 + (one >= "日") for one in line) for line in table) <= WIDTH
    assert "".join(shown.split()).count("日本") >= 18
    piped = seeded("query", "--format", "table").out
    assert long.strip() in piped


def test_escape_sequences_in_data_are_shown_and_not_obeyed(seeded: Inv, company: Path) -> None:
    evil = "char(27) || '[2Jx' || char(7) || char(13) || char(10) || 'y' || char(0x202e)"
    write(seeded, f"UPDATE employee SET name = {evil} WHERE id = 2")
    for arguments in (
        ["query", "--format", "table"],
        ["query"],
        ["query", "--format", "jsonl"],
        ["query", "--format", "csv"],
        ["query", "--format", "markdown"],
        ["query", "--format", "json"],
        ["get", "--pk", "2"],
        ["get", "--pk", "2", "--format", "json"],
    ):
        code, shown = on_a_terminal(company, *arguments)
        assert code == 0
        assert "\x1b[2J" not in shown, arguments
        assert "\x07" not in shown, arguments
        assert "\u202e" not in shown, arguments
        assert "[2Jx" in shown, arguments
    assert "\x1b[2Jx\x07" in seeded("query").out


def test_a_statement_has_its_lines_on_a_terminal(seeded: Inv, company: Path) -> None:
    _, shown = on_a_terminal(company, "query", "--dry-run")
    assert [line.split()[0] for line in shown.splitlines()] == ["SELECT", "FROM"]


def test_a_terminal_gets_a_hundred(seeded: Inv, company: Path) -> None:
    numbers = "WITH RECURSIVE n(v) AS (SELECT 3 UNION ALL SELECT v + 1 FROM n WHERE v < 300)"
    write(seeded, f"INSERT INTO employee (id, name, dept_id) {numbers} SELECT v, 'n', 1 FROM n")
    _, shown = on_a_terminal(company, "query")
    assert len(shown.splitlines()) == 101
    assert shown.splitlines()[-1].startswith("stopped after 100")
    assert len(seeded("query").out.splitlines()) == 300
