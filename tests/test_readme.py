"""What README.md shows does what it says, on every engine."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from conftest import Database, Result

README = Path(__file__).parent.parent / "README.md"

EMPLOYEES = '{"name": "Carol", "dept_id": 1}\n{"name": "Dave", "dept_id": 1}\n'


def quick_reference() -> list[str]:
    """Return the commands of the table, in their order."""
    table = README.read_text().partition("### The quick reference")[2].partition("\n\nWhat")[0]
    return re.findall(r"\| `inv (.*)` \|$", table, re.MULTILINE)


def test_quick_reference(inv: Callable[..., Result], company: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    (company / "employees.jsonl").write_text(EMPLOYEES)
    inv("migrate", "seed", env=env)
    shown = {}
    for line in quick_reference():
        done = inv(*shlex.split(line), env=env)
        assert done.code == 0, (line, done)
        shown[line] = done.out
    assert shown["query"].splitlines()[-1] == "Dave → Engineering"
    assert shown["query --name A"] == "Alice → Engineering\n"
    assert shown["update --where name=Bob --set name=Robert"] == "1 matched, 1 changed.\n"
    assert shown["delete --where name__startswith=Rob"] == "1 deleted.\n"
    assert shown["get --pk 1"].splitlines()[-1] == "department  Engineering"
    assert shown["query --table users"].split()[-4:] == ["1", "Alice", "2", "Bob"]
    assert len(shown) == 13


def test_every_command_is_in_the_readme(inv: Callable[..., Result]) -> None:
    listed = re.findall(r"^  (\w+)", inv("--list").out, re.MULTILINE)
    text = README.read_text()
    assert len(listed) > 10
    for name in listed:
        assert f"`inv {name}" in text, name
