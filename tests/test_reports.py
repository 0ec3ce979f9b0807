"""What has passed in one run of the tests is left out of the next; nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import reports
import surroundings

TESTS = """
import os
import pytest

LATER = bool(os.environ.get("DBTASKS_TEST_PASSED"))

@pytest.fixture
def ending():
    yield
    assert LATER

@pytest.mark.parametrize("text", ["plain", "a[b]::c", "<&>", "naïve"])
def test_passes(text):
    assert not LATER

@pytest.mark.xfail(strict=True)
def test_fails_as_expected():
    assert LATER

def test_fails():
    assert LATER

def test_is_skipped():
    if not LATER:
        pytest.skip("no server: of this kind")

@pytest.mark.usefixtures("ending")
def test_fails_in_the_end():
    pass
"""


def run(folder: Path, report: Path, **variables: str) -> str:
    options = ["-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={report}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DBTASKS_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-c", surroundings.PYTEST, *options, "test_run.py"],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_only_what_has_not_passed_runs_again(tmp_path: Path) -> None:
    (tmp_path / "test_run.py").write_text(TESTS, encoding="utf-8")
    first, second = tmp_path / "first.xml", tmp_path / "second.xml"
    assert "1 failed, 5 passed, 1 skipped, 1 xfailed, 1 error" in run(tmp_path, first)
    shown = run(tmp_path, second, **{reports.PASSED: str(first)})
    assert "3 passed, 5 deselected" in shown
    names = ("fails", "is_skipped", "fails_in_the_end")
    assert reports.passed(second) == {f"test_run.py::test_{name}" for name in names}
