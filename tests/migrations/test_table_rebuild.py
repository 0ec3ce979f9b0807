"""What a table of SQLite has that is made anew, and SQLAlchemy does not reflect."""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from cases import ROWS, Case, parent
from conftest import Database
from dbtasks import Project, migrations
from dbtasks.engines.sqlite.introspection import TABLE_OPTIONS
from dbtasks.errors import DbtasksError
from dbtasks.migrations.autogenerate.answers import Answers
from groups import faults_of
from trees import FIRST, add_revision
from worlds import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

MODEL = """
table("t",
    sa.Column("id", sa.Integer, primary_key=True, sqlite_on_conflict_primary_key="FAIL"),
    sa.Column("a", sa.String(20, collation="NOCASE"), unique=True),
    sa.Column("b", sa.String(9), unique=True, sqlite_on_conflict_unique="REPLACE"),
    sa.Column("c", sa.Integer, nullable=False, server_default="3",
        sqlite_on_conflict_not_null="REPLACE"),
    sa.UniqueConstraint("b", "c", name="both", sqlite_on_conflict="IGNORE"),
    sa.Index("ix_a", sa.text('b COLLATE NOCASE DESC'), "c"),{}
    sqlite_autoincrement=True)
"""
NUMBERED = (
    "INSERT INTO t (a, b) VALUES ('x', '1'), ('y', '2')",
    "INSERT INTO t (id, a, b) VALUES (9, 'z', '3')",
    "DELETE FROM t WHERE id = 9",
)
KEPT = (
    "PRIMARY KEY ON CONFLICT FAIL AUTOINCREMENT",
    "a VARCHAR(20) COLLATE NOCASE",
    "NOT NULL ON CONFLICT REPLACE",
    "UNIQUE (b) ON CONFLICT REPLACE",
    "UNIQUE (b, c) ON CONFLICT IGNORE",
)


BY_HAND = (
    "CREATE INDEX by_size ON t (abs(c))",
    "CREATE UNIQUE INDEX by_both ON t (n DESC, lower(a)) WHERE c > 0",
    "CREATE INDEX by_n ON t (n DESC, a) WHERE n > 0",
    'CREATE INDEX by_b ON t (b COLLATE "RTRIM")',
)
SMALL = """
table("t", key(), sa.Column("a", sa.String(9)), sa.Column("b", sa.String(9)),
    sa.Column("c", sa.Integer), sa.Column("n", sa.{}){})
"""


def test_indexes_that_only_the_database_has_outlive_a_table_made_anew(world: World) -> None:
    world.models(SMALL.format("Integer", ""))
    world.make()
    world.run([*BY_HAND, "INSERT INTO t (a, b, c, n) VALUES ('x', 'y', 1, 2)"])
    before = statements(world)
    world.models(SMALL.format("String(9)", ""))
    world.make()
    assert {**statements(world), "t": ""} == {**before, "t": ""}
    world.migrate("-1")
    assert {**statements(world), "t": ""} == {**before, "t": ""}
    assert world.counts() == {"t": 1}


DROPPED = 'op.execute("DROP INDEX by_size")'
MADE_AGAIN = (
    'op.execute("CREATE INDEX by_size ON t (abs(c))")',
    'op.create_index("by_size", "t", [sa.text("abs(c)")])',
)


@pytest.mark.parametrize("again", MADE_AGAIN, ids=["execute", "create_index"])
def test_a_revision_makes_an_index_again_by_itself(world: World, again: str) -> None:
    """It had to: the index went with the old table."""
    index = ", sa.Index('by_size', sa.text('abs(c)'))"
    world.models(SMALL.format("Integer", index))
    world.make()
    world.models(SMALL.format("String(9)", index))
    source = world.make()
    assert source.count(MADE_AGAIN[0]) == source.count(DROPPED) == 2
    (path,) = (world.root / "migrations" / "versions").glob("0002*.py")
    source = source.replace(DROPPED, "pass")
    path.write_text(source.replace(MADE_AGAIN[0], again))
    world.migrate("-1")
    world.run(["INSERT INTO t (c) VALUES (1)"])
    world.migrate("heads")
    assert "by_size" in statements(world)
    assert world.counts() == {"t": 1}


