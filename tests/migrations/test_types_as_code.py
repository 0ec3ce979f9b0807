"""The types of models in a revision: code that makes the same column, whatever their repr is."""

from pathlib import Path

import pytest

from cases import ALL, parent
from dbtasks import migrations
from dbtasks.errors import ProjectFailed, UsageError
from worlds import World

TYPES = """
import enum
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

class Color(str, enum.Enum):
    red = "r"
    green = "g"

class Model(sa.TypeDecorator):
    impl = sa.JSON
    cache_ok = True

    def __init__(self, model):
        self.model = model
        super().__init__()

class Document(Model):
    def load_dialect_impl(self, dialect):
        kind = postgresql.JSONB() if dialect.name == "postgresql" else sa.Text()
        return dialect.type_descriptor(kind)

class Outer:
    class Inner(sa.TypeDecorator):
        impl = sa.String(40)
        cache_ok = True

def made():
    class Local(sa.TypeDecorator):
        impl = sa.Numeric(7, 3)
        cache_ok = True

    return Local()

class Raising(sa.TypeDecorator):
    impl = sa.String(60)
    cache_ok = True

    def __repr__(self):
        raise RuntimeError("no repr")

class Named(sa.TypeDecorator):
    impl = sa.Integer
    cache_ok = True

    def __repr__(self):
        return "<a name>"

class Lost(sa.TypeDecorator):
    impl = sa.BigInteger
    cache_ok = True

Lost.__module__ = "company.nowhere"

class Short(sa.String):
    def __init__(self, size=3, *, length=None):
        super().__init__(length or size * 2)

    def __repr__(self):
        return "Short(?)"

class Colored(sa.TypeDecorator):
    impl = sa.Enum(Color, name="color", native_enum=False, create_constraint=True)
    cache_ok = True

    def __init__(self, model):
        super().__init__()

class Spelled(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **keywords):
        return "VARCHAR(17)"

    def __repr__(self):
        return "Spelled of 17"
"""

WRITTEN = {
    "a class as an argument": ("types.Model(dict)", "sa.JSON()"),
    "a function as an argument": ("types.Model(lambda: 0)", "sa.JSON()"),
    "another type on each database": ("types.Document(dict)", ("sa.Text()", "postgresql.JSONB(")),
    "a nested class": ("types.Outer.Inner()", "sa.String(length=40)"),
    "a class made in a function": ("types.made()", "sa.Numeric(precision=7, scale=3)"),
    "a repr that raises": ("types.Raising()", "sa.String(length=60)"),
    "a repr that is no Python": ("types.Named()", "sa.Integer()"),
    "a module that cannot be imported": ("types.Lost()", "sa.BigInteger()"),
    "a subclass of SQLAlchemy's": ("types.Short(4)", "sa.String(length=8)"),
    "an enum with a check": ("types.Colored(dict)", "sa.Enum("),
    "a type that has only a name": ("types.Spelled()", '"get_col_spec": lambda *_, **__'),
    "a variant": (
        'sa.String(5).with_variant(types.Model(dict), "postgresql")',
        'sa.String(length=5).with_variant(sa.JSON(), "postgresql")',
    ),
    "with a variant": (
        'types.Model(dict).with_variant(sa.String(7), "sqlite")',
        'sa.JSON().with_variant(sa.String(length=7), "sqlite")',
    ),
}


