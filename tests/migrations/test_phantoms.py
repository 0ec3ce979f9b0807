"""What differs in words alone is no change, and what is not created here is none either."""

import textwrap

import pytest

from cases import ALL, parent
from dbtasks import migrations
from dbtasks.errors import ProjectFailed
from worlds import World

SAME = (
    ("sa.Boolean", 'sa.text("true")', "sa.true()"),
    ("sa.Boolean", 'sa.text("(FALSE)")', "sa.false()"),
    ("sa.Integer", 'sa.text("(0)")', '"0"'),
    ("sa.Integer", 'sa.text("-7")', '"-7"'),
    ("sa.Numeric(5, 2)", 'sa.text("((3))")', '"3"'),
    ("sa.String(9)", 'sa.text("7")', '"7"'),
    ("sa.DateTime", 'sa.text("(CURRENT_TIMESTAMP)")', "func.now()"),
    ("sa.String(9)", 'sa.text("NULL")', "None"),
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_default_in_other_words_is_the_same(world: World) -> None:
    def columns(place: int) -> str:
        return ", ".join(
            f'sa.Column("c{number}", {case[0]}, server_default={case[place]})'
            for number, case in enumerate(SAME)
        )

    world.models(parent(columns(1)))
    world.make()
    world.models(parent(columns(2)))
    with world.project() as project:
        assert migrations.missing(project) == ()


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("sa.Boolean", "sa.true()", "sa.false()"),
        ("sa.Integer", 'sa.text("0")', 'sa.text("1")'),
        ("sa.String(9)", '"a"', '"A"'),
        ("sa.String(9)", '"true"', '"1"'),
        ("sa.LargeBinary", "sa.text(\"'0'\")", 'sa.text("0")'),
        ("sa.String(9)", "sa.text(\"'NULL'\")", "None"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_default_that_stores_something_else_is_another(
    world: World, kind: str, old: str, new: str
) -> None:
    column = 'sa.Column("a", {}, server_default={})'
    world.models(parent(column.format(kind, old)))
    world.make()
    world.models(parent(column.format(kind, new)))
    with world.project() as project:
        assert migrations.missing(project) == ("alter column parent.a",)


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_what_is_for_another_database_is_not_made(world: World) -> None:
    here = {"mariadb": "mysql"}.get(world.database.kind, world.database.kind)  # as its URL
    items = ", ".join(
        f'sa.Index("ix_{kind}", "name").ddl_if(dialect="{kind}"),'
        f' sa.CheckConstraint("length(name) > {number}", name="ck_{kind}")'
        f'.ddl_if(dialect="{kind}"),'
        f' sa.UniqueConstraint("id", "name", name="uq_{kind}").ddl_if(dialect="{kind}")'
        for number, kind in enumerate(KINDS)
    )
    world.models(parent())
    world.make()
    world.models(parent(items))
    source = world.make()
    assert world.missing() == []
    for kind in KINDS:
        assert (f"ix_{kind}" in source) == (kind == here)
        assert (f"ck_{kind}" in source) == (kind == here)
    new = f"table('new', key(), sa.Column('name', sa.String(9)), {items})".replace(
        "_", "_new_"
    ).replace("ddl_new_if", "ddl_if")
    world.models(f"{parent()}{new}")
    world.make()
    assert world.missing() == []
    world.migrate("-2")


@pytest.mark.parametrize("from_database", [False, True])
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_an_index_without_columns_is_named(world: World, from_database: bool) -> None:
    world.models(parent())
    world.make()
    world.models(parent('sa.Index("ix_forgotten")'))
    with world.project() as project, pytest.raises(ProjectFailed) as refused:
        migrations.missing(project, from_database=from_database)
    assert refused.value.message == "the index ix_forgotten of the table parent has no columns"


KINDS = ("sqlite", "postgresql", "mysql", "oracle")

REFLECTING = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

engine = sa.create_engine({!r}, poolclass=sa.NullPool)
sa.Table("parent", Base.metadata, autoload_with=engine)
"""


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_models_that_reflect_at_import_see_the_real_database(world: World) -> None:
    world.models(parent().partition("\n")[0])
    world.make()
    models = world.package / "models.py"
    models.write_text(textwrap.dedent(REFLECTING).format(world.database.url))
    with world.project() as project:
        assert migrations.missing(project) == ()
    world.run(["ALTER TABLE parent ADD COLUMN more INTEGER"])
    with world.project() as project:
        assert migrations.missing(project) == ("add column parent.more",)
        made = migrations.makemigrations(project)
        assert made.draft.fault == ""
        assert migrations.missing(project) == ()


ENV = """
from alembic import context
{}
import sqlalchemy as sa

with sa.create_engine({!r}, poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata={})
    with context.begin_transaction():
        context.run_migrations()
"""
IMPORTS = (
    ("from company.models import Base", "Base.metadata"),
    ("import company.models as models", "models.Base.metadata"),
    ("if True:\n    from company import models", "models.Base.metadata"),
)


@pytest.mark.parametrize(("line", "metadata"), IMPORTS)
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_models_that_only_env_py_names_see_it_too(world: World, line: str, metadata: str) -> None:
    world.models(parent().partition("\n")[0])
    world.make()
    env = ENV.format(line, world.database.url, metadata)
    (world.root / "migrations" / "env.py").write_text(env)
    models = world.package / "models.py"
    models.write_text(textwrap.dedent(REFLECTING).format(world.database.url))
    world.run(["ALTER TABLE parent ADD COLUMN more INTEGER"])
    with world.project(metadata=None) as project:
        assert migrations.missing(project) == ("add column parent.more",)
