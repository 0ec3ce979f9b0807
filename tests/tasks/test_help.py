"""What --help says of an option is true of its command, also where others have one of that name."""

from collections.abc import Callable

import pytest

from conftest import Result


@pytest.mark.parametrize(
    ("command", "told", "untold"),
    [
        (
            "makemigrations",
            ["--database", "Name of the revision", "without a revision"],
            "record",
        ),
        ("squashmigrations", ["--database", "The first revision", "The last revision"], "copy"),
        ("copydata", ["to copy from, by its alias.", "to copy into"], "first revision"),
        ("migrate", ["A revision or its", "+N, -N"], "a load"),
        ("query", ["The beginning of the record's name."], "revision"),
    ],
)
def test_help(inv: Callable[..., Result], command: str, told: list[str], untold: str) -> None:
    shown = " ".join(inv(command, "--help").out.partition("Options:")[2].split())
    for text in told:
        assert text in shown
    assert untold not in shown
