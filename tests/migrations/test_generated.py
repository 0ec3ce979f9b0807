"""Each operation that Alembic knows, made from two states of the models, and run both ways."""

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alembic
import pytest
import sqlalchemy as sa
from sqlalchemy import create_engine, inspect, text

from conftest import Database
from dbtasks import Project, migrations
from dbtasks.errors import UsageError
from dbtasks.migrations.making.questions import Answers

HEAD = """
import enum
from datetime import datetime
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql import func

class Base(DeclarativeBase):
    pass

def table(name, *args, **keywords):
    return sa.Table(name, Base.metadata, *args, **keywords)

def key():
    return sa.Column("id", sa.Integer, primary_key=True)
"""

CONVENTION = """
Base.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""

ALEMBIC = tuple(map(int, alembic.__version__.split(".")[:2]))
ALL = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")


@dataclass(frozen=True)
class Case:
    """Two states of the models, the rows in between, and what is to be seen of the change."""

    name: str
    before: str
    after: str
    rows: Sequence[str] = ()
    on: Sequence[str] = ALL
    defaults: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    lost: Sequence[str] = ()  # tables whose rows are gone after the way back
    code: Sequence[str] = ()  # what stands in the revision
    convention: bool = False  # whether the models name constraints by one
    batch: bool | None = None  # whether it makes the table anew on SQLite


PARENT = 'table("parent", key(), sa.Column("name", sa.String(20), nullable=False){more})\n'
CHILD = (
    'table("child", key(), sa.Column("parent_id",'
    ' sa.ForeignKey("parent.id", ondelete="CASCADE"), nullable=False))\n'
)
ROWS = (
    "INSERT INTO parent (id, name) VALUES (1, 'Ann'), (2, 'Bob')",
    "INSERT INTO child (id, parent_id) VALUES (1, 1), (2, 1), (3, 2)",
)


def parent(more: str = "", /) -> str:
    """Return a parent with further columns and constraints, and its children."""
    return PARENT.format(more=f", {more}" if more else "") + CHILD


def on_parent(name: str, before: str, after: str, **more: Any) -> Case:
    return Case(name, parent(before), parent(after), **{"rows": ROWS, **more})


STORED = (
    'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + {}", persisted=True))'
)

CASES = (
    Case("table", parent(), parent() + 'table("other", key())', ROWS, batch=False),
    Case(
        "table dropped",
        parent() + 'table("other", key())',
        parent(),
        ("INSERT INTO other (id) VALUES (1)", *ROWS),
        lost=["other"],
    ),
    on_parent("column", "", 'sa.Column("age", sa.Integer)', batch=False),
    on_parent("column dropped", 'sa.Column("age", sa.Integer)', "", batch=True),
    on_parent(
        "column that takes no NULL",
        "",
        'sa.Column("age", sa.Integer, nullable=False)',
        defaults={"parent.age": "3"},
    ),
    on_parent(
        "column that takes no NULL, and gets an expression",
        "",
        'sa.Column("age", sa.Integer, nullable=False)',
        expressions={"parent.age": "id + 1"},
    ),
    on_parent(
        "column renamed",
        'sa.Column("age", sa.Integer)',
        'sa.Column("years", sa.Integer)',
        renames={"parent.age": "parent.years"},
        batch=False,
    ),
    on_parent("type", 'sa.Column("age", sa.Integer)', 'sa.Column("age", sa.BigInteger)'),
    on_parent("length", 'sa.Column("a", sa.String(5))', 'sa.Column("a", sa.String(50))'),
    on_parent("length of text", 'sa.Column("a", sa.String(5))', 'sa.Column("a", sa.Text)'),
    on_parent("scale", 'sa.Column("a", sa.Numeric(8, 2))', 'sa.Column("a", sa.Numeric(10, 4))'),
    on_parent(
        "NOT NULL",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, nullable=False)',
        defaults={"parent.a": "7"},
        batch=True,
    ),
    on_parent(
        "NULL",
        'sa.Column("a", sa.Integer, nullable=False, server_default="1")',
        'sa.Column("a", sa.Integer, server_default="1")',
        batch=True,
    ),
    on_parent(
        "default",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, server_default="5")',
    ),
    on_parent(
        "default changed",
        'sa.Column("a", sa.Integer, server_default="5")',
        'sa.Column("a", sa.Integer, server_default=sa.text("6"))',
    ),
    on_parent(
        "default removed",
        'sa.Column("a", sa.String(5), server_default="x")',
        'sa.Column("a", sa.String(5))',
    ),
    on_parent(
        "default of a text with quotes and colons",
        'sa.Column("a", sa.String(40), server_default="x")',
        'sa.Column("a", sa.String(40), server_default="it\'s :now or 10:30 100% \\"q\\"")',
    ),
    on_parent(
        "default true",
        'sa.Column("a", sa.Boolean)',
        'sa.Column("a", sa.Boolean, server_default=sa.true(), nullable=False)',
        defaults={"parent.a": "true"},
    ),
    on_parent(
        "default true turned false",
        'sa.Column("a", sa.Boolean, server_default=sa.true(), nullable=False)',
        'sa.Column("a", sa.Boolean, server_default=sa.false(), nullable=False)',
    ),
    on_parent(
        "default now()",
        'sa.Column("a", sa.DateTime)',
        'sa.Column("a", sa.DateTime, server_default=func.now())',
    ),
    on_parent(
        "new column with default now()",
        "",
        'sa.Column("a", sa.DateTime, server_default=func.now(), nullable=False)',
        batch=True,
    ),
    on_parent(
        "new columns with defaults",
        "",
        'sa.Column("a", sa.Integer, server_default="5", nullable=False), '
        'sa.Column("b", sa.String(30), server_default="it\'s 10:30 :x", nullable=False), '
        'sa.Column("c", sa.Boolean, server_default=sa.false(), nullable=False)',
        batch=False,
    ),
    on_parent("index", "", 'sa.Index("ix_name", "name")', batch=False),
    on_parent("index dropped", 'sa.Index("ix_name", "name")', "", batch=False),
    on_parent(
        "index made unique",
        'sa.Index("ix_name", "name")',
        'sa.Index("ix_name", "name", unique=True)',
        batch=False,
    ),
    on_parent(
        "index with other columns",
        'sa.Index("ix_name", "name")',
        'sa.Index("ix_name", "name", "id")',
        batch=False,
    ),
    on_parent(
        "partial index",
        "",
        'sa.Index("ix_name", "name", unique=True, sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        batch=False,
    ),
    on_parent(
        "partial index dropped",
        'sa.Index("ix_name", "name", sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        "",
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "partial index turned whole",
        'sa.Index("ix_name", "name", sqlite_where=sa.text("id > 1"), '
        'postgresql_where=sa.text("id > 1"))',
        'sa.Index("ix_name", "name")',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression",
        "",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on an expression dropped",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        "",
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent(
        "index on another expression",
        'sa.Index("ix_name", sa.text("lower(name)"))',
        'sa.Index("ix_name", sa.text("upper(name)"))',
        batch=False,
        on=["sqlite", "postgresql"],
    ),
    on_parent("unique", "", 'sa.UniqueConstraint("name", name="uq_name")', batch=True),
    on_parent("unique dropped", 'sa.UniqueConstraint("name", name="uq_name")', "", batch=True),
    on_parent("unique without a name", "", 'sa.UniqueConstraint("name")', batch=True),
    on_parent("unique without a name dropped", 'sa.UniqueConstraint("name")', "", batch=True),
    on_parent(
        "unique with other columns",
        'sa.UniqueConstraint("name", name="uq_name")',
        'sa.UniqueConstraint("name", "id", name="uq_name")',
    ),
    on_parent("check", "", "sa.CheckConstraint('length(name) > 0', name='positive')", batch=True),
    on_parent(
        "check dropped", "sa.CheckConstraint('length(name) > 0', name='positive')", "", batch=True
    ),
    on_parent(
        "check changed",
        "sa.CheckConstraint('length(name) > 0', name='positive')",
        'sa.CheckConstraint("length(name) > 1", name="positive")',
        batch=True,
    ),
    on_parent(
        "check without a name stays",
        'sa.CheckConstraint("length(name) > 0")',
        'sa.CheckConstraint("length(name) > 0"), sa.Column("a", sa.Integer)',
        batch=False,
    ),
    on_parent(
        "check without a name stays beside one with a name",
        'sa.CheckConstraint("length(name) > 0")',
        'sa.CheckConstraint("length(name) > 0"), '
        'sa.CheckConstraint("length(name) < 9", name="small")',
        batch=True,
    ),
    on_parent(
        "check by a naming convention",
        "",
        'sa.CheckConstraint("length(name) > 0", name="long")',
        convention=True,
        batch=True,
        code=["ck_parent_long"],
    ),
    on_parent(
        "check by a naming convention dropped",
        'sa.CheckConstraint("length(name) > 0", name="long")',
        "",
        convention=True,
        batch=True,
    ),
    on_parent(
        "unique and index by a naming convention",
        'sa.UniqueConstraint("name")',
        'sa.UniqueConstraint("name", "id"), sa.Column("a", sa.Integer, index=True)',
        convention=True,
        batch=True,
    ),
    Case(
        "foreign key",
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.Integer))',
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")))',
        (*ROWS, "INSERT INTO pet (id, parent_id) VALUES (1, 2)"),
        batch=True,
    ),
    Case(
        "foreign key dropped",
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")))',
        parent() + 'table("pet", key(), sa.Column("parent_id", sa.Integer))',
        (*ROWS, "INSERT INTO pet (id, parent_id) VALUES (1, 2)"),
        batch=True,
    ),
    Case(
        "foreign key on delete",
        parent(),
        parent().replace("CASCADE", "RESTRICT"),
        ROWS,
        batch=True,
    ),
    Case(
        "foreign key deferrable",
        parent(),
        parent().replace(
            'ondelete="CASCADE"', 'ondelete="CASCADE", deferrable=True, initially="DEFERRED"'
        ),
        ROWS,
        on=["sqlite", "postgresql"],
        batch=True,
    ),
    on_parent(
        "column with a foreign key",
        "",
        'sa.Column("boss_id", sa.ForeignKey("parent.id", ondelete="SET NULL", name="fk_boss"))',
    ),
    on_parent(
        "enum value added",
        'sa.Column("a", sa.Enum("red", "green", name="color"))',
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color"))',
    ),
    on_parent(
        "enum value added in the middle, with a default",
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")',
        'sa.Column("a", sa.Enum("red", "blue", "green", name="color"), server_default="blue")',
    ),
    on_parent(
        "enum value removed",
        'sa.Column("a", sa.Enum("red", "green", "turquoise", name="color"), server_default="red")',
        'sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")',
        rows=(*ROWS, "UPDATE parent SET a = 'turquoise' WHERE id = 2"),
        defaults={"parent.a": "green"},
        on=SERVERS,
    ),
    on_parent(
        "enum with a check, value added",
        'sa.Column("a", sa.Enum("red", "green", name="color", native_enum=False,'
        " create_constraint=True))",
        'sa.Column("a", sa.Enum("red", "green", "blue", name="color", native_enum=False,'
        " create_constraint=True))",
    ),
    on_parent("enum column", "", 'sa.Column("a", sa.Enum("red", "green", name="color"))'),
    on_parent(
        "enum column that takes no NULL",
        "",
        'sa.Column("a", sa.Enum("red", "green", name="color"), nullable=False)',
        defaults={"parent.a": "red"},
    ),
    on_parent("enum column dropped", 'sa.Column("a", sa.Enum("red", "green", name="color"))', ""),
    Case(
        "enum of two tables, one dropped",
        parent('sa.Column("a", sa.Enum("red", "green", name="color"))')
        + 'table("other", key(), sa.Column("a", sa.Enum("red", "green", name="color")))',
        parent('sa.Column("a", sa.Enum("red", "green", name="color"))'),
        ROWS,
    ),
    Case(
        "enum of a table dropped",
        parent() + 'table("other", key(), sa.Column("a", sa.Enum("red", "green", name="color")))',
        parent(),
        ROWS,
    ),
    Case(
        "text turned enum",
        parent('sa.Column("a", sa.String(10), server_default="red")'),
        parent('sa.Column("a", sa.Enum("red", "green", name="color"), server_default="red")'),
        ROWS,
    ),
    on_parent("comment", "", "comment=\"People: 'all' of them\"", on=SERVERS),
    on_parent("comment dropped", 'comment="People"', "", on=SERVERS),
    on_parent(
        "comment on a column",
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.Integer, comment="how :many")',
        on=SERVERS,
    ),
    on_parent(
        "computed column",
        'sa.Column("b", sa.Integer)',
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + 1"))',
    ),
    on_parent(
        "computed column dropped",
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer, sa.Computed("b + 1"))',
        'sa.Column("b", sa.Integer)',
    ),
    on_parent(
        "computed column changed",
        STORED.format(1),
        STORED.format(2),
    ),
    on_parent(
        "column turned computed",
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer)',
        STORED.format(2),
    ),
    on_parent(
        "computed column turned plain",
        STORED.format(2),
        'sa.Column("b", sa.Integer), sa.Column("a", sa.Integer)',
    ),
    Case(
        "identity",
        parent() + 'table("other", sa.Column("id", sa.Integer, primary_key=True))',
        parent()
        + 'table("other", sa.Column("id", sa.Integer, sa.Identity(start=7), primary_key=True))',
        (*ROWS, "INSERT INTO other (id) VALUES (1)"),
        on=["postgresql"] if ALEMBIC >= (1, 20) else [],  # older ones alter it as if it were one
    ),
    Case(
        "identity changed",
        parent()
        + 'table("other", sa.Column("id", sa.Integer, sa.Identity(start=7), primary_key=True))',
        parent() + 'table("other", sa.Column("id", sa.Integer,'
        " sa.Identity(always=True, start=7, increment=2), primary_key=True))",
        ROWS,
        on=["postgresql"],
    ),
    on_parent(
        "identity column",
        "",
        'sa.Column("a", sa.Integer, sa.Identity(start=10))',
        on=["postgresql"],
    ),
    Case(
        "schema",
        parent(),
        parent() + 'table("pay", key(), sa.Column("parent_id", sa.ForeignKey("parent.id")),'
        ' schema="hr")',
        ROWS,
        on=["postgresql"],
    ),
    Case(
        "table of a schema changed",
        parent() + 'table("pay", key(), sa.Column("a", sa.Enum("x", "y", name="kind",'
        ' schema="hr")), schema="hr")',
        parent() + 'table("pay", key(), sa.Column("a", sa.Enum("x", "y", "z", name="kind",'
        ' schema="hr")), sa.Column("b", sa.Integer), schema="hr")',
        (*ROWS, "INSERT INTO hr.pay (id, a) VALUES (1, 'x')"),
        on=["postgresql"],
    ),
    on_parent(
        "types of PostgreSQL",
        "",
        'sa.Column("a", postgresql.JSONB), sa.Column("b", postgresql.ARRAY(sa.String(5))),'
        ' sa.Column("c", postgresql.INET), sa.Column("d", postgresql.TSVECTOR),'
        ' sa.Column("e", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),'
        ' sa.Column("f", sa.Uuid), sa.Column("g", sa.Interval), sa.Column("h", sa.LargeBinary),'
        ' sa.Column("i", sa.DateTime(timezone=True), server_default=func.now()),'
        ' sa.Column("j", postgresql.JSONB, server_default=sa.text("\'{}\'::jsonb"))',
        on=["postgresql"],
        code=["from sqlalchemy.dialects import postgresql"],
    ),
    on_parent(
        "all plain types",
        "",
        ", ".join(
            f'sa.Column("c{number}", {one})'
            for number, one in enumerate(
                (
                    "sa.Integer, index=True",
                    "sa.SmallInteger",
                    "sa.BigInteger",
                    "sa.Numeric(10, 2)",
                    "sa.Float",
                    "sa.Double",
                    "sa.Boolean",
                    "sa.String(20)",
                    "sa.Unicode(20)",
                    "sa.Text",
                    "sa.UnicodeText",
                    "sa.Date",
                    "sa.Time",
                    "sa.DateTime",
                    "sa.DateTime(timezone=True)",
                    "sa.Interval",
                    "sa.JSON",
                    "sa.Uuid",
                    "sa.LargeBinary",
                    "sa.Boolean(create_constraint=True, name='yes_or_no')",
                )
            )
        ),
    ),
    on_parent(
        "type of the project's own",
        "",
        'sa.Column("a", __import__("company.types").types.Upper(12))',
        code=["import company.types", "company.types.Upper("],
        batch=False,
    ),
)

TYPES = """
import sqlalchemy as sa

