"""The tests see the same environment, whatever the user's shell has set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import surroundings

FACTS = """
import locale, os, subprocess, sys

def umask():
    before = os.umask(0)
    os.umask(before)
    return before

def test_facts():
    assert not sys.flags.optimize and not sys.flags.dev_mode and not sys.dont_write_bytecode
    assert locale.getencoding().lower() == "utf-8"
    assert umask() == 0o022
    child = [sys.executable, "-c", "import os; print(*sorted(os.environ))"]
    seen = subprocess.check_output(child, text=True, env=os.environ).split()
    kept = {"DBTASKS_TEST_X", "HOME", "LANG", "PATH", "SSL_CERT_FILE", "TERM", "TZ"}
    assert {one for one in seen if not one.startswith(("PYTEST_", "XDG_"))} == kept
"""

ODD = {
    "plain": {},
    "Python's start": {"PYTHONOPTIMIZE": "2", "PYTHONDEVMODE": "1", "PYTHONHASHSEED": "7"},
    "bytecode": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/nowhere"},
    "warnings": {"PYTHONWARNINGS": "error"},
    "locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "terminal": {"COLUMNS": "20", "LINES": "3", "NO_COLOR": "1", "FORCE_COLOR": "1"},
    "settings": {
        "ALEMBIC_CONFIG": "/nowhere",
        "DATABASE_URL": "sqlite:///real.db",
        "DBTASKS_ENV": "production",
        "INVOKE_DEBUG": "1",
        "PGHOST": "/nowhere",
        "TZ": "Asia/Kathmandu",
    },
}
"""What a user's shell may have set, by what it changes."""


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_shell_changes_nothing(tmp_path: Path, odd: dict[str, str]) -> None:
    (tmp_path / "test_facts.py").write_text(FACTS)
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "DBTASKS_TEST_X": "1"}
    options = ("-q", "-c", os.devnull, "-p", "no:cacheprovider", "test_facts.py")
    done = subprocess.run(
        [sys.executable, "-c", surroundings.PYTEST, *options],
        cwd=tmp_path,
        env=environment | odd,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1
