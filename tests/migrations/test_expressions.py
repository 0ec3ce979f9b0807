"""Expressions that differ in what means something are compared as such, and in nothing else."""

import pytest

from cases import parent
from dbtasks import migrations
from worlds import World

A_COLUMN = 'sa.Column("a", sa.Integer, nullable=False, server_default="1")'


def check(sql: str, name: str = "ck") -> str:
    return f'sa.CheckConstraint("{sql}", name="{name}")'


def default(name: str, sql: str) -> str:
    return f'sa.Column("{name}", sa.String(20), server_default={sql})'


CHANGES = {
    "case_of_a_check": ("name <> 'A'", "name <> 'a'"),
    "parentheses_of_a_check": ("(a + 1) * 2 > 1", "a + 1 * 2 > 1"),
    "blanks_of_a_check": ("name <> 'a  b'", "name <> 'a b'"),
    "case_of_a_default": ("'A'", "'a'"),
    "parentheses_of_a_default": ("'(a)'", "'a'"),
}

SAME = {
    "case, blanks and parentheses": ("a > 0 AND a < 9", "((A>0) and (a <  9))"),
}


def test_what_means_something_is_a_change(world: World) -> None:
    for at in (0, 1):
        parts = [
            default(name, change[at]) if "default" in name else check(change[at], name)
            for name, change in CHANGES.items()
        ]
        world.models(parent(", ".join([A_COLUMN, *parts])))
        source = world.make()
    assert [name for name in CHANGES if f'"{name}"' not in source] == []


@pytest.mark.parametrize("change", SAME)
def test_what_means_nothing_is_none(world: World, change: str) -> None:
    before, after = SAME[change]
    world.models(parent(f"{A_COLUMN}, {check(before)}"))
    world.make()
    world.models(parent(f"{A_COLUMN}, {check(after)}"))
    with world.project() as project:
        assert migrations.missing(project) == ()