class Upper(sa.TypeDecorator):
    impl = sa.String
    cache_ok = True

    def __init__(self, length):
        super().__init__(length)
"""


class World:
    """A project without revisions, whose models a test writes, on a database."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        for path in (root / "migrations" / "versions").glob("*.py"):
            path.unlink()
        self.package = root / "src" / "company"
        (self.package / "types.py").write_text(TYPES)
        (self.package / "__init__.py").write_text("")

    def models(self, body: str) -> None:
        (self.package / "models.py").write_text(textwrap.dedent(HEAD) + body)

    @contextmanager
    def project(self) -> Iterator[Project]:
        """Return the project with its code as it is now, imported anew."""
        before = take_modules()
        sys.path_importer_cache.clear()
        project = Project.configure(
            self.root, metadata="company.models:Base", url=self.database.url
        )
        try:
            yield project
        finally:
            project.close()
            take_modules()
            sys.modules.update(before)  # other tests go on with theirs
            for path in (str(self.root), str(self.root / "src")):
                while path in sys.path:
                    sys.path.remove(path)

    def make(self, answers: Answers | None = None) -> str:
        """Make a revision, apply it, and return its text; afterwards nothing is missing."""
        with self.project() as project:
            made = migrations.makemigrations(project, answers=answers)
            assert made.revision is not None, "nothing was found"
            source = Path(made.revision.path).read_text()
            migrations.migrate(project)
            assert migrations.missing(project) == ()
        return source

    def migrate(self, to: str) -> None:
        with self.project() as project:
            back = [one.revision.id for one in migrations.plan(project, to=to).steps]
            migrations.migrate(project, to=to, reverts=back)

    def run(self, statements: Sequence[str]) -> None:
        engine = create_engine(self.database.url)
        with engine.begin() as connection:
            for one in statements:
                connection.execute(text(one))
        engine.dispose()

    def counts(self) -> dict[str, int]:
        engine = create_engine(self.database.url)
        with engine.connect() as connection:
            found = {
                name: connection.scalar(text(f"SELECT count(*) FROM {name}"))
                for name in tables(connection)
            }
        engine.dispose()
        return found

    def schema(self) -> dict[str, Any]:
        """Return all that the inspector tells of the database."""
        engine = create_engine(self.database.url)
        with engine.connect() as connection:
            looked = inspect(connection)
            found = {name: describe(looked, *split(name)) for name in tables(connection)}
            if self.database.kind == "postgresql":
                found["types"] = looked.get_enums(schema="*")
        engine.dispose()
        return found


