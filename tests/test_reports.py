"""What a run of the tests leaves out: what has passed in another, or further values of a test."""

import os
import subprocess
import sys
from pathlib import Path

import once
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


def run(folder: Path, report: Path, *more: str, **variables: str) -> str:
    options = ["-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={report}", *more]
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


VALUES = """
import pytest

@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("value", ["a", "b"])
def test_plain(database, value):
    pass

@pytest.mark.parametrize("value", ["a", "b"])
class TestOther:
    def test_plain(self, value):
        pass

    @pytest.mark.every_value
    def test_marked(self, value):
        pass
"""


def test_the_first_value_of_a_test_runs_on_each_database(tmp_path: Path) -> None:
    (tmp_path / "test_run.py").write_text(VALUES, encoding="utf-8")
    report = tmp_path / "report.xml"
    assert "8 passed" in run(tmp_path, report)
    run(tmp_path, report, "-k", "not a-sqlite", **{once.ONCE: "1"})
    assert {name.partition("::")[2] for name in reports.passed(report)} == {
        *("test_plain[b-sqlite]", "test_plain[a-postgresql]"),
        *("TestOther::test_plain[a]", "TestOther::test_marked[a]", "TestOther::test_marked[b]"),
    }
