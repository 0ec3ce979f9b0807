"""The models compared with the live database, of which a scratch database gets a copy."""

import pytest

from cases import parent
from dbtasks import migrations
from worlds import World


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_indexes_on_expressions_are_copied(world: World) -> None:
    world.models(parent('sa.Index("ix_lower", sa.text("lower(name)"), "id")'))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(parent())
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ("drop index ix_lower",)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_schemas_are_copied(world: World) -> None:
    pay = 'table("pay", key(), {}, schema="Odd S")'
    world.models(parent() + pay.format('sa.Column("a", sa.Enum("x", name="k", schema="Odd S"))'))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(parent() + pay.format('sa.Column("b", sa.Integer)'))
    with world.project() as project:
        found = migrations.missing(project, from_database=True)
    assert {"add column pay.b", "drop column pay.a"} <= {*found}