def tables(connection: Any) -> list[str]:
    """Return the project's tables, those in a schema of their own with its name."""
    looked = inspect(connection)
    found = looked.get_table_names()
    if connection.dialect.name == "postgresql" and "hr" in looked.get_schema_names():
        found += [f"hr.{one}" for one in looked.get_table_names(schema="hr")]
    return sorted(one for one in found if "dbtasks_" not in one and one != "alembic_version")


def split(name: str) -> tuple[str | None, str]:
    schema, _, table = name.rpartition(".")
    return schema or None, table


def describe(looked: Any, schema: str | None, table: str) -> dict[str, Any]:
    columns = [
        {**one, "type": repr(one["type"])} for one in looked.get_columns(table, schema=schema)
    ]
    try:
        comment = looked.get_table_comment(table, schema=schema)
    except NotImplementedError:
        comment = None
    return {
        "columns": sorted(columns, key=lambda one: one["name"]),
        "key": looked.get_pk_constraint(table, schema=schema)["constrained_columns"],
        "indexes": by_name(
            one
            for one in looked.get_indexes(table, schema=schema)
            if not is_of_a_key(looked, str(one["name"]), one["column_names"])
        ),
        "unique": by_columns(looked.get_unique_constraints(table, schema=schema)),
        "checks": by_text(looked.get_check_constraints(table, schema=schema)),
        "foreign": by_columns(looked.get_foreign_keys(table, schema=schema)),
        "comment": comment,
    }


