"""Expressions that differ in what means something are compared as such, and in nothing else."""

import pytest

from cases import parent
from dbtasks import migrations
from worlds import World

A_COLUMN = 'sa.Column("a", sa.Integer, nullable=False, server_default="1")'


def check(sql: str) -> str:
    return f'{A_COLUMN}, sa.CheckConstraint("{sql}", name="ck")'


def default(sql: str) -> str:
    return f'sa.Column("kind", sa.String(20), server_default={sql})'


CHANGES = {
    "case of a text in a check": (check("name <> 'A'"), check("name <> 'a'")),
    "parentheses in a check": (check("(a + 1) * 2 > 1"), check("a + 1 * 2 > 1")),
    "blanks of a text in a check": (check("name <> 'a  b'"), check("name <> 'a b'")),
    "case of a default": (default("'A'"), default("'a'")),
    "parentheses of a text": (default("'(a)'"), default("'a'")),
}

SAME = {
    "case, blanks and parentheses": (check("a > 0 AND a < 9"), check("((A>0) and (a <  9))")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_means_something_is_a_change(world: World, change: str) -> None:
    for models in CHANGES[change]:
        world.models(parent(models))
        world.make()


@pytest.mark.parametrize("change", SAME)
def test_what_means_nothing_is_none(world: World, change: str) -> None:
    before, after = SAME[change]
    world.models(parent(before))
    world.make()
    world.models(parent(after))
    with world.project() as project:
        assert migrations.missing(project) == ()
