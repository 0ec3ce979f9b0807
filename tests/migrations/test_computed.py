"""Computed columns: what they are computed from changes, they are made anew, and lose nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cases import ROWS, Case, on_parent
from changing import Rows, there_and_back
from conftest import KINDS
from groups import faults_of, tables
from worlds import World

LOWER = (
    'sa.Column("n", sa.{0}), sa.Column("low", sa.String(99), sa.Computed("lower(n)",'
    ' persisted=True)), sa.Column("size", sa.Integer, sa.Computed("length(n)", persisted=True)),'
    ' sa.Column("wide", sa.Integer, sa.Computed("length(name)", persisted=True))'
)
BESIDE = {
    "nothing": "",
    "an index": 'sa.Index("ix_c", "low", "name")',
    "a unique": 'sa.UniqueConstraint("low", "name", name="uq_c")',
    "a check": 'sa.CheckConstraint("size > 0 and length(name) > 0", name="long")',
    "a unique without a name": 'sa.UniqueConstraint("low", "name")',
}
WRITTEN = [ROWS[0], "UPDATE parent SET n = 'AbC' || id", ROWS[1]]


TYPES = (("String(9)", "String(20)"), ("String(9)", "Text"), ("Text", "String(9)"))


def case_of(kind: str, name: str, old: str, new: str, beside: str) -> Case:
    rows = WRITTEN
    if kind != "sqlite":
        rows = [statement.replace("'AbC' || id", "concat('AbC', id)") for statement in WRITTEN]
    states = [f"{columns}, {beside}".rstrip(", ") for columns in (old, new)]
    return on_parent(name, *states, rows=rows)


def changed(world: World, cases: Sequence[Case]) -> tuple[Rows, Rows]:
    """Return the rows before and after the changes of all the cases."""
    return there_and_back(
        world,
        "".join(case.before for case in cases),
        "".join(case.after for case in cases),
        [statement for case in cases for statement in case.rows],
    )


def check_types(world: World, cases: Sequence[Case]) -> None:
    before, after = changed(world, cases)
    assert after == before
    assert world.missing() == []
    revisions = [path.read_text() for path in (world.root / "migrations/versions").glob("*.py")]
    assert len(revisions) == 2
    for case in cases:
        [parents] = [name for name in tables(case) if name.startswith("parent")]
        assert all(f'"{parents}"' in revision for revision in revisions), case.name
        assert [row["size"] for row in after[parents]] == [4, 4], case.name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_computed_stays_as_what_it_is_computed_from_gets_another_type(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [
        case_of(kind, f"{old} to {new} beside {name}", LOWER.format(old), LOWER.format(new), beside)
        for name, beside in BESIDE.items()
        for old, new in TYPES
    ]
    assert faults_of(request, tmp_path, kind, cases, check_types) == {}


def check_texts(world: World, cases: Sequence[Case]) -> None:
    before, after = changed(world, cases)
    for case in cases:
        [parents] = [name for name in tables(case) if name.startswith("parent")]
        found = [[(row["low"], row["size"]) for row in rows[parents]] for rows in (before, after)]
        assert found == [[("abc1", 4), ("abc2", 4)], [("ABC1", 5), ("ABC2", 5)]], case.name


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_column_has_stays_as_it_is_computed_otherwise(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    old = LOWER.format("String(9)")
    new = old.replace("lower(n)", "upper(n)").replace("length(n)", "length(n) + 1")
    cases = [case_of(kind, name, old, new, beside) for name, beside in BESIDE.items()]
    assert faults_of(request, tmp_path, kind, cases, check_texts) == {}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_foreign_key_comes_back_to_a_column_that_is_computed_anew(world: World) -> None:
    states = [
        f"table('name', key(), {LOWER.format(one)}, sa.UniqueConstraint('low'), schema='hr')\n"
        "table('pet', key(), sa.Column('low', sa.ForeignKey('hr.name.low', ondelete='CASCADE')),"
        " sa.Column('n', sa.String(5)))"
        for one in ("String(9)", "String(20)")
    ]
    states = [one.replace("length(name)", "length(n)") for one in states]
    before, after = there_and_back(
        world,
        *states,
        ["INSERT INTO hr.name (n) VALUES ('AbC')", "INSERT INTO pet (low) VALUES ('abc')"],
    )
    assert after == before
    world.run(["DELETE FROM hr.name"])
    assert world.counts() == {"hr.name": 0, "pet": 0}
