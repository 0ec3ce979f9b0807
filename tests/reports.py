"""Which tests an earlier run of the tests has passed, by the JUnit report that it has written."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

PASSED = "DBTASKS_TEST_PASSED"
"""The variable that names the report of a run: the tests that have passed in it are left out."""

PROPERTY = "nodeid"
"""The property of a test case in a report that has pytest's name of the test."""


def passed(report: Path) -> set[str]:
    """Return the names of the tests that ran and did not fail; a skipped test is not among them."""
    cases = [*ElementTree.parse(report).iter("testcase")]
    return {name for case in cases if _has_passed(case) for name in _names(case)} - {
        name for case in cases if not _has_passed(case) for name in _names(case)
    }


def _has_passed(case: ElementTree.Element) -> bool:
    """Whether a case has no failure, error or skip; one that fails as expected has none."""
    outcomes = [case.find(tag) for tag in ("failure", "error", "skipped")]
    return all(outcome is None or outcome.get("type") == "pytest.xfail" for outcome in outcomes)


def _names(case: ElementTree.Element) -> Iterator[str]:
    for entry in case.iterfind(f"properties/property[@name='{PROPERTY}']"):
        yield entry.get("value", "")