BY_ONE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(9) COLLATE NOCASE UNIQUE, b INTEGER REFERENCES t
  ON DELETE CASCADE, c INTEGER, n INTEGER, UNIQUE (c, a COLLATE RTRIM))
"""
RENAMED = """
    with op.batch_alter_table("t") as batch_op:
        batch_op.alter_column("a", new_column_name="z")
        batch_op.alter_column("n", type_=sa.String(9))
        batch_op.drop_index("by_c")
        batch_op.create_index("by_c", ["c", "n"])


def downgrade"""


def test_a_revision_written_by_hand_renames_a_column_and_changes_an_index(world: World) -> None:
    world.models(SMALL.format("Integer", ""))
    source = world.make()
    (path,) = (world.root / "migrations" / "versions").glob("*.py")
    second = source.replace(path.stem, "0002_by_hand").replace("= None", f"= {path.stem!r}", 1)
    head = second[: second.index("def upgrade")] + "def upgrade() -> None:"
    (path.parent / "0002_by_hand.py").write_text(f"{head}{RENAMED}() -> None:\n    pass\n")
    made = ("CREATE INDEX by_a ON t (a DESC)", "CREATE INDEX by_c ON t (c DESC)")
    world.run(["DROP TABLE t", BY_ONE, *made, "INSERT INTO t (a, c) VALUES ('x', 1)"])
    with world.project() as project:
        migrations.migrate(project)
    after = statements(world)
    assert after["by_a"] == "CREATE INDEX by_a ON t (z DESC)"
    assert after["by_c"] == "CREATE INDEX by_c ON t (c, n)"
    assert {"z VARCHAR(9) COLLATE NOCASE UNIQUE", "n VARCHAR(9)"} <= parts(after["t"])
    assert "UNIQUE (c, z COLLATE RTRIM)" in after["t"]
    assert "ON DELETE CASCADE" in after["t"]
    assert rows(world, "SELECT * FROM t") == [(1, "x", None, 1, None)]


@pytest.mark.parametrize("place", ["(c)", "(a DESC, c)", "(a) WHERE c > 0"])
def test_a_column_does_not_go_that_an_index_needs(world: World, place: str) -> None:
    world.models(SMALL.format("Integer", ""))
    world.make()
    world.run([f"CREATE INDEX by_size ON t {place}", "INSERT INTO t (c) VALUES (1)"])
    before = statements(world)
    world.models(SMALL.format("Integer", "").replace('sa.Column("c", sa.Integer), ', ""))
    with world.project() as project:
        migrations.makemigrations(project)
        with pytest.raises(DbtasksError, match=r"by_size .* no such column: c") as failed:
            migrations.migrate(project)
    assert failed.value.exit_code == 3
    assert "rolled back" in failed.value.state
    assert statements(world) == before


def test_a_table_made_anew_keeps_its_collations_its_conflicts_and_its_numbers(
    world: World,
) -> None:
    world.models(MODEL.format(""))
    world.make()
    world.run(NUMBERED)
    before = statements(world)
    assert all(one in before["t"] for one in KEPT)
    world.models(MODEL.format('\n    sa.CheckConstraint("c > 0", name="positive"),'))
    world.make()
    after = statements(world)
    assert parts(after["t"]) - parts(before["t"]) == {"CONSTRAINT positive CHECK (c > 0)"}
    assert all(one in after["t"] for one in KEPT)
    assert after["ix_a"] == before["ix_a"]
    world.migrate("-1")
    assert {one: parts(sql) for one, sql in statements(world).items()} == {
        one: parts(sql) for one, sql in before.items()
    }
    assert rows(world, "SELECT id, a FROM t") == [(1, "x"), (2, "y")]
    world.run(["INSERT INTO t (a, b, c) VALUES ('w', '5', NULL), ('v', '1', 7), ('u', '2', 3)"])
    assert rows(world, "SELECT id, a, b, c FROM t") == [
        (2, "y", "2", 3),
        (10, "w", "5", 3),
        (11, "v", "1", 7),
    ]
    with pytest.raises(DBAPIError):
        world.run(["INSERT INTO t (a) VALUES ('Y')"])


def parts(sql: str) -> set[str]:
    """Return the columns and constraints of a table, which come in any order."""
    return {*re.split(r", (?![^(]*\))", sql.partition("(")[2].rpartition(")")[0].strip())}


def statements(world: World) -> dict[str, str]:
    """Return what SQLite keeps of the project's own, on one line each, without quotes."""
    asked = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%dbtasks%' AND sql <> ''"
    found = (
        (name, re.sub(r'"|CONSTRAINT uq_t_. ', "", str(sql))) for name, sql in rows(world, asked)
    )
    return {str(name): " ".join(sql.split()) for name, sql in found}


