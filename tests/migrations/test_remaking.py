"""What a table of SQLite has that is made anew, and SQLAlchemy does not reflect."""

import re

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from cases import ROWS, parent
from dbtasks import migrations
from dbtasks.errors import DbtasksError
from dbtasks.migrations.making.questions import Answers
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
    assert {"z VARCHAR(9) COLLATE NOCASE", "UNIQUE (z)", "n VARCHAR(9)"} <= parts(after["t"])
    assert "UNIQUE (c, z COLLATE RTRIM)" in after["t"]
    assert "ON DELETE CASCADE" in after["t"]
    assert rows(world, "SELECT * FROM t") == [(1, "x", None, 1, None)]


@pytest.mark.parametrize("place", ["(abs(c))", "(c)", "(a DESC, c)", "(a) WHERE c > 0"])
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


BY_OTHERS = """
CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, "A" VARCHAR(9) CHECK (a <> 'at 10\\:30') UNIQUE,
  b VARCHAR(9) NOT NULL COLLATE NOCASE UNIQUE ON CONFLICT REPLACE, -- the way others write it
  c INTEGER REFERENCES parent (id) ON UPDATE SET NULL ON DELETE CASCADE
    DEFERRABLE INITIALLY DEFERRED,
  n INTEGER, CHECK (n <> c), UNIQUE (b COLLATE RTRIM, n),
  CONSTRAINT "x y" FOREIGN KEY (n) REFERENCES parent ON DELETE SET DEFAULT)
"""
LEFT = {
    "A VARCHAR(9)",
    "b VARCHAR(9) COLLATE NOCASE NOT NULL",
    "UNIQUE (A)",
    "UNIQUE (b) ON CONFLICT REPLACE",
    "UNIQUE (b COLLATE RTRIM, n)",
    "CHECK (a <> 'at 10:30')",
    "CHECK (n <> c)",
    "FOREIGN KEY(c) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE SET NULL"
    " DEFERRABLE INITIALLY DEFERRED",
    "FOREIGN KEY(n) REFERENCES parent (id) ON DELETE SET DEFAULT",
}


def test_a_table_that_others_have_made_keeps_its_constraints(world: World) -> None:
    small = SMALL.replace('"a"', '"A"')
    world.models(parent() + small.format("Integer", ""))
    world.make()
    world.run(["DROP TABLE t", BY_OTHERS, *ROWS, "INSERT INTO t (b, c, n) VALUES ('x', 1, 2)"])
    world.models(parent() + small.format("String(9)", ""))
    world.make()
    after = parts(statements(world)["t"])
    assert after >= LEFT
    world.migrate("-1")
    assert parts(statements(world)["t"]) >= LEFT
    assert parts(statements(world)["t"]) - after == {"n INTEGER"}
    assert rows(world, "SELECT * FROM t") == [(1, None, "x", 1, 2)]
