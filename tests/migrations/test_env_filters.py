"""What env.py says of a comparison holds: its filters, callables, hooks, and other packages."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from cases import ALL, parent
from dbtasks import migrations
from dbtasks.migrations.autogenerate.answers import Answers
from worlds import World

ENV = """
from company.models import Base
from dbtasks.migrations import environment

{}

environment.run(Base.metadata, {})
"""


def env(world: World, body: str, options: str) -> None:
    text = ENV.format(textwrap.dedent(body).strip(), options)
    (world.root / "migrations" / "env.py").write_text(text)


def missing(world: World) -> Sequence[str]:
    with world.project() as project:
        return migrations.missing(project)


def make(world: World, answers: Answers | None = None) -> str:
    """Make a revision and apply it; nothing is missing afterwards, as env.py sees it."""
    with world.project() as project:
        made = migrations.makemigrations(project, answers=answers)
        assert made.revision is not None
        assert made.draft.fault == ""
        migrations.migrate(project)
        assert migrations.missing(project) == ()
    return Path(made.revision.path).read_text()


LEGACY = 'table("legacy_{0}", key(), sa.Column("a", sa.Integer, index=True))\n'
OWN = (
    'sa.Column("{0}", sa.Integer), sa.Index("ix_{0}", "{0}"),'
    ' sa.UniqueConstraint("{0}", name="uq_{0}")'
)


@pytest.mark.parametrize("filtered", ["object", "name"])
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_tables_that_env_py_leaves_out_are_neither_made_nor_dropped(
    world: World, filtered: str
) -> None:
    world.models(parent() + LEGACY.format("old"))
    world.make()
    if filtered == "object":
        body = """
            def include_object(item, name, kind, reflected, other):
                tables = Base.metadata.tables
                assert kind != "table" or reflected == (tables.get(name) is not item)
                return not (kind == "table" and name.startswith("legacy_"))
        """
    else:
        body = """
            def include_name(name, kind, parents):
                assert kind != "index" or parents["table_name"]
                return not (kind == "table" and name.startswith("legacy_"))
        """
    env(world, body, f"include_{filtered}=include_{filtered}")
    world.models(parent('sa.Column("more", sa.Integer)') + "\n")
    assert missing(world) == ("add column parent.more",)
    source = make(world)
    assert "legacy" not in source
    assert "legacy_old" in world.counts()
    world.migrate("-1")
    assert "legacy_old" in world.counts()


@pytest.mark.parametrize(("kind", "start"), [("index", "ix_"), ("unique_constraint", "uq_")])
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_indexes_and_constraints_that_env_py_leaves_out(
    world: World, kind: str, start: str
) -> None:
    world.models(parent(OWN.format("old")))
    world.make()
    body = f"""
        def include_object(item, name, kind, reflected, other):
            return reflected or kind != {kind!r}
    """
    env(world, body, "include_object=include_object")
    world.models(parent(f"{OWN.format('old')}, {OWN.format('new')}"))
    found = missing(world)
    assert "add column parent.new" in found
    assert {name for name in ("ix_", "uq_") if any(name in change for change in found)} == (
        {"ix_", "uq_"} - {start}
    )


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_columns_that_env_py_leaves_out(world: World) -> None:
    world.models(parent('sa.Column("old", sa.Integer), sa.Column("kept", sa.Integer)'))
    world.make()
    body = """
        def include_object(item, name, kind, reflected, other):
            return not (kind == "column" and name in ("old", "new"))
    """
    env(world, body, "include_object=include_object")
    world.models(parent('sa.Column("new", sa.Integer), sa.Column("kept", sa.BigInteger)'))
    assert missing(world) == ("alter column parent.kept",)
    make(world)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_schemas_are_looked_at_as_env_py_says(world: World) -> None:
    models = parent() + 'table("pay", key(), schema="hr")\ntable("log", key(), schema="other")\n'
    world.models(models)
    world.make()
    world.models(parent())
    assert missing(world) == ()  # Alembic looks at the connection's own schema alone
    env(world, "", "include_schemas=True")
    assert {*missing(world)} == {"drop table pay", "drop table log"}
    body = """
        def include_name(name, kind, parents):
            return name in (None, "hr") if kind == "schema" else True
    """
    env(world, body, "include_schemas=True, include_name=include_name")
    assert missing(world) == ("drop table pay",)


@pytest.mark.parametrize(("answer", "seen"), [("False", False), ("None", True), ("True", True)])
@pytest.mark.parametrize("database", ALL, indirect=True)
def test_types_and_defaults_are_compared_as_env_py_says(
    world: World, answer: str, seen: bool
) -> None:
    column = 'sa.Column("a", sa.{}, server_default="{}")'
    world.models(parent(column.format("String(9)", 1)))
    world.make()
    body = f"""
        def compare_type(context, inspected, column, old, new):
            assert (inspected.name, column.name) == ("a", "a")
            assert (old.length, new.length) == (9, 12)
            return {answer}

        def compare_default(context, inspected, column, old, new, rendered):
            assert "1" in old and "2" in rendered
            return {answer}
    """
    env(world, body, "compare_type=compare_type, compare_server_default=compare_default")
    world.models(parent(column.format("String(12)", 2)))
    assert missing(world) == (("alter column parent.a",) if seen else ())
    if seen:
        make(world)


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_defaults_are_left_alone_where_env_py_says_so(world: World) -> None:
    column = 'sa.Column("a", sa.Integer, server_default="{}")'
    world.models(parent(column.format(1)))
    world.make()
    env(world, "", "compare_server_default=False")
    world.models(parent(column.format(2)))
    assert missing(world) == ()


DIRECTIVES = {
    "a recipe against empty revisions": (
        """
        from alembic import context

        def hook(running, heads, directives):
            if getattr(context.config.cmd_opts, "autogenerate", True):
                if directives[0].upgrade_ops.is_empty():
                    directives[:] = []
        """,
        ["add column parent.a", "add column parent.b"],
    ),
    "none of it": (
        """
        def hook(running, heads, directives):
            directives[:] = []
        """,
        [],
    ),
    "a rewriter": (
        """
        from alembic.autogenerate import rewriter
        from alembic.operations import ops

        hook = rewriter.Rewriter()

        @hook.rewrites(ops.AddColumnOp)
        def add_column(context, revision, op):
            return op if op.column.name == "a" else []
        """,
        ["add column parent.a"],
    ),
    "another order, and SQL": (
        """
        from alembic.operations import ops

        def hook(running, heads, directives):
            (script,) = directives
            script.upgrade_ops.ops.append(ops.ExecuteSQLOp("UPDATE parent SET a = 7"))
        """,
        ["add column parent.a", "add column parent.b", "UPDATE parent SET a = 7"],
    ),
}


@pytest.mark.every_value
@pytest.mark.parametrize("name", DIRECTIVES)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_the_hook_changes_what_is_written(world: World, name: str) -> None:
    world.models(parent())
    world.make()
    body, changes = DIRECTIVES[name]
    env(world, body, "process_revision_directives=hook")
    world.models(parent('sa.Column("a", sa.Integer), sa.Column("b", sa.Integer)'))
    with world.project() as project:
        made = migrations.makemigrations(project)
        assert [*made.draft.changes] == changes
        assert (made.revision is None) == (not changes)
        migrations.migrate(project)


PACKAGE = '''
"""A package that compares what Alembic does not know: here views, as alembic_utils does."""

from alembic.autogenerate import comparators, renderers
from alembic.operations import MigrateOperation, Operations
from sqlalchemy import text

WANTED = {"seen": "SELECT name FROM parent"}


@Operations.register_operation("make_view")
class MakeView(MigrateOperation):
    def __init__(self, name, sql):
        self.name, self.sql = name, sql

    @classmethod
    def make_view(cls, operations, name, sql):
        return operations.invoke(cls(name, sql))

    def reverse(self):
        return UnmakeView(self.name, self.sql)


@Operations.register_operation("unmake_view")
class UnmakeView(MakeView):
    @classmethod
    def unmake_view(cls, operations, name, sql):
        return operations.invoke(cls(name, sql))

    def reverse(self):
        return MakeView(self.name, self.sql)


@Operations.implementation_for(MakeView)
def make(operations, operation):
    operations.execute(f"CREATE VIEW {operation.name} AS {operation.sql}")


@Operations.implementation_for(UnmakeView)
def unmake(operations, operation):
    operations.execute(f"DROP VIEW {operation.name}")


@renderers.dispatch_for(MakeView)
@renderers.dispatch_for(UnmakeView)
def render(context, operation):
    context.imports.add("import view_package")
    name = "make_view" if type(operation) is MakeView else "unmake_view"
    return f"op.{name}({operation.name!r}, {operation.sql!r})"


@comparators.dispatch_for("schema")
def compare(context, upgrade_ops, schemas):
    from sqlalchemy import inspect

    found = inspect(context.connection).get_view_names()
    for name, sql in WANTED.items():
        if name not in found:
            upgrade_ops.ops.append(MakeView(name, sql))
'''


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_a_comparator_of_another_package_is_asked(world: World, forget: None) -> None:
    (world.package.parent / "view_package.py").write_text(PACKAGE)
    env(world, "import view_package", "")
    world.models(parent())
    assert missing(world) == ("create table parent", "create table child", "MakeView")
    source = make(world)
    assert 'op.make_view("seen", "SELECT name FROM parent")' in source
    assert source.count("import view_package") == 1
    world.run(["SELECT * FROM seen"])
    world.migrate("-1")
    world.migrate("heads")
    assert missing(world) == ()


ENUMS = '''
"""What alembic-postgresql-enum does: it makes the enums of the models, too."""

from alembic.autogenerate import comparators, renderers
from alembic.operations import MigrateOperation


class CreateEnumOp(MigrateOperation):
    def reverse(self):
        return DropEnumOp()


class DropEnumOp(CreateEnumOp):
    def reverse(self):
        return CreateEnumOp()


@renderers.dispatch_for(CreateEnumOp)
def render(context, operation):
    return "op.execute(\\"CREATE TYPE color AS ENUM ('red')\\")"


@comparators.dispatch_for("schema")
def compare(context, upgrade_ops, schemas):
    upgrade_ops.ops.insert(0, CreateEnumOp())
'''


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_enum_is_made_once_beside_alembic_postgresql_enum(
    world: World, beside: bool, forget: None
) -> None:
    """Also where a third package lets Alembic compare."""
    (world.package.parent / "alembic_postgresql_enum.py").write_text(ENUMS)
    (world.package.parent / "view_package.py").write_text(PACKAGE)
    env(world, "import alembic_postgresql_enum" + "\nimport view_package" * beside, "")
    color = 'sa.Column("a", sa.Enum("red", name="color"))'
    world.models(parent() + f'table("one", key(), {color})\ntable("two", key(), {color})')
    source = make(world)
    assert source.count("CREATE TYPE") == 1
    world.migrate("-1")
    world.migrate("heads")


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_several_metadatas_are_one_schema(world: World) -> None:
    body = (
        "table('parent', key())\nother = sa.MetaData()\n"
        "sa.Table('log', other, sa.Column('id', sa.Integer, primary_key=True), {})\n"
    )
    text = ENV.replace("Base.metadata, {}", "[Base.metadata, other]").replace("{}", "")
    text = text.replace("import Base", "import Base, other")
    (world.root / "migrations" / "env.py").write_text(text)
    world.models(body.format(""))
    make(world)
    assert {*world.counts()} == {"parent", "log"}
    world.models(body.format("sa.Column('a', sa.Integer)"))
    assert missing(world) == ("add column log.a",)
    make(world)
    world.migrate("-1")


BY_HAND = {
    "sqlite": (
        "CREATE VIEW seen AS SELECT name FROM parent",
        "CREATE TRIGGER gone AFTER DELETE ON child BEGIN DELETE FROM parent; END",
    ),
    "postgresql": (
        "CREATE EXTENSION citext",
        "CREATE DOMAIN zip AS text CHECK (VALUE <> '')",
        "CREATE SEQUENCE counted",
        "CREATE TYPE color AS ENUM ('red')",
        "CREATE TYPE pair AS (a integer, b color)",
        "CREATE SCHEMA hr",
        "CREATE TABLE hr.pay (id integer, c color)",
        "CREATE VIEW seen AS SELECT name FROM parent",
        "CREATE MATERIALIZED VIEW kept AS SELECT name FROM parent",
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER stamped BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION stamp()",
    ),
    "mariadb": (
        "CREATE SEQUENCE counted",
        "CREATE VIEW seen AS SELECT name FROM parent",
        "CREATE FUNCTION one() RETURNS INT RETURN 1",
        "CREATE TRIGGER gone AFTER DELETE ON child FOR EACH ROW DELETE FROM parent",
    ),
}


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_what_the_models_did_not_make_is_never_dropped(world: World) -> None:
    world.models(parent())
    world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    made = "".join(f"\n    op.execute({sql!r})" for sql in BY_HAND[world.database.kind])
    path.write_text(path.read_text().replace("\n\n\ndef downgrade", f"{made}\n\n\ndef downgrade"))
    world.run(BY_HAND[world.database.kind])
    before = world.schema()
    assert missing(world) == ()
    world.models(
        parent('sa.Column("a", sa.Enum("x", name="kind"))') + 'table("new", key())\n'
        'sa.Sequence("numbers", metadata=Base.metadata)\n'
    )
    source = make(world)
    assert "DROP" not in source.partition("def downgrade")[0].replace("DROP TRIGGER", "").replace(
        "DROP VIEW", ""
    )
    after = world.schema()
    assert {*before} <= {*after}
    world.migrate("-1")
    assert world.schema() == before
