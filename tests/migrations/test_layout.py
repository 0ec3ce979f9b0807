"""The code of a revision, laid out as a person would write it."""

import ast

import pytest

from cases import parent
from dbtasks.migrations.autogenerate.layout import lay_out
from worlds import World

LONG = "CREATE VIEW names AS  SELECT name FROM parent WHERE name <> 'it''s \"q\"' " * 3
CALLS = (
    f"op.execute({LONG!r})",
    f"op.create_check_constraint(op.f('ck'), 'parent', {LONG!r}, schema='a')",
    f"op.alter_column('parent', 'a', server_default=sa.text({LONG!r}), existing_nullable=True)",
    "op.alter_column('parent', 'a', existing_type=sa.Enum({}))".format(
        ", ".join(f"'value_{number}'" for number in range(6)) + ", name='kind_of_a_thing_that_is'"
    ),
    "with op.batch_alter_table('parent_that_has_a_name', table_args=[sa.CheckConstraint("
    "'a_column > 0')]) as batch_op:\n    batch_op.drop_column('a')",
    "op.create_index('ix', 'parent', ['name', sa.literal_column({!r})])".format(
        "coalesce(first_name, " + "'x'" * 20 + ") || last_name"
    ),
)


@pytest.mark.parametrize("source", CALLS)
def test_no_line_is_too_long(source: str) -> None:
    for width in range(60):  # wherever the limit falls
        wider = source.replace("parent", "parent" + "x" * width)
        code = lay_out(wider)
        assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(wider))
        assert max(map(len, f"    {code}".split("\n"))) <= 100


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_imports_stand_apart(world: World) -> None:
    enum = 'sa.Column("a", sa.Enum("red", "green", name="color"))'
    world.models(parent(enum))
    source = world.make()
    assert "\nfrom sqlalchemy.dialects import postgresql\n\nrevision: str = " in source
    world.models(parent(f'{enum}, sa.Column("b", sa.Integer)'))
    assert "\nfrom alembic import op\n\nrevision: str = " in world.make()
