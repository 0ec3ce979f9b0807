"""squashmigrations: what histories of all sorts leave is the same after it, or is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database, Result
from dbtasks import Project, migrations
from dbtasks.errors import Refused
from dbtasks.migrations.editing.squash_contents import Contents, take
from dbtasks.migrations.execution.replay import replay
from trees import FIRST, add_revision, revisions

Inv = Callable[..., Result]

KEY = 'sa.Column("id", sa.Integer(), primary_key=True)'


def contents(project: Project) -> Contents:
    """Return what a new database has after the whole history."""
    migrations.migrate(project)
    with project.connect() as connection:
        return take(project.backend, connection)


HISTORIES = {
    "renames and rows": (
        'op.alter_column("employee", "name", new_column_name="full_name", '
        "existing_type=sa.String(100), existing_nullable=False)\n"
        "op.execute(\"INSERT INTO department (name) VALUES ('Legal')\")",
        'op.rename_table("employee", "staff")\n'
        "op.execute(\"INSERT INTO staff (id, full_name, dept_id) SELECT 7, 'Zoe', min(id) \"\n"
        '    "FROM department")',
    ),
    "types, defaults and checks": (
        f'op.create_table("item", {KEY}, sa.Column("price", sa.Numeric(10, 2), server_default="0"),'
        ' sa.Column("data", sa.JSON()), sa.Column("at", sa.DateTime()), '
        'sa.CheckConstraint("at IS NOT NULL OR data IS NULL", name="ck_item_at"))\n'
        'op.create_index("ix_item_price", "item", ["price"])',
        'with op.batch_alter_table("item") as batch_op:\n'
        '    batch_op.alter_column("price", new_column_name="amount", '
        'existing_type=sa.Numeric(10, 2), existing_server_default="0")\n'
        '    batch_op.add_column(sa.Column("code", sa.String(20), nullable=False))\n'
        '    batch_op.create_unique_constraint("uq_item_code", ["code"])',
        "from datetime import datetime\nfrom decimal import Decimal\n"
        'item = sa.table("item", sa.column("amount", sa.Numeric(10, 2)), '
        'sa.column("data", sa.JSON()), sa.column("at", sa.DateTime()), '
        'sa.column("code", sa.String(20)))\n'
        'op.bulk_insert(item, [{"amount": Decimal("1.50"), "data": {"a": [1, None]}, '
        '"at": datetime(2026, 1, 2, 3, 4, 5), "code": "it\'s: 50% \\\\ ä"}])',
    ),
    "values of every kind, and names that need care": (
        "from datetime import timedelta\n"
        f'op.create_table("item 50%:x", {KEY}, sa.Column("data", sa.JSON()), '
        'sa.Column("length", sa.Interval()), sa.Column("b:c%", sa.Float()))\n'
        'item = sa.table("item 50%:x", sa.column("id"), sa.column("data", sa.JSON()), '
        'sa.column("length", sa.Interval()))\n'
        'op.bulk_insert(item, [{"id": 4, "data": None, "length": timedelta(1, 2, 3)}, '
        '{"id": 5, "data": [None, {"a": None}], "length": None}])\n'
        'op.bulk_insert(sa.table("item 50%:x", sa.column("id")), [{"id": 6}])',
        'op.add_column("item 50%:x", sa.Column("note", sa.Text()))',
    ),
    "an enum that grows": (
        f'op.create_table("item", {KEY}, '
        'sa.Column("state", sa.Enum("new", "old", name="state"), nullable=False))',
        'op.add_column("item", sa.Column("note", sa.Text()))',
        "op.execute(\"INSERT INTO item (state, note) VALUES ('old', 'n')\")",
    ),
    "all tables by their metadata": (
        "metadata = sa.MetaData()\n"
        'sa.Table("item", metadata, sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("name", sa.Text()))\n'
        "metadata.create_all(op.get_bind())",
        'op.add_column("item", sa.Column("note", sa.Text()))',
    ),
    "a key and constraints that the server names": (
        f'op.create_table("item", {KEY}, sa.Column("a", sa.Integer(), unique=True), '
        'sa.Column("dept_id", sa.Integer(), sa.ForeignKey("department.id", ondelete="CASCADE")))',
        'op.alter_column("item", "a", new_column_name="b", existing_type=sa.Integer())',
    ),
    "tables that refer to themselves and to one another": (
        f'op.create_table("node", {KEY}, sa.Column("parent_id", sa.Integer(), '
        'sa.ForeignKey("node.id")))\n'
        'op.execute("INSERT INTO node (id, parent_id) VALUES (2, NULL), (1, 2)")',
        f'op.create_table("leaf", {KEY}, sa.Column("node_id", sa.Integer(), '
        'sa.ForeignKey("node.id"), '
        'nullable=False), sa.Column("name", sa.String(9), unique=True, index=True))',
        f'op.drop_table("leaf")\nop.create_table("leaf", {KEY}, sa.Column("name", sa.String(9)))',
    ),
}


def write(company: Path, upgrades: tuple[str, ...]) -> str:
    """Write a history of such revisions, which is squashed from base; return the last."""
    after = FIRST
    for number, upgrade in enumerate(upgrades, 2):
        revision = f"{number:04}_step"
        add_revision(company, revision, upgrade, after=after)
        after = revision
    return after


@pytest.mark.parametrize("upgrades", HISTORIES.values(), ids=HISTORIES)
def test_from_base(upgrades: tuple[str, ...], company: Path, project: Project) -> None:
    last = write(company, upgrades)
    before = contents(project)
    squashed = migrations.squashmigrations(project, first="base", last=last)
    assert squashed.kept == {}
    assert revisions(company) == [f"{last}.py"]
    assert migrations.migrate(project).steps == ()
    migrations.migrate(project, to="base")
    with project.connect() as connection:
        assert {key.kind for key in take(project.backend, connection).schema} <= {"schema"}
    serve = project.backend.keys_need_indexes
    assert before.difference(contents(project), indexes_serve=serve) is None


AFTER = {
    "renames of a table and a column": (
        'op.rename_table("employee", "staff")\n'
        'with op.batch_alter_table("staff") as batch_op:\n'
        '    batch_op.alter_column("name", new_column_name="full_name", '
        "existing_type=sa.String(100), existing_nullable=False)",
        'op.add_column("staff", sa.Column("nick", sa.String(20)))\n'
        'op.create_index("ix_staff_nick", "staff", ["nick"])',
    ),
    "a default that existing rows get, and no others": (
        'op.add_column("department", sa.Column("code", sa.String(9), server_default="x", '
        "nullable=False))",
        'with op.batch_alter_table("department") as batch_op:\n'
        '    batch_op.alter_column("code", server_default=None, existing_type=sa.String(9), '
        "existing_nullable=False)",
    ),
    "a default that existing rows do not get": (
        'op.add_column("department", sa.Column("code", sa.String(9)))',
        'with op.batch_alter_table("department") as batch_op:\n'
        '    batch_op.alter_column("code", server_default="x", existing_type=sa.String(9))',
    ),
    "tables, keys and what is dropped again": (
        f'op.create_table("team", {KEY}, sa.Column("name", sa.String(20)))\n'
        'op.add_column("employee", sa.Column("gone", sa.Integer()))',
        'with op.batch_alter_table("employee") as batch_op:\n'
        '    batch_op.drop_column("gone")\n'
        '    batch_op.add_column(sa.Column("team_id", sa.Integer()))\n'
        '    batch_op.create_foreign_key("fk_employee_team", "team", ["team_id"], ["id"])',
        f'op.create_table("brief", {KEY})',
        'op.drop_table("brief")',
    ),
}

ROWS = (
    "INSERT INTO department (id, name) VALUES (1, 'A'), (2, 'B')",
    "INSERT INTO employee (id, name, dept_id) VALUES (1, 'Zoe', 2)",
)


@pytest.mark.parametrize("upgrades", AFTER.values(), ids=AFTER)
def test_after_the_first(upgrades: tuple[str, ...], company: Path, project: Project) -> None:
    """Rows of a database from before the range become what the range makes of them."""
    check_after(company, project, write(company, upgrades))


def check_after(company: Path, project: Project, last: str, *before: str) -> None:
    """Check the same of a range that begins after a revision, FIRST or the last of `before`."""
    begin = [FIRST, *before][-1]
    migrations.migrate(project, to=begin)
    with project.connect(writes=True) as connection:
        for row in (*ROWS, *(ROWS_OF_SQL if before else ())):
            connection.exec_driver_sql(row)
    with project.connect() as connection:
        first = take(project.backend, connection)
    path = company / "migrations" / "versions"
    old = {file: file.read_text() for file in path.glob("*.py")}
    squashed = migrations.squashmigrations(project, first=f"000{len(before) + 2}", last=last)
    assert squashed.kept == {}
    assert revisions(company) == [f"{file}.py" for file in (FIRST, *before, last)]
    after = contents(project)
    serve = project.backend.keys_need_indexes
    migrations.migrate(project, to=begin)
    with project.connect() as connection:
        assert first.difference(take(project.backend, connection), indexes_serve=serve) is None
    for file, text in old.items():
        file.write_text(text)
    assert contents(project).difference(after, indexes_serve=serve) is None


BY_SQL = (
    'op.execute("CREATE TABLE old (id INTEGER NOT NULL PRIMARY KEY, a VARCHAR(9))")\n'
    'op.execute("ALTER TABLE department ADD place INTEGER")'
)
REVERT = 'op.drop_column("department", "place")\nop.drop_table("old")'
ROWS_OF_SQL = ("INSERT INTO old (id, a) VALUES (1, 'x')", "UPDATE department SET place = 7")
RENAME = (
    'with op.batch_alter_table("{0}") as batch_op:\n'
    '    batch_op.alter_column("{1}", new_column_name="{2}", existing_type=sa.{3}, '
    "existing_nullable=True)"
)
OF_SQL = {
    "columns are renamed": (
        RENAME.format("old", "a", "b", "String(9)"),
        RENAME.format("department", "place", "rank", "Integer()"),
        RENAME.format("old", "b", "c", "String(9)"),
    ),
    "a table and a column are renamed": (
        'op.rename_table("old", "elder")',
        RENAME.format("elder", "a", "b", "String(9)"),
        'op.create_index("ix_elder_b", "elder", ["b"])',
    ),
    "a column is added with a default that others do not get": (
        'op.add_column("old", sa.Column("n", sa.Integer(), server_default="4", nullable=False))',
        'with op.batch_alter_table("old") as batch_op:\n'
        '    batch_op.alter_column("n", server_default=None, existing_type=sa.Integer(), '
        "existing_nullable=False)",
    ),
    "another table refers to it, and it has another type": (
        f'op.create_table("new", {KEY}, sa.Column("old_id", sa.Integer(), '
        'sa.ForeignKey("old.id")))',
        'with op.batch_alter_table("old") as batch_op:\n'
        '    batch_op.alter_column("a", existing_type=sa.String(9), type_=sa.String(20))',
    ),
}


@pytest.mark.parametrize("upgrades", OF_SQL.values(), ids=OF_SQL)
def test_what_sql_made(upgrades: tuple[str, ...], company: Path, project: Project) -> None:
    """No operation tells which columns a table has that SQL of a revision has made."""
    last = write(company, (BY_SQL, *upgrades))
    add_revision(company, "0002_step", BY_SQL, downgrade=REVERT)
    check_after(company, project, last, "0002_step")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_names_in_another_case(company: Path, project: Project) -> None:
    upgrades = (
        RENAME.format("OLD", "A", "b", "String(9)"),
        RENAME.format("Department", "PLACE", "rank", "Integer()"),
        RENAME.format("EMPLOYEE", "Name", "title", "String(100)"),
    )
    test_what_sql_made(upgrades, company, project)


MADE_AGAIN = {
    "a column": (
        'op.drop_column("{0}", "{1}")\nop.add_column("old", sa.Column("a", sa.String(9)))',
        ".a again, which was dropped before",
    ),
    "a table": (
        f'op.drop_table("{{0}}")\nop.create_table("old", {KEY}, sa.Column("a", sa.String(9)))',
        "it creates old again, which was dropped before",
    ),
}


@pytest.mark.parametrize("names", [("old", "a"), ("OLD", "A")])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("upgrade", "reason"), MADE_AGAIN.values(), ids=MADE_AGAIN)
def test_what_sql_made_is_made_again(
    upgrade: str, reason: str, names: tuple[str, str], company: Path, project: Project
) -> None:
    """Its rows would keep the values that the range takes away."""
    parts = (BY_SQL, ADD.format("b"), ADD.format("c"), upgrade.format(*names))
    last = write(company, parts)
    squashed = migrations.squashmigrations(project, first="0003", last=last)
    assert reason in squashed.kept[last]


ROW = "op.execute(\"INSERT INTO department (name) VALUES ('A')\")"
ADD = 'op.add_column("department", sa.Column("{}", sa.String(9)))'

STAYS = {
    "rows that are changed": ('op.execute("UPDATE department SET name = 1")', "reads or changes"),
    "rows that are read": (
        'for row in op.get_bind().execute(sa.text("SELECT id FROM department")): pass',
        "reads or changes rows",
    ),
    "the dialect": ('if op.get_bind().dialect.name == "x": pass', "branches on the dialect"),
    "a view": ('op.execute("CREATE VIEW v AS SELECT 1 AS one")', "does not hold: CREATE VIEW v"),
    "a type for the second time": (
        'with op.batch_alter_table("department") as batch_op:\n'
        '    batch_op.alter_column("name", existing_type=sa.String(50), type_=sa.Text())\n'
        'with op.batch_alter_table("department") as batch_op:\n'
        '    batch_op.alter_column("name", existing_type=sa.Text(), type_=sa.String(60))',
        "changes the type of department.name a second time",
    ),
}


LABELS = (
    "op.execute(\"CREATE TYPE state AS ENUM ('new', 'old')\")\n"
    "from sqlalchemy.dialects import postgresql\n"
    f'op.create_table("item", {KEY}, sa.Column("state", postgresql.ENUM("new", "old", '
    'name="state", create_type=False), server_default="new"), sa.Column("tags", '
    'postgresql.ARRAY(sa.Text())), sa.Column("key", sa.Uuid()))',
    "with op.get_context().autocommit_block():\n"
    "    op.execute(\"ALTER TYPE state ADD VALUE 'gone'\")",
    "op.execute(\"INSERT INTO item (state, tags, key) VALUES ('gone', ARRAY['a', NULL], "
    "'5b1d6a5e-0000-4000-8000-000000000001')\")",
)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_labels_of_postgresql(company: Path, project: Project) -> None:
    test_from_base(LABELS, company, project)


ALWAYS = (
    'op.create_table("item", sa.Column("id", sa.Integer(), sa.Identity(always=True, start=5), '
    'primary_key=True), sa.Column("name", sa.Text()))',
    "op.execute(\"INSERT INTO item (name) VALUES ('a'), ('b')\")",
)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_numbers_of_the_server(company: Path, project: Project) -> None:
    test_from_base(ALWAYS, company, project)


OTHER_ROWS = {
    "numbers that the server does not give": (
        (*ALWAYS, 'op.execute("DELETE FROM item WHERE id = 5")'),
        "item.id is GENERATED ALWAYS, and new rows would get other numbers",
    ),
    "rows in a circle": (
        (
            f'op.create_table("node", {KEY}, sa.Column("next", sa.Integer(), '
            'sa.ForeignKey("node.id")))',
            'op.execute("INSERT INTO node (id) VALUES (1), (2)")\n'
            'op.execute("UPDATE node SET next = 3 - id")',
        ),
        "rows of node refer to one another in a circle",
    ),
    "rows of two tables in a circle": (
        (
            f'op.create_table("team", {KEY}, sa.Column("lead", sa.Integer()))\n'
            f'op.create_table("member", {KEY}, sa.Column("team", sa.Integer(), '
            'sa.ForeignKey("team.id")))\n'
            'op.create_foreign_key("led", "team", "member", ["lead"], ["id"])',
            'op.execute("INSERT INTO team (id) VALUES (1)")\n'
            'op.execute("INSERT INTO member (id, team) VALUES (1, 1)")\n'
            'op.execute("UPDATE team SET lead = 1")',
        ),
        "rows of (team and member|member and team) refer to one another in a circle",
    ),
}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("upgrades", "reason"), OTHER_ROWS.values(), ids=OTHER_ROWS)
def test_rows_that_no_insert_leaves(
    upgrades: tuple[str, ...], reason: str, company: Path, project: Project
) -> None:
    last = write(company, upgrades)
    with pytest.raises(Refused, match=f"nothing of the range can be squashed: .*{reason}"):
        migrations.squashmigrations(project, first="base", last=last)


ON_POSTGRESQL = {
    "a schema": ('op.execute("CREATE SCHEMA s")', "does not hold: CREATE SCHEMA s"),
    "a function": (
        "op.execute(\"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'\")",
        "does not hold: CREATE FUNCTION f",
    ),
    "a trigger": (
        'op.execute("CREATE TRIGGER t BEFORE UPDATE ON department FOR EACH ROW "\n'
        '    "EXECUTE FUNCTION suppress_redundant_updates_trigger()")',
        "does not hold: CREATE TRIGGER t",
    ),
    "a policy": (
        'op.execute("ALTER TABLE department ENABLE ROW LEVEL SECURITY")',
        "does not hold: ALTER TABLE department ENABLE",
    ),
    "a grant": ('op.execute("GRANT SELECT ON department TO PUBLIC")', "does not hold: GRANT"),
    "a function that is called": ("op.execute(\"SELECT set_config('a.b', '1', false)\")", "SELECT"),
    "a cast": (
        'op.alter_column("department", "name", type_=sa.Text(), postgresql_using="lower(name)")',
        "converts the values of department.name",
    ),
}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("upgrade", "reason"), ON_POSTGRESQL.values(), ids=ON_POSTGRESQL)
def test_stays_on_postgresql(upgrade: str, reason: str, company: Path, project: Project) -> None:
    test_stays_as_it_is(upgrade, reason, company, project)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("upgrade", "reason"), STAYS.values(), ids=STAYS)
def test_stays_as_it_is(upgrade: str, reason: str, company: Path, project: Project) -> None:
    parts = (ADD.format("a"), ADD.format("b"), upgrade, ADD.format("c"), ADD.format("d"))
    last = write(company, parts)
    before = contents(project)
    squashed = migrations.squashmigrations(project, first="0002", last=last)
    assert [*squashed.kept] == ["0004_step"]
    assert reason in squashed.kept["0004_step"]
    assert revisions(company) == [f"{FIRST}.py", *(f"000{n}_step.py" for n in (3, 4, 6))]
    assert migrations.migrate(project).steps == ()
    with project.scratch() as scratch:
        replay(scratch)
        with scratch.connect() as connection:
            after = take(scratch.backend, connection)
    assert before.difference(after, indexes_serve=False) is None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rows_by_chance(company: Path, project: Project) -> None:
    chance = "import uuid\nop.execute(f\"INSERT INTO department (name) VALUES ('{uuid.uuid4()}')\")"
    last = write(company, (ROW, chance, ADD.format("a"), ADD.format("b")))
    squashed = migrations.squashmigrations(project, first="base", last=last)
    assert "differ between two replays" in squashed.kept["0003_step"]
    assert revisions(company) == [*(f"000{n}_step.py" for n in (2, 3, 5))]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_to_squash(company: Path, project: Project) -> None:
    last = write(company, (ROW, ROW))
    with pytest.raises(Refused, match="nothing of the range can be squashed: 0002_step: it reads"):
        migrations.squashmigrations(project, first="0002", last=last)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_every_kind_of_database(company: Path, database: Database, inv: Inv) -> None:
    """Code of one kind runs on all that the project declares; one that is not reached is named."""
    write(company, HISTORIES["an enum that grows"])
    tasks = company / "tasks.py"
    aliases = (
        'databases={"local": {"url_variable": "LOCAL_URL"}, "far": {"url_variable": "FAR_URL"}},'
    )
    tasks.write_text(tasks.read_text().replace("collection(", f"collection({aliases}", 1))
    env = {
        "DATABASE_URL": database.url,
        "LOCAL_URL": f"sqlite:///{company}/local.db",
        "FAR_URL": "mysql+pymysql://nobody@127.0.0.1:1/none",
    }
    done = inv("squashmigrations", "--from", "base", "--to", "heads", env=env)
    assert done.code == 0, done
    assert "not run on a scratch database of far: " in done.err
    text = (company / "migrations" / "versions" / "0004_step.py").read_text()
    assert 'sa.Enum("new", "old", name="state")' in text
    assert "create_type" not in text
    for alias in ("default", "local"):
        migrated = inv("migrate", "--database", alias, env=env)
        assert migrated.code == 0, migrated
        reverted = inv("rollback", "--no-input", "--database", alias, env=env)
        assert reverted.code == 0, reverted