def rows(world: World, sql: str) -> list[tuple[object, ...]]:
    engine = create_engine(world.database.url)
    with engine.connect() as connection:
        found = [tuple(one) for one in connection.execute(text(sql))]
    engine.dispose()
    return found


WITHOUT_C = r"""(?s)sa.Column\("c".*?\),\n|sa.Uniq.*ix_a.*\),"""


@pytest.mark.parametrize(
    ("after", "answers"),
    [
        ("", Answers(dropped=["t"])),
        (MODEL.format("").replace("String(20, ", "String(25, "), Answers()),
        (MODEL.format("").replace('String(20, collation="NOCASE")', "Text"), Answers()),
        (re.sub(r'sa.UniqueConstraint\("b".*?\),', "", MODEL.format("")), Answers()),
        (
            re.sub(r'(?s)sa.Column\("c".*?\),\n|sa.Uniq.*?ix_a.*\),', "", MODEL.format("")),
            Answers(),
        ),
        (re.sub(r'sa.Column\("a".*?\n', "", MODEL.format("")), Answers()),
    ],
    ids=["table", "longer", "text", "unique", "column", "collated"],
)
def test_the_way_back_makes_it_as_it_was(world: World, after: str, answers: Answers) -> None:
    world.models(parent() + MODEL.format(""))
    world.make()
    world.run([*ROWS, *NUMBERED])
    before = statements(world)
    world.models(parent() + after)
    world.make(answers)
    world.migrate("-1")
    assert {one: parts(sql) for one, sql in statements(world).items()} == {
        one: parts(sql) for one, sql in before.items()
    }


def test_the_check_of_a_type_goes_with_it(world: World) -> None:
    model = 'table("t", key(), sa.Column("f", sa.{}), sa.CheckConstraint("f <> 7"))'
    world.models(model.format("Boolean(create_constraint=True)"))
    world.make()
    world.run(["INSERT INTO t (f) VALUES (1)"])
    world.models(model.format("Integer"))
    assert "IN (0, 1)" not in world.make().partition("def downgrade")[0]
    world.run(["UPDATE t SET f = 5"])
    with pytest.raises(DBAPIError, match="f <> 7"):
        world.run(["UPDATE t SET f = 7"])
    world.run(["UPDATE t SET f = 1"])
    world.migrate("-1")
    assert rows(world, "SELECT * FROM t") == [(1, 1)]


BY_OTHERS = """
CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, "A" VARCHAR(9) CHECK (a <> 'at 10\\:30') UNIQUE,
  b VARCHAR(9) NOT NULL COLLATE NOCASE UNIQUE ON CONFLICT REPLACE, -- the way others write it
  c INTEGER REFERENCES parent (id) ON UPDATE SET NULL ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED,
  n INTEGER, CHECK (n <> c), UNIQUE (b COLLATE RTRIM, n),
  CONSTRAINT "x y" FOREIGN KEY (n) REFERENCES parent ON DELETE SET DEFAULT)
"""


