"""squashmigrations --optimize: what is folded, what is not, and that it comes out the same."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect

from conftest import Database, Result
from dbtasks import Project, migrations
from dbtasks.errors import Refused
from dbtasks.migrations.squashing.folding import fold
from trees import FIRST, add_revision

Inv = Callable[..., Result]

KEY = 'sa.Column("id", sa.Integer(), primary_key=True)'

ADDING = f"""
op.add_column("employee", sa.Column("email", sa.String(50)))
op.add_column("employee", sa.Column("gone", sa.String(50)))
op.create_index("ix_gone", "employee", ["gone"])
op.create_table("log", {KEY})
"""

TAKING_AWAY = """
op.drop_table("log")
op.drop_index("ix_gone", table_name="employee")
with op.batch_alter_table("employee") as batch_op:
    batch_op.drop_column("gone")
    batch_op.drop_column("email")
"""

CHANGING = """
op.drop_index("ix_gone", table_name="employee")
with op.batch_alter_table("employee") as batch_op:
    batch_op.alter_column("email", existing_type=sa.String(50), type_=sa.String(80), nullable=False)
    batch_op.alter_column("name", new_column_name="full_name", **NAME)
    batch_op.drop_column("gone")
op.drop_table("log")
"""

CHANGING_BACK = f"""
op.create_table("log", {KEY})
with op.batch_alter_table("employee") as batch_op:
    batch_op.add_column(sa.Column("gone", sa.String(50)))
    batch_op.alter_column("full_name", new_column_name="name", **NAME)
    batch_op.alter_column("email", existing_type=sa.String(80), type_=sa.String(50), nullable=True)
op.create_index("ix_gone", "employee", ["gone"])
"""


NAME = "existing_type=sa.String(100), existing_nullable=False"
CHANGING, CHANGING_BACK = (one.replace("**NAME", NAME) for one in (CHANGING, CHANGING_BACK))


@pytest.fixture
def history(company: Path) -> Path:
    """Return the reference project with what is made, changed, and taken away again."""
    add_revision(company, "0002_add", ADDING, downgrade=TAKING_AWAY)
    add_revision(company, "0003_change", CHANGING, downgrade=CHANGING_BACK, after="0002_add")
    return company


def test_what_can_be_folded(history: Path, project: Project) -> None:
    squashed = migrations.squashmigrations(project, first=FIRST, last="0003", optimize=True)
    assert set(re.findall(r"op\.(\w+)", squashed.text)) == {"create_table", "drop_table"}
    assert squashed.text.count("create_table") == 2
    assert re.findall(r"^# -- (\S+)", squashed.text, re.MULTILINE) == [FIRST]
    assert "alter_column employee.email, into create_table employee" in squashed.folded
    migrations.migrate(project)
    with project.connect() as connection:
        columns = inspect(connection).get_columns("employee")
        assert [one["name"] for one in columns] == ["id", "full_name", "dept_id", "email"]
        assert [one["nullable"] for one in columns] == [False] * 4
    migrations.migrate(project, to="base")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_fold_that_comes_out_otherwise(company: Path, project: Project) -> None:
    """The server names the constraint by the column, and keeps the name when that is renamed."""
    made = f'op.create_table("t", {KEY}, sa.Column("a", sa.Integer(), unique=True))'
    add_revision(company, "0002_t", made, downgrade='op.drop_table("t")')
    renamed = 'op.alter_column("t", "a", new_column_name="b")'
    back = 'op.alter_column("t", "b", new_column_name="a")'
    add_revision(company, "0003_b", renamed, downgrade=back, after="0002_t")
    with pytest.raises(Refused, match="t_a_key") as refused:
        migrations.squashmigrations(project, first="0002", last="0003", optimize=True)
    assert "leave out --optimize" in str(refused.value.hint)
    migrations.squashmigrations(project, first="0002", last="0003")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_says_where_nothing_folds(company: Path, inv: Inv, database: Database) -> None:
    email = 'op.add_column("department", sa.Column("email", sa.String(50)))'
    execute = "op.execute(\"INSERT INTO department (name) VALUES ('A')\")"
    add_revision(company, "0002_row", execute)
    away = 'op.drop_column("department", "email")'
    add_revision(company, "0003_email", email, downgrade=away, after="0002_row")
    env = {"DATABASE_URL": database.url}
    words = ("squashmigrations", "--from", FIRST, "--to", "0003")
    plain = inv(*words, "--dry-run", env=env)
    done = inv(*words, "--optimize", env=env)
    assert done.code == 0, done
    assert "Nothing folds. Nothing is moved past upgrade_0002_row." in done.err
    written = company / "migrations" / "versions" / "0003_email.py"
    assert written.read_text() == plain.out


CODE = """
from alembic import op
import sqlalchemy as sa


