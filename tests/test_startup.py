"""Start-up: a command imports only what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

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