def test_a_table_that_others_have_made_keeps_its_constraints(world: World) -> None:
    small = SMALL.replace('"a"', '"A"')
    world.models(parent() + small.format("Integer", ""))
    world.make()
    world.run(["DROP TABLE t", BY_OTHERS, *ROWS, "INSERT INTO t (b, c, n) VALUES ('x', 1, 2)"])
    world.models(parent() + small.format("String(9)", ""))
    world.make()
    written = " ".join(BY_OTHERS.replace('"', "").replace("\\:", ":").split())
    assert statements(world)["t"] == written.replace("n INTEGER", "n VARCHAR(9)")
    world.migrate("-1")
    assert statements(world)["t"] == written
    assert rows(world, "SELECT * FROM t") == [(1, None, "x", 1, 2)]


def batch(*lines: str, options: str = "") -> str:
    return "\n".join(
        [f'with op.batch_alter_table("t"{options}) as batch:', *map("    {}".format, lines)]
    )


LOWER = 'op.create_index("by_lower", "t", [sa.text("lower(s)")], unique=True)'
ANEW = 'batch.alter_column("n", nullable=False)'
FLAG = ', reflect_args=[sa.Column("f", sa.Boolean({}))], recreate="always"'
TWO, THREE = (f"sa.Enum({one}, create_constraint=True)" for one in ("*'ab'", "*'abc'"))

