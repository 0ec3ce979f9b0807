"""Computed columns: what they are computed from changes, they are made anew, and lose nothing."""

import pytest

from cases import ALL, ROWS, on_parent, parent
from changing import there_and_back
from groups import numbered
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


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_what_is_computed_stays_as_what_it_is_computed_from_gets_another_type(
    world: World, beside: str
) -> None:
    rows = [one.replace("'AbC' || id", "concat('AbC', id)") for one in WRITTEN]
    if world.database.kind == "sqlite":
        rows = WRITTEN
    cases = [
        numbered(on_parent(f"{old} to {new}", *states, rows=rows), number)
        for number, (old, new) in enumerate(TYPES)
        for states in [[f"{LOWER.format(one)}, {beside}".rstrip(", ") for one in (old, new)]]
    ]
    before, after = there_and_back(
        world,
        "".join(case.before for case in cases),
        "".join(case.after for case in cases),
        [statement for case in cases for statement in case.rows],
    )
    assert after == before
    assert world.missing() == []
    revisions = [path.read_text() for path in (world.root / "migrations/versions").glob("*.py")]
    assert len(revisions) == 2
    for number, case in enumerate(cases):
        assert all(f'"parent_{number}"' in revision for revision in revisions), case.name
        assert [one["size"] for one in after[f"parent_{number}"]] == [4, 4], case.name


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_what_a_column_has_stays_as_it_is_computed_otherwise(world: World, beside: str) -> None:
    old = f"{LOWER.format('String(9)')}, {beside}".rstrip(", ")
    rows = [one.replace("'AbC' || id", "concat('AbC', id)") for one in WRITTEN]
    if world.database.kind == "sqlite":
        rows = WRITTEN
    new = old.replace("lower(n)", "upper(n)").replace("length(n)", "length(n) + 1")
    before, after = there_and_back(world, parent(old), parent(new), rows)
    assert [(one["low"], one["size"]) for one in before["parent"]] == [("abc1", 4), ("abc2", 4)]
    assert [(one["low"], one["size"]) for one in after["parent"]] == [("ABC1", 5), ("ABC2", 5)]


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