def is_of_a_key(looked: Any, name: str, columns: Sequence[str]) -> bool:
    """Whether MySQL has made an index for a foreign key, by its name."""
    named = "_ibfk_" in name or name[:3] == "fk_" or [name] == columns
    return looked.dialect.name in ("mysql", "mariadb") and named


def by_name(found: Iterable[Any]) -> list[str]:
    plain = [
        {**one, "dialect_options": {k: str(v) for k, v in one["dialect_options"].items()}}
        if "dialect_options" in one
        else one
        for one in found
    ]
    return sorted(map(repr, plain))


def by_text(found: Sequence[Any]) -> list[str]:
    """Return checks without the casts that PostgreSQL adds at each turn."""
    plain = (re.sub(r"::[a-z ]+(\[\])?", "", one["sqltext"]) for one in found)
    return sorted(re.sub(r"[()\s]", "", one) for one in plain)


def by_columns(found: Sequence[Any]) -> list[str]:
    """Return constraints without their names, which the server may have given."""
    return sorted(repr({k: v for k, v in one.items() if "name" not in k}) for one in found)


def take_modules() -> dict[str, Any]:
    """Take what was imported of the company out of Python, and return it."""
    names = [one for one in sys.modules if one.partition(".")[0] == "company"]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture
def world(company: Path, database: Database) -> World:
    return World(company, database)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    ("database", "case"),
    [
        pytest.param(kind, case, id=f"{kind}-{case.name.replace(' ', '-')}")
        for case in CASES
        for kind in case.on
    ],
    indirect=["database"],
)
def test_an_operation_is_made_applied_and_reversed(case: Case, world: World) -> None:
    head = CONVENTION if case.convention else ""
    world.models(head + case.before)
    world.make()
    world.run(case.rows)
    counted, schema = world.counts(), world.schema()
    world.models(head + case.after)
    answers = Answers(case.renames, case.dropped, case.defaults, case.expressions)
    source = world.make(answers)
    after, changed = world.counts(), world.schema()
    assert {name: after[name] for name in counted if name in after} == {
        name: number for name, number in counted.items() if name in after
    }
    world.migrate("-1")
    assert world.schema() == schema
    assert {**world.counts(), **dict.fromkeys(case.lost, 0)} == {
        **counted,
        **dict.fromkeys(case.lost, 0),
    }
    world.migrate("heads")
    assert world.schema() == changed
    assert all(one in source for one in case.code)
    if world.database.kind == "sqlite" and case.batch is not None:
        upgrade = source.partition("def upgrade")[2].partition("def downgrade")[0]
        assert ("batch_alter_table" in upgrade) == case.batch


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_models_of_another_database_are_not_tried_out(world: World) -> None:
    world.models('table("pay", key(), schema="hr")')
    with world.project() as project, pytest.raises(UsageError) as refused:
        migrations.makemigrations(project)
    assert "another database (hr)" in refused.value.message
    assert "--empty --name NAME" in str(refused.value.hint)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE `hr`.pay (id INT)",
        "INSERT IGNORE INTO hr.pay VALUES (1)",
        "UPDATE hr.pay SET id = 2",
        "DELETE FROM hr.pay",
        "CREATE INDEX ix_pay ON hr.pay (id)",
        "DROP TABLE IF EXISTS hr.pay",
        "DROP DATABASE hr",
        "CREATE TABLE pay (id INT REFERENCES hr.other (id))",
    ],
)
def test_a_history_that_writes_to_another_database_is_not_replayed(
    world: World, statement: str
) -> None:
    world.models(parent())
    world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    path.write_text(
        path.read_text().replace(
            "op.create_table(", f"op.execute({statement!r})\n    op.create_table(", 1
        )
    )
    with world.project() as project, pytest.raises(UsageError) as refused:
        migrations.missing(project)
    assert "another database (hr)" in refused.value.message


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_words_in_a_text_name_no_other_database(world: World) -> None:
    world.models(parent('comment="INSERT INTO hr.pay"'))
    world.make()
    world.run([*ROWS, "UPDATE parent SET parent.name = 'into hr.pay' WHERE parent.id = 1"])


