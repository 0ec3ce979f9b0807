"""A check that was read over its end is told apart from those behind it."""

import pytest

from dbtasks.migrations.making.splitting import split_checks


@pytest.mark.parametrize(
    ("read", "checks"),
    [
        ("a > 0", [("ck", "a > 0")]),
        ("length(a) > (0)", [("ck", "length(a) > (0)")]),
        ("a <> ')' AND \")\" > 0", [("ck", "a <> ')' AND \")\" > 0")]),
        ("a > 0), b INTEGER CHECK (b > 0", [("ck", "a > 0"), (None, "b > 0")]),
        (
            'a > (0)), b INT CONSTRAINT "c d" CHECK(b IN (1)), c INT CONSTRAINT e CHECK ( c > 0 ',
            [("ck", "a > (0)"), ("c d", "b IN (1)"), ("e", "c > 0")],
        ),
        ("a > 0), b INTEGER DEFAULT (1", [("ck", "a > 0")]),
    ],
)
def test_each_check_ends_where_it_is_closed(
    read: str, checks: list[tuple[str | None, str]]
) -> None:
    found = [(one["name"], one["sqltext"]) for one in split_checks("ck", read)]
    assert found == checks
