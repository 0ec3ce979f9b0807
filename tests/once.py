"""Which tests show how dbtasks gets on with another version of SQLAlchemy or Alembic."""

from collections.abc import Iterator, Sequence

import pytest

ONCE = "DBTASKS_TEST_ONCE"
"""The variable that runs a test of many values with the first of them, on each kind of database."""

MARKER = "every_value"
"""The marker of a test whose values SQLAlchemy and Alembic themselves handle: it keeps them all."""


def first_values(items: Sequence[pytest.Item], databases: Sequence[str]) -> Iterator[pytest.Item]:
    """Yield the tests that are the first of their function, on each database or driver.

    The first value goes through the same calls into a library as the others: what they differ in
    is a rule of dbtasks, which is the same on every version.
    """
    known: set[tuple[str, ...]] = set()
    for item in items:
        callspec = getattr(item, "callspec", None)
        values = callspec.params.values() if callspec else ()
        kinds = [value for value in values if isinstance(value, str) and value in databases]
        key = (item.nodeid.partition("[")[0], *kinds)
        if key not in known or item.get_closest_marker(MARKER):
            yield item
        known.add(key)
