"""The models compared with the live database, of which a scratch database gets a copy."""

import pytest

from cases import ALL, parent
from dbtasks import migrations
from dbtasks.migrations.making.questions import Answers
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


PET = (
    'table("pet", key(), sa.Column("a", sa.String(20)), sa.Column("parent_id",'
    ' sa.ForeignKey("parent.id", name="fk_pet")), {})'
)
DESCENDING = [
    (ALL, 'sa.Index("ix_pet", sa.desc("a"), "id", unique=True)'),
    (ALL, 'sa.Index("ix_pet", sa.desc("parent_id"), "id")'),
    (
        ["sqlite", "postgresql"],
        'sa.Index("ix_pet", sa.desc(func.replace(sa.column("a"), "%", "x")))',
    ),
    (["postgresql"], 'sa.Index("ix_pet", "a", postgresql_ops={"a": "varchar_pattern_ops"})'),
    (
        ["postgresql"],
        'sa.Index("ix_pet", sa.desc("a").nulls_last(), postgresql_where=sa.text("a > \'%\'"))',
    ),
]


@pytest.mark.parametrize(
    ("database", "index"),
    [(kind, index) for kinds, index in DESCENDING for kind in kinds],
    indirect=["database"],
)
def test_the_order_of_indexes_is_copied(world: World, index: str) -> None:
    world.models(parent() + PET.format(index))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_not_reflected_is_copied(world: World) -> None:
    columns = (
        'sa.Column("a", sa.String({}, collation="NOCASE"), nullable=False,'
        ' sqlite_on_conflict_not_null="IGNORE"), sa.Column("n", sa.Integer, unique=True,'
        ' sqlite_on_conflict_unique="REPLACE"),'
    )
    world.models(f"table('t', key(), {columns.format(9)} sqlite_autoincrement=True)")
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(f"table('t', key(), {columns.format(12)} sqlite_autoincrement=True)")
    with world.project() as project:
        made = migrations.makemigrations(project, from_database=True, dry_run=True)
    assert 'type_=sa.VARCHAR(length=9, collation="NOCASE")' in made.draft.downgrade.text
    world.models(parent())
    with world.project() as project:
        made = migrations.makemigrations(
            project, from_database=True, dry_run=True, answers=Answers(dropped=["t"])
        )
    assert "sqlite_autoincrement=True" in made.draft.downgrade.text
    assert 'sqlite_on_conflict_not_null="IGNORE"' in made.draft.downgrade.text
    assert 'sqlite_on_conflict="REPLACE"' in made.draft.downgrade.text


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