def upgrade():
    one()


def downgrade():
    pass


def one():
    {}
"""

TABLE = f'op.create_table("t", {KEY}, sa.Column("a", sa.Integer()))'

KEPT = {
    "the referred table comes later": (
        TABLE,
        f'op.create_table("u", {KEY})',
        'op.add_column("t", sa.Column("u_id", sa.ForeignKey("u.id")))',
    ),
    "data between": (
        TABLE,
        'op.execute("INSERT INTO t (a) VALUES (1)")',
        'op.add_column("t", sa.Column("b", sa.Integer()))',
    ),
    "another schema": (TABLE, 'op.add_column("t", sa.Column("b", sa.Integer()), schema="s")'),
    "a name that is made": (TABLE, 'op.add_column(f"t", sa.Column("b", sa.Integer()))'),
    "a column that is used": (
        f'op.create_table("t", {KEY}, sa.Column("a", sa.Integer()), sa.Index("i", "a"))',
        'op.drop_column("t", "a")',
    ),
    "a table that is referred to": (
        TABLE,
        f'op.create_table("u", {KEY}, sa.Column("t_id", sa.ForeignKey("t.id")))',
        'op.drop_table("t")',
    ),
    "an index on it": (
        TABLE,
        'op.create_index("i", "t", ["a"])',
        'op.alter_column("t", "a", new_column_name="b")',
    ),
    "another table's": (TABLE, 'op.add_column("u", sa.Column("b", sa.Integer()))'),
    "renamed": (
        TABLE,
        'op.rename_table("t", "u")',
        TABLE.replace('"t"', '"x"'),
        'op.add_column("u", sa.Column("b", sa.Integer()))',
    ),
    "a value of its own": (
        TABLE,
        "kind = sa.Integer()",
        'op.add_column("t", sa.Column("b", kind))',
    ),
}


@pytest.mark.parametrize("statements", KEPT.values(), ids=KEPT)
def test_what_is_not_folded(statements: tuple[str, ...]) -> None:
    text = CODE.format("\n    ".join(statements))
    assert fold(text).folded == ()
    assert fold(text).text == text


FOLDED = {
    "a default, and away with it": (
        (
            TABLE,
            'op.alter_column("t", "a", server_default="1", comment="c")',
            'op.alter_column("t", "a", server_default=None, nullable=False)',
        ),
        [TABLE.replace("sa.Integer()))", 'sa.Integer(), comment="c", nullable=False))')],
    ),
    "a column of a column": (
        (
            'op.add_column("t", sa.Column("a", sa.Integer()))',
            'op.alter_column("t", "a", new_column_name="b", type_=sa.Text())',
        ),
        ['op.add_column("t", sa.Column("b", sa.Text()))'],
    ),
    "all": (
        (TABLE, 'op.add_column("t", sa.Column("b", sa.Text()))', 'op.drop_table("t")'),
        [],
    ),
    "on both sides of data": (
        (
            TABLE,
            'op.add_column("t", sa.Column("b", sa.Text()))',
            'op.execute("UPDATE t SET b = 1")',
            'op.add_column("t", sa.Column("c", sa.Text()))',
            'op.drop_column("t", "c")',
        ),
        [
            TABLE.replace("sa.Integer()))", 'sa.Integer()), sa.Column("b", sa.Text()))'),
            'op.execute("UPDATE t SET b = 1")',
        ],
    ),
}


@pytest.mark.parametrize(("statements", "left"), FOLDED.values(), ids=FOLDED)
def test_what_is_folded(statements: tuple[str, ...], left: list[str]) -> None:
    text = fold(CODE.format("\n    ".join(statements))).text
    flat = re.sub(r"\(\s+|,?\s+(?=\))", lambda one: one[0].strip(" ,\n"), text)
    flat = re.sub(r"\s+", " ", flat)
    compile(text, "folded", "exec")
    if left:
        assert flat.endswith("def one(): " + " ".join(left) + " ")
    else:
        assert "op." not in flat
        assert flat.endswith("def upgrade(): pass def downgrade(): pass ")
