"""Start-up: a command imports only what it needs."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import walk_stack
from types import FrameType

import pytest

import dbtasks
from conftest import Result

LISTER = """
import sys
from invoke import Program
from invoke.main import program
sys.argv = ["inv", *{arguments!r}]
try:
    program.run()
except SystemExit:
    pass
print(*sorted({{name.split(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def modules_after(cwd: Path, *arguments: str) -> set[str]:
    """Return the top-level packages that a command imported, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LISTER.format(arguments=arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--list"], ["migrate", "--help"]])
def test_listing_imports_nothing_heavy(company: Path, arguments: list[str]) -> None:
    found = modules_after(company, *arguments)
    assert "dbtasks" in found
    assert not found & {"sqlalchemy", "alembic", "rich", "dotenv", "company", "psycopg"}


@pytest.mark.parametrize("arguments", [["query"], ["seed"], ["waitdb"], ["settings"]])
def test_data_commands_do_not_import_alembic(company: Path, arguments: list[str]) -> None:
    modules_after(company, "migrate")
    found = modules_after(company, *arguments)
    assert "sqlalchemy" in found
    assert "alembic" not in found


def test_text_output_imports_no_rich(company: Path) -> None:
    modules_after(company, "migrate", "seed")
    assert "rich" not in modules_after(company, "query")
    assert "rich" in modules_after(company, "query", "--format", "table")


def test_a_check_whose_verdict_is_kept_imports_no_alembic(company: Path) -> None:
    assert "alembic" in modules_after(company, "makemigrations", "--check")
    assert "alembic" not in modules_after(company, "makemigrations", "--check")


def test_a_migration_goes_through_few_files_and_not_deep(
    inv: Callable[..., Result], company: Path
) -> None:
    """Of dbtasks' own functions, on a new database; Python 3.12 inlines comprehensions."""
    source = str(Path(dbtasks.__file__).parent)
    files: set[str] = set()
    deepest: list[str] = []

    def follow(frame: FrameType, event: str, argument: object) -> None:
        nonlocal deepest
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(source):
            return
        if code.co_flags & inspect.CO_OPTIMIZED:  # neither a module nor the body of a class
            files.add(code.co_filename)
        calls = (around.f_code for around, _ in walk_stack(frame))
        ours = [
            f"{Path(code.co_filename).name}:{code.co_name}"
            for code in calls
            if code.co_filename.startswith(source) and code.co_name != "<module>"
        ]
        deepest = max(deepest, ours, key=len)

    sys.setprofile(follow)
    try:
        done = inv("migrate")
    finally:
        sys.setprofile(None)
    assert done.code == 0, done
    assert len(deepest) <= 18, deepest
    assert 20 < len(files) <= 70, sorted(files)
