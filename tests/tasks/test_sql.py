"""sql on the command line: what it prints, what it refuses, and that it writes only with leave."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment

Inv = Callable[..., Result]


@pytest.fixture
def shop(inv: Inv, database: Database) -> Inv:
    """Return `inv` on a database with the reference project's rows."""

    def run(*args: str, **options: object) -> Result:
        return inv(*args, env={"DATABASE_URL": database.url}, **options)

    done = run("migrate", "seed")
    assert done.code == 0, done
    return run


def employees(shop: Inv) -> list[str]:
    return shop("query").out.splitlines()


def test_reading(shop: Inv) -> None:
    done = shop("sql", "--statement", "SELECT 1 AS one")
    assert (done.code, done.err) == (0, "1 row\n")
    assert [done.out.split()[0], done.out.split()[-1]] == ["one", "1"]
    select = "SELECT id, name FROM employee WHERE name = :name"
    done = shop("sql", "--statement", select, "--param", "name=Bob", "--format", "jsonl")
    assert json.loads(done.out) == {"id": 2, "name": "Bob"}
    done = shop("sql", "--statement", "SELECT 1 AS a, 2 AS a", "--format", "json")
    assert json.loads(done.out) == [{"a": 1, "a_2": 2}]
    done = shop("sql", "--statement", "SELECT name FROM employee ORDER BY id", "--format", "csv")
    assert done.out == "name\nAlice\nBob\n"


def test_writing_wants_leave(shop: Inv) -> None:
    delete = ("sql", "--statement", "DELETE FROM employee WHERE id = 2")
    done = shop(*delete)
    assert done.code == 3
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["error", "hint", "state"]
    assert "--write" in done.err
    done = shop(*delete, "--dry-run")
    assert done.code == 3
    done = shop(*delete, "--write", "--dry-run")
    assert (done.code, done.out) == (0, "1 row changed, and rolled back.\n")
    assert done.err.startswith("database: default, ")
    done = shop(*delete, "--write", "--expect", "2")
    assert (done.code, done.out) == (3, "")  # nothing is said to be changed that is not
    assert "1 row" in done.err
    assert "state: rolled back" in done.err
    assert len(employees(shop)) == 2
    done = shop(*delete, "--write", "--expect", "1")
    assert (done.code, done.out) == (0, "1 row changed.\n")
    assert employees(shop) == ["Alice → Engineering"]


@pytest.mark.parametrize(
    "statement",
    ["COMMIT; DROP TABLE employee", "SET TRANSACTION READ WRITE", "PRAGMA query_only=OFF"],
)
def test_escapes_exit_3(shop: Inv, statement: str) -> None:
    done = shop("sql", "--statement", statement)
    assert done.code == 3, done
    assert len(employees(shop)) == 2


def test_file_is_one_transaction(shop: Inv, tmp_path: Path) -> None:
    file = tmp_path / "some.sql"
    file.write_text("\ufeffDELETE FROM employee WHERE id = 1; -- Alice\nDELETE FROM nope;\n")
    done = shop("sql", "--file", str(file), "--write")
    assert (done.code, done.out) == (8, "")
    assert "state: rolled back" in done.err
    assert len(employees(shop)) == 2
    done = shop("sql", "--file", str(file), "--write", "--format", "csv")
    assert (done.code, done.out) == (8, "")
    assert "changed" not in done.err
    file.write_text(
        "UPDATE employee SET name = 'Zoë' WHERE id = 1;\nSELECT name FROM employee ORDER BY id;"
    )
    done = shop("sql", "--file", str(file), "--write", "--format", "csv")
    assert (done.code, done.out) == (0, "name\nZoë\nBob\n")
    assert "1 row changed." in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stdin(shop: Inv) -> None:
    text = "SELECT 1 AS a;\nSELECT 2 AS b;\n"
    done = shop("sql", "--file", "-", "--format", "jsonl", input=text)
    assert (done.code, done.out) == (0, '{"a": 1}\n{"b": 2}\n')


BAD: list[tuple[list[str], int, str]] = [
    ([], 2, "--statement or --file"),
    (["--statement", "SELECT 1", "--file", "x"], 2, "not both"),
    (["--statement", "SELECT 1; SELECT 2"], 2, "2 statements"),
    (["--statement", "SELECT 1", "--param", "n=1"], 2, "no :n"),
    (["--statement", "SELECT :n", "--param", "n"], 2, "NAME=VALUE"),
    (["--statement", "SELECT :n", "--param", "n=1", "--param", "n=2"], 2, "given twice"),
    (["--statement", "SELECT 1", "--expect", "x"], 2, "--expect"),
    (["--statement", "SELECT 1", "--format", "x"], 2, "--format"),
    (["--statement", "SELECT 1", "--expect", "2"], 3, "1 rows, where 2"),
    (["--statement", "-- nothing"], 2, "no statement"),
    (["--statement", "SELEC 1"], 3, "not among the statements that read"),
    (["--statement", "SELECT * FROM nope"], 8, "nope"),
    (["--file", "no/such/file.sql"], 9, "no/such/file.sql"),
]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_bad_usage(shop: Inv, company: Path) -> None:
    for arguments, code, word in BAD:
        done = shop("sql", *arguments)
        assert done.code == code, (arguments, done)
        assert word in done.err
        assert "Traceback" not in done.err
    (company / "latin.sql").write_bytes(b"SELECT '\xe9'")
    done = shop("sql", "--file", "latin.sql")
    assert done.code == 2
    assert "at byte 9" in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_empty_parameter_is_a_value(shop: Inv) -> None:
    done = shop("sql", "--statement", "SELECT :n = '' AS x", "--param", "n=", "--format", "csv")
    assert done.out == "x\n1\n"


def test_head_ends_it_quietly(shop: Inv, company: Path, database: Database) -> None:
    big = "SELECT a.id FROM employee a, " + ", ".join(f"employee e{n}" for n in range(17))
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "sql", "--statement", big, "--format", "csv"],
        cwd=company,
        env=clean_environment() | {"DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"id\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.wait(30)
    process.stderr.close()