NOTED = {
    *("Model", "Document", "Inner", "Local", "Raising"),
    *("Named", "Lost", "Short", "Colored", "Spelled"),
}


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_types_that_are_no_constructors_are_written_as_their_implementations(world: World) -> None:
    (world.package / "types.py").write_text(TYPES)
    columns = ", ".join(
        f'sa.Column("a{number}", {code})' for number, (code, _) in enumerate(WRITTEN.values())
    )
    head = "from company import types\n"
    world.models(parent())
    world.make()
    before = world.schema()
    world.models(f'{head}{parent(columns)}table("other", key(), {columns})')
    with world.project() as project:
        made = migrations.makemigrations(project)
        assert made.revision is not None
        assert made.draft.fault == ""
        migrations.migrate(project)
        assert migrations.missing(project) == ()
    assert world.missing() == []
    source = Path(made.revision.path).read_text()
    assert "company.types" not in source
    for number, (code, written) in enumerate(WRITTEN.values()):
        texts = [written] if isinstance(written, str) else written
        column = source.partition(f'"a{number}"')[2].partition(f'"a{number + 1}"')[0]
        assert any(text in column for text in texts), (code, column)
    notes = made.draft.upgrade.notes
    assert [note for note in notes if "cannot be written as code" not in note] == []
    assert {note.split()[2].rpartition(".")[2] for note in notes} == NOTED
    world.migrate("-1")
    assert world.schema() == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_type_that_is_a_constructor_is_written_as_it_is(world: World) -> None:
    world.models("from company import types\n" + parent('sa.Column("a", types.Upper(7))'))
    assert "company.types.Upper(length=7)" in world.make()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_note_is_one_line_of_the_command(world: World, run) -> None:  # type: ignore[no-untyped-def]
    (world.package / "types.py").write_text(TYPES)
    world.models("from company import types\n" + parent('sa.Column("a", types.Model(dict))'))
    made = run(world.root, "makemigrations", "--no-input")
    assert (
        "the type company.types.Model cannot be written as code: the revision has sa.JSON(), "
        "which makes the same column\n"
    ) in made.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_render_item_has_the_last_word_with_what_the_template_imports(world: World) -> None:
    (world.package / "types.py").write_text(TYPES)
    template = world.root / "migrations" / "script.py.mako"
    template.write_text(
        template.read_text().replace(
            "import sqlalchemy as sa", "import sqlalchemy as sa\nfrom company import types as t", 1
        )
    )
    (world.root / "migrations" / "env.py").write_text(
        "from company.models import Base\n"
        "from dbtasks.migrations import environment\n\n"
        "def render_item(kind, item, context):\n"
        "    return 't.Model(dict)' if 'Model(' in repr(item) and kind == 'type' else False\n\n"
        "environment.run(Base.metadata, render_item=render_item)\n"
    )
    world.models("from company import types\n" + parent('sa.Column("a", types.Model(dict))'))
    assert 'sa.Column("a", t.Model(dict), nullable=True)' in world.make()


VALUES = [
    "sa.String(5), server_default=Color.red",
    "sa.Enum(Color), server_default=Color.red.name",
    'sa.Enum(Color, values_callable=lambda e: [m.value for m in e], name="letter")',
    "sa.Numeric(Size.two, Size.one)",
    "sa.PickleType(pickler=enum)",
    "sa.String(9), server_default=sa.cast(sa.literal(3), sa.String(9))",
    'sa.Integer, sa.Computed(sa.column("id") + 1, persisted=True)',
    "sa.Integer, server_default=sa.FetchedValue()",
]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_enum_classes_and_expressions_are_written_as_values(world: World) -> None:
    head = (
        'class Color(str, enum.Enum):\n    red = "r"\n    green = "g"\n\n'
        "class Size(enum.IntEnum):\n    one = 1\n    two = 2\n\n"
    )
    columns = ", ".join(f'sa.Column("a{number}", {code})' for number, code in enumerate(VALUES))
    world.models(parent())
    world.make()
    world.models(f'{head}{parent(columns)}table("other", key(), {columns})')
    world.make()
    assert world.missing() == []
    world.migrate("-1")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_value_that_is_no_code_is_named(world: World) -> None:
    comment = 'class Color(str, enum.Enum):\n    red = "r"\n'
    world.models(comment + parent('sa.Column("a", sa.Integer, comment=Color.red)'))
    with world.project() as project, pytest.raises(UsageError) as refused:
        migrations.makemigrations(project)
    assert "comment=<Color.red: 'r'>" in refused.value.message


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_models_that_cannot_be_created_are_not_called_a_bug(world: World) -> None:
    point = (
        "class Point(sa.types.UserDefinedType):\n    def __init__(self, srid):\n        pass\n\n"
        "    def get_col_spec(self, **keywords):\n        return 'point'\n\n"
    )
    world.models(point + parent('sa.Column("a", Point(1))'))
    with world.project() as project, pytest.raises(ProjectFailed, match="creating the models"):
        migrations.missing(project)


UNKNOWN = {
    "postgresql": ["xml", "point", "int4range[]", "numeric(5,2)[]"],
    "mariadb": ["point", "geometry", "inet6"],
    "sqlite": ["GEOMETRY", "UNSIGNED BIG INT", "STRING", ""],
}


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_types_that_nobody_knows_come_back(world: World) -> None:
    """Their table and their columns are dropped, and are what they were after the way back."""
    world.models(parent() + 'table("odd", key())')
    world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    statements = [
        f"ALTER TABLE {table} ADD COLUMN a{number} {kind}"
        for number, kind in enumerate(UNKNOWN[world.database.kind])
        for table in ("parent", "odd")
    ]
    lines = "".join(f"\n    op.execute({statement!r})" for statement in statements)
    path.write_text(path.read_text().replace("\n\n\ndef downgrade", f"{lines}\n\n\ndef downgrade"))
    world.run(statements)
    before = world.schema()
    world.models(parent())
    world.make()
    world.migrate("-1")
    assert world.schema() == before