VIEW = "CREATE VIEW names AS SELECT name FROM parent"


def test_a_view_is_left_alone_though_its_table_is_made_anew(world: World) -> None:
    world.models(parent())
    world.make()
    path = next((world.root / "migrations" / "versions").glob("*.py"))
    source = path.read_text().replace(
        "\n\n\ndef downgrade", f"\n    op.execute({VIEW!r})\n\n\ndef downgrade"
    )
    source = source.replace(
        "def downgrade() -> None:", "def downgrade() -> None:\n    op.execute('DROP VIEW names')"
    )
    path.write_text(source)
    world.run([VIEW, *ROWS])
    with world.project() as project:
        assert migrations.missing(project) == ()
    world.models(parent('sa.Column("a", sa.Integer, sa.CheckConstraint("a > 0", name="positive"))'))
    source = world.make()
    assert ("names" in source) == (world.database.kind == "sqlite")  # which renames none else
    engine = create_engine(world.database.url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM names")) == 2
    engine.dispose()
    world.migrate("-1")


@pytest.mark.parametrize(
    "database", [*ALL] if hasattr(sa, "CreateView") else ["sqlite"], indirect=True
)
def test_a_view_among_the_models_is_no_table(world: World) -> None:
    if not hasattr(sa, "CreateView"):  # SQLAlchemy 2.1 has them
        pytest.xfail("SQLAlchemy 2.0 has no views")
    view = 'sa.CreateView(sa.select(Base.metadata.tables["parent"].c.name), "names",'
    world.models(parent() + view + " metadata=Base.metadata)")
    assert "names" not in world.make()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_that_a_table_has_outlives_its_being_made_anew(world: World) -> None:
    had = (
        'sa.Column("boss_id", sa.ForeignKey("parent.id")), sa.CheckConstraint("boss_id <> id"),'
        ' sa.Index("ix_lower", sa.text("lower(name)")), sa.UniqueConstraint("name", "id"),'
        ' sa.Index("ix_part", "name", sqlite_where=sa.text("id > 1"))'
    )
    trigger = (
        "CREATE TRIGGER no_bob AFTER INSERT ON parent WHEN NEW.name = 'at 10:30' "
        "BEGIN DELETE FROM child; END"
    )
    world.models(parent(had))
    world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    escaped = trigger.replace(":", "\\:")
    path.write_text(
        path.read_text().replace(
            "\n\n\ndef downgrade", f"\n    op.execute({escaped!r})\n\n\ndef downgrade"
        )
    )
    world.run([trigger.replace(":", "\\:"), *ROWS])
    before = statements(world)
    world.models(parent(f'{had}, sa.CheckConstraint("length(name) > 1", name="long")'))
    world.make()
    after = statements(world)
    assert "CHECK (boss_id <> id)" in after["parent"]
    assert "REFERENCES parent" in after["parent"].replace('"', "")
    assert {**before, "parent": ""} == {**after, "parent": ""}
    world.migrate("-1")
    assert "CHECK (boss_id <> id)" in statements(world)["parent"]
    assert {*statements(world)} == {*before}
    assert world.counts() == {"parent": 2, "child": 3}


def statements(world: World) -> dict[str, str]:
    """Return what SQLite keeps of all that there is, without our own tables."""
    engine = create_engine(world.database.url)
    asked = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%dbtasks%' AND sql <> ''"
    with engine.connect() as connection:
        found = {str(name): str(sql) for name, sql in connection.exec_driver_sql(asked)}
    engine.dispose()
    return found