HISTORIES = {
    "a column renamed, and its check": (
        'sa.CheckConstraint("n > 0")',
        [batch('batch.alter_column("n", new_column_name="m")')],
        {"INSERT INTO t (m) VALUES (1)": True, "INSERT INTO t (m) VALUES (0)": False},
    ),
    "a check that takes the place of another": (
        'sa.CheckConstraint("n > 5")',
        [batch('batch.create_check_constraint("positive", "n > 0")')],
        {"INSERT INTO t (n) VALUES (3)": True, "INSERT INTO t (n) VALUES (0)": False},
    ),
    "a check that names its table": (
        'sa.CheckConstraint("t.n > 0")',
        [batch(ANEW)],
        {"INSERT INTO t (n) VALUES (1)": True, "INSERT INTO t (n) VALUES (0)": False},
    ),
    "an enum with one more": (
        f'sa.Column("k", {TWO})',
        [batch(f'batch.alter_column("k", type_={THREE})')],
        {"INSERT INTO t (k) VALUES ('c')": True, "INSERT INTO t (k) VALUES ('d')": False},
    ),
    "an enum that is text from now on": (
        f'sa.Column("k", {TWO})',
        [batch('batch.alter_column("k", type_=sa.String(20))')],
        {"INSERT INTO t (k) VALUES ('d')": True},
    ),
    "a boolean that counts from now on": (
        'sa.Column("f", sa.Boolean(create_constraint=True))',
        [batch('batch.alter_column("f", type_=sa.Integer)')],
        {"INSERT INTO t (f) VALUES (5)": True},
    ),
    "a boolean said again": (
        'sa.Column("f", sa.Boolean(create_constraint=True))',
        [batch("pass", options=FLAG.format("create_constraint=True"))] * 3,
        {"INSERT INTO t (f) VALUES (5)": False},
    ),
    "a boolean said to have no check": (
        'sa.Column("f", sa.Boolean(create_constraint=True))',
        [batch("pass", options=FLAG.format(""))],
        {"INSERT INTO t (f) VALUES (5)": True},
    ),
    "a column dropped, and its index": (LOWER, [batch('batch.drop_column("s")')], {}),
    "a column renamed, and its index": (
        LOWER,
        [batch('batch.alter_column("s", new_column_name="z")')],
        {"INSERT INTO t (z) VALUES ('a'), ('A')": False},
    ),
    "an index made again by the connection": (
        LOWER,
        [batch(ANEW), 'op.get_bind().execute(sa.text("CREATE INDEX by_lower ON t (lower(s))"))'],
        {"INSERT INTO t (n, s) VALUES (1, 'a'), (1, 'A')": True},
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_histories_that_were_written_for_alembic(
    company: Path, project: Project, name: str
) -> None:
    item, changes, statements_ = HISTORIES[name]
    made = [] if item is LOWER else [item]
    columns = ('sa.Column("n", sa.Integer)', 'sa.Column("s", sa.String(9))', *made)
    create = (
        f'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), {", ".join(columns)})'
    )
    row = "op.execute(\"INSERT INTO t (n, s) VALUES (7, 'x')\")"
    body = "\n".join([create, *([LOWER] if item is LOWER else []), row])
    add_revision(company, "0002_made", body, after=FIRST)
    add_revision(company, "0003_changed", "\n".join(changes), after="0002_made")
    migrations.migrate(project)
    for statement, taken in statements_.items():
        with project.connect(writes=True) as connection:
            try:
                connection.exec_driver_sql(statement)
            except IntegrityError:
                assert not taken, statement
            else:
                assert taken, statement
    with project.connect() as connection:
        sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 't'").scalar()
        assert connection.exec_driver_sql("SELECT id FROM t WHERE id = 1").scalar() == 1
    assert str(sql).count("CHECK") <= 1


@pytest.mark.parametrize("recreate", ["auto", "always"])
def test_each_of_two_unique_outlives_a_rebuild(world: World, recreate: str) -> None:
    twins = ", ".join(
        f"""sa.UniqueConstraint("A", "b", name="{name}")""" for name in ("uq a", "uq_b", "Uq_c")
    )
    world.models(f'table("t", key(), sa.Column("A", sa.Text), sa.Column("b", sa.Text), {twins})')
    world.make()
    options = f'recreate="{recreate}"'
    code = f'with op.batch_alter_table("t", {options}) as batch_op:\n    batch_op.'
    (head,) = world.root.glob("migrations/versions/*.py")
    add_revision(
        world.root,
        "0002_a",
        f'{code}alter_column("b", nullable=False)\n{code}drop_constraint("uq_b", type_="unique")'
        if recreate == "auto"
        else f'{code}alter_column("b", nullable=False)',
        after=head.stem,
    )
    world.migrate("0002_a")
    made = statements(world)["t"]
    assert ("uq_b" in made) is (recreate == "always"), made
    assert "uq a" in made
    assert "Uq_c" in made


QUOTED = """
table({table!r}, key(), sa.Column("id2", sa.Integer, unique=True))
table("t{number}", key(), sa.Column("a", sa.String({length})), sa.Column({column!r}, sa.Integer),
    sa.CheckConstraint("id > 0", name={check!r}),
    sa.UniqueConstraint({column!r}, name={unique!r}),
    sa.ForeignKeyConstraint([{column!r}], [{table!r} + ".id"], name={reference!r}))
"""
QUOTES = ('"', "'", "`", "]", '""')
NAMES = {
    "table": "p",
    "column": "b",
    "check": "ck",
    "unique": "uq",
    "reference": "fk",
}


def test_names_with_quotes_outlive_a_table_made_anew(world: World) -> None:
    """They are not reflected with the quotes doubled: the next change would not find them."""
    cases = [
        {
            name: f"{value}{number}{quote}x" if changed in (name, "all") else f"{value}{number}"
            for name, value in NAMES.items()
        }
        | {"number": f"{number}"}
        for number, (changed, quote) in enumerate(product([*NAMES, "all"], QUOTES))
    ]
    models = lambda length: "".join(QUOTED.format(**names, length=length) for names in cases)  # noqa: E731
    world.models(models(9))
    world.make()
    before = world.snapshot()
    for length in (20, 30):
        world.models(models(length))
        world.make()
        assert set(world.snapshot()) == set(before)
    schema = world.schema()
    world.migrate("-2")
    world.migrate("heads")
    assert (set(world.snapshot()), world.schema()) == (set(before), schema)


def test_sqlalchemy_still_doubles_quotes_in_names(world: World) -> None:
    """Where this fails, SQLAlchemy reads such names itself, and ours need no correction."""
    world.run(['CREATE TABLE t (id INTEGER, CONSTRAINT "ck""x" CHECK (id > 0))'])
    engine = create_engine(world.database.url)
    assert [one["name"] for one in inspect(engine).get_check_constraints("t")] == ['ck""x']
    engine.dispose()


def test_two_references_of_a_column_keep_their_own_names(world: World) -> None:
    world.models(parent() + 'table("q", key())\n' + SMALL.format("Integer", ""))
    world.make()
    world.run(
        [
            "DROP TABLE t",
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a VARCHAR(9), b VARCHAR(9),"
            " c INTEGER REFERENCES parent, n INTEGER,"
            " CONSTRAINT named FOREIGN KEY (c) REFERENCES q)",
        ]
    )
    world.models(parent() + 'table("q", key())\n' + SMALL.format("String(9)", ""))
    world.make()
    keys = {part for part in parts(statements(world)["t"]) if "REFERENCES" in part}
    assert keys == {
        "c INTEGER REFERENCES parent",
        "CONSTRAINT named FOREIGN KEY (c) REFERENCES q",
    }


OPTIONS = 'table("o", key())\ntable("t", key(), sa.Column("c", sa.{}){})'
PLAIN = OPTIONS.format("String(9)", "")
WITH = [
    OPTIONS.format("Text", ", sqlite_strict=True"),
    OPTIONS.format("Text", ", sqlite_with_rowid=False"),
    OPTIONS.format("Text", ", sqlite_autoincrement=True"),
    OPTIONS.format("Text", ", sqlite_with_rowid=False, sqlite_strict=True"),
    'table("o", key())',
]


OTHERS = [
    *((PLAIN, options) for options in WITH[:3]),
    *((WITH[1], options) for options in WITH if options != WITH[1]),
    *((options, PLAIN) for options in WITH[:4]),
    (WITH[3], WITH[4]),
]


def test_a_table_gets_other_options_and_its_own_back(
    request: pytest.FixtureRequest, tmp_path: Path, database: Database
) -> None:
    cases = [
        Case(
            str((old, new)),
            *(old, new),
            rows=["INSERT INTO t (id, c) VALUES (3, 'x')"],
            dropped=[] if '"t"' in new else ["t"],
        )
        for old, new in OTHERS
        # SQLAlchemy before 2.0.37 has no STRICT.
        if "strict" in TABLE_OPTIONS or "strict" not in f"{old}{new}"
    ]
    assert faults_of(request, tmp_path, database.kind, cases, check_states) == {}


UNIQUE = """
table("t", key(), sa.Column("c", sa.String({}), unique=True),
    sa.Index("ix", sa.desc("c"), unique=True){})
"""
SECOND, BOTH = (
    "".join(f', sa.UniqueConstraint("c", name="{name}")' for name in names)
    for names in (["second"], ["first", "second"])
)
FIRST_ONLY = ', sa.UniqueConstraint("c", name="first")'


def test_a_unique_without_a_name_outlives_those_with_one(
    request: pytest.FixtureRequest, tmp_path: Path, database: Database
) -> None:
    cases = [
        Case(str((old, new)), UNIQUE.format(20, old), UNIQUE.format(60, new))
        for old, new in (
            *((FIRST_ONLY, BOTH), (BOTH, FIRST_ONLY)),
            *((FIRST_ONLY, SECOND), (SECOND, BOTH)),
        )
    ]
    assert faults_of(request, tmp_path, database.kind, cases, check_states) == {}


def check_states(world: World, cases: Sequence[Case]) -> None:
    """Lead from one state to another, back, and there again."""
    world.models("\n".join(case.before for case in cases))
    world.make()
    world.run([row for case in cases for row in case.rows])
    before = world.schema()
    world.models("\n".join(case.after for case in cases))
    world.make(Answers(dropped=[name for case in cases for name in case.dropped]))
    after = world.schema()
    world.migrate("-1")
    assert world.schema() == before
    world.migrate("heads")
    assert world.schema() == after
