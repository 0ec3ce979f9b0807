"""squashmigrations --optimize: what is folded, what is not, and that it comes out the same."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect

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


def test_a_column_that_was_added_beside_rows(company: Path, project: Project) -> None:
    filled = """
op.add_column("department", sa.Column("{0}", sa.String(9), server_default="x", nullable=False))
with op.batch_alter_table("department") as batch_op:
    batch_op.alter_column("{0}", existing_type=sa.String(9), existing_nullable=False, {1})
"""
    back = """
with op.batch_alter_table("department") as batch_op:
    batch_op.drop_column("{}")
"""
    row = "op.execute(\"INSERT INTO department (name, motto) VALUES ('A', 'B')\")"
    first, second = (filled.format(one, "server_default=None") for one in ("motto", "code"))
    add_revision(company, "0002_motto", first + row, downgrade=back.format("motto"))
    add_revision(company, "0003_code", second, downgrade=back.format("code"), after="0002_motto")
    squashed = migrations.squashmigrations(project, first=FIRST, last="0003", optimize=True)
    assert "alter_column department.motto, into create_table department" in squashed.folded
    assert not any("department.code" in one for one in squashed.folded)


OLDER = {
    "another type by way of the old": (
        'sa.Column("rate", sa.Float(), server_default="0.1")',
        'alter_column("rate", type_=sa.Double(), existing_type=sa.Float(), '
        "existing_server_default='0.1')",
    ),
    "values of the cast": (
        'sa.Column("rate", sa.String(9))',
        'alter_column("rate", type_=sa.String(20), existing_type=sa.String(9), '
        "postgresql_using=\"coalesce(rate, 'x')\")",
    ),
    "another default by way of the old": (
        'sa.Column("rate", sa.Integer(), server_default="1")',
        'alter_column("rate", existing_type=sa.Integer(), server_default="2")',
    ),
    "a name that changes the type on the way": (
        'sa.Column("rate", sa.Float(), server_default="1.5")',
        'alter_column("rate", new_column_name="grade", existing_type=sa.Integer(), '
        "existing_server_default='1.5')\n"
        'with op.batch_alter_table("department") as batch_op:\n    '
        'batch_op.alter_column("grade", type_=sa.Float(), existing_type=sa.Integer(), '
        "existing_server_default='1.5')",
    ),
}


@pytest.mark.parametrize(("added", "altered"), OLDER.values(), ids=OLDER)
def test_rows_of_a_database_from_before(
    added: str, altered: str, company: Path, project: Project
) -> None:
    """They get their values by what is added, and what these become by what is altered."""
    batch = 'with op.batch_alter_table("department") as batch_op:\n    batch_op.{}'
    name = "grade" if "grade" in altered else "rate"
    add_revision(company, "0002_rate", f'op.add_column("department", {added})', downgrade="pass")
    back = batch.format(f'drop_column("{name}")')
    add_revision(company, "0003_more", batch.format(altered), downgrade=back, after="0002_rate")
    add_revision(company, "0004_last", after="0003_more")
    outcomes = []
    for squash in (False, True):
        migrations.migrate(project, to=FIRST)
        if squash:
            migrations.squashmigrations(project, first="0002", last="0004", optimize=True)
        else:
            with project.connect(writes=True) as connection:
                connection.execute(sqlalchemy.text("INSERT INTO department (name) VALUES ('A')"))
        migrations.migrate(project)
        with project.connect() as connection:
            rows = connection.execute(sqlalchemy.text("SELECT * FROM department")).all()
            close = f"SELECT count(*) FROM department WHERE {name} = 0.1"
            columns = [repr(one) for one in inspect(connection).get_columns("department")]
            if "0.1" in added:
                rows += connection.execute(sqlalchemy.text(close)).all()
            outcomes.append((rows, columns))
    assert outcomes[0] == outcomes[1]


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
    "a constraint on it": (
        'op.add_column("t", sa.Column("b", sa.Integer()))',
        'op.create_unique_constraint("u", "t", ["b"])',
        'op.drop_column("t", "b")',
    ),
    "a reference that is dropped first": (
        'op.drop_column("t", "u_id")',
        'op.drop_table("u")',
        'op.drop_table("t")',
    ),
    "another table's": (TABLE, 'op.add_column("u", sa.Column("b", sa.Integer()))'),
    "renamed": (
        TABLE,
        'op.rename_table("t", "u")',
        TABLE.replace('"t"', '"x"'),
        'op.add_column("u", sa.Column("b", sa.Integer()))',
    ),
    "another of its name": (
        TABLE,
        TABLE.replace('"t"', '"v"'),
        'op.rename_table("t", "u")',
        'op.rename_table("v", "t")',
        'op.alter_column("t", "a", nullable=False)',
    ),
    "a name that was another's": (
        TABLE,
        'op.create_index("i", "t", ["a"])',
        'op.alter_column("t", "a", new_column_name="x")',
        'op.create_index("j", "t", ["id"])',
        'op.alter_column("t", "id", new_column_name="a")',
    ),
    "a default for the rows that are there": (
        'op.add_column("t", sa.Column("b", sa.Text(), server_default="x", nullable=False))',
        'op.alter_column("t", "b", server_default=None)',
    ),
    "a default that the rows that are there have not": (
        'op.add_column("t", sa.Column("b", sa.Text()))',
        'op.alter_column("t", "b", server_default="x")',
    ),
    "values of the old type": (
        'op.add_column("t", sa.Column("b", sa.Float(), server_default="0.1"))',
        'op.alter_column("t", "b", type_=sa.Double())',
    ),
    "values of the cast": (
        'op.add_column("t", sa.Column("b", sa.String(9)))',
        'op.alter_column("t", "b", type_=sa.Text(), postgresql_using="coalesce(b, \'x\')")',
    ),
    "values that MariaDB thinks of": (
        'op.add_column("t", sa.Column("b", sa.Integer(), nullable=False))',
        'op.alter_column("t", "b", type_=sa.String(9))',
    ),
    "values that are computed": (
        'op.add_column("t", sa.Column("b", sa.Integer(), sa.Computed("id")))',
        'op.alter_column("t", "b", type_=sa.String(9))',
    ),
    "values of a type's own default": (
        'op.add_column("t", sa.Column("b", postgresql.DOMAIN("d", sa.Integer(), default="1")))',
        'op.alter_column("t", "b", type_=sa.Integer())',
    ),
    "a table that may be there": (
        f'op.create_table("t", {KEY}, if_not_exists=True)',
        'op.add_column("t", sa.Column("b", sa.Integer()))',
    ),
    "a table that may be there, and goes": (
        f'op.create_table("t", {KEY}, if_not_exists=True)',
        'op.drop_table("t")',
    ),
    "a column that may be there": (
        'op.add_column("t", sa.Column("b", sa.Integer()), if_not_exists=True)',
        'op.drop_column("t", "b")',
    ),
    "a table that took the name": (
        'op.add_column("t", sa.Column("b", sa.Integer()))',
        'op.rename_table("t", "x")',
        TABLE,
        'op.create_unique_constraint("q", "t", ["a"])',
        'op.drop_table("t")',
    ),
    "a batch that does more": (
        'with op.batch_alter_table("t", table_args=(sa.CheckConstraint("a > 0"),)) as batch_op:\n'
        '        batch_op.add_column(sa.Column("b", sa.Integer()))\n'
        '        batch_op.drop_column("b")',
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


# -- any operations ----------------------------------------------------------------------------


class Author:
    """Write operations that can be run one after the other, as chance has it."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.columns: dict[str, list[str]] = {}
        self.indexes: dict[str, tuple[str, str]] = {}
        self.kinds = [
            *(self.create, self.add, self.add, self.alter, self.alter, self.rename, self.drop),
            *(self.index, self.unindex, self.rename_table, self.drop_table, self.execute),
        ]

    def write(self) -> list[str]:
        """Return the statements, one a line or two."""
        found = [self.chance.choice(self.kinds)() for _ in range(self.chance.randint(8, 30))]
        return [one for one in found if one] or ["pass"]

    def table(self) -> str:
        return self.chance.choice([*self.columns, "none"])

    def free(self, table: str) -> list[str]:
        found = self.columns.get(table, [])
        return [one for one in found if (table, one) not in self.indexes.values()]

    def create(self) -> str | None:
        name = self.chance.choice("tuv")
        if name in self.columns:
            return None
        columns = self.columns[name] = self.chance.sample("abcd", self.chance.randint(0, 2))
        added = "".join(f', sa.Column("{one}", sa.Integer())' for one in columns)
        return f'op.create_table("{name}", {KEY}{added})'

    def add(self) -> str | None:
        table, name = self.table(), self.chance.choice("abcd")
        if name in self.columns.get(table, [name]):
            return None
        self.columns[table].append(name)
        return f'op.add_column("{table}", sa.Column("{name}", sa.Integer()))'

    def alter(self) -> str | None:
        table = self.table()
        if not self.columns.get(table):
            return None
        change = self.chance.choice(
            ("type_=sa.Text()", "type_=sa.BigInteger()", "server_default='1'", "nullable=False")
        )
        name = self.chance.choice(self.columns[table])
        return self.batch(table, f'alter_column("{name}", {change})')

    def rename(self) -> str | None:
        table, new = self.table(), self.chance.choice("abcdefg")
        if not self.columns.get(table) or new in self.columns[table]:
            return None
        old = self.chance.choice(self.columns[table])
        self.columns[table][self.columns[table].index(old)] = new
        for name, place in self.indexes.items():
            self.indexes[name] = (table, new) if place == (table, old) else place
        return f'op.alter_column("{table}", "{old}", new_column_name="{new}")'

    def drop(self) -> str | None:
        table = self.table()
        free = self.free(table)
        if not free:
            return None
        name = self.chance.choice(free)
        self.columns[table].remove(name)
        return self.batch(table, f'drop_column("{name}")')

    def index(self) -> str | None:
        table, name = self.table(), f"ix_{self.chance.randint(1, 3)}"
        if name in self.indexes or not self.columns.get(table):
            return None
        self.indexes[name] = table, self.chance.choice(self.columns[table])
        return f'op.create_index("{name}", "{table}", ["{self.indexes[name][1]}"])'

    def unindex(self) -> str | None:
        if not self.indexes:
            return None
        name = self.chance.choice([*self.indexes])
        return f'op.drop_index("{name}", table_name="{self.indexes.pop(name)[0]}")'

    def rename_table(self) -> str | None:
        old, new = self.table(), self.chance.choice("tuv")
        if old not in self.columns or new in self.columns:
            return None
        self.columns[new] = self.columns.pop(old)
        for name, (table, column) in self.indexes.items():
            self.indexes[name] = new if table == old else table, column
        return f'op.rename_table("{old}", "{new}")'

    def drop_table(self) -> str | None:
        name = self.table()
        if self.columns.pop(name, None) is None:
            return None
        self.indexes = {key: one for key, one in self.indexes.items() if one[0] != name}
        return f'op.drop_table("{name}")'

    def execute(self) -> str | None:
        dropped = self.drop_table()
        return dropped and dropped.replace('drop_table("', 'execute("DROP TABLE ')

    def batch(self, table: str, call: str) -> str:
        return f'with op.batch_alter_table("{table}") as batch_op:\n        batch_op.{call}'


def outcome(code: str) -> dict[str, object]:
    """Run upgrade() on an empty database, and return what is there."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        names = {"op": Operations(MigrationContext.configure(connection)), "sa": sqlalchemy}
        body = code.replace("from alembic import op\nimport sqlalchemy as sa\n", "")
        exec(body, names)
        names["upgrade"]()
        look = inspect(connection)
        return {
            name: (repr(look.get_columns(name)), look.get_indexes(name))
            for name in look.get_table_names()
        }


@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_fold_comes_out_the_same(seed: int) -> None:
    code = CODE.format("\n    ".join(Author(Random(seed)).write()))
    folded = fold(code)
    event("folded" if folded.folded else "as it was")
    assert outcome(folded.text) == outcome(code)
