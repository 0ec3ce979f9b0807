"""Each operation that Alembic knows, made from two states of the models, and run both ways."""

from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

import changes_of_attributes
import changes_of_columns
import changes_of_constraints
from cases import ALL, ROWS, SERVERS, Case, parent
from conftest import KINDS
from dbtasks import migrations
from dbtasks.errors import DbtasksError
from dbtasks.migrations.autogenerate.answers import Answers
from groups import check, faults_of, groups, new_world
from worlds import World

CASES = (
    *changes_of_columns.CHANGES,
    *changes_of_constraints.CHANGES,
    *changes_of_attributes.CHANGES,
)

FAULTS: dict[tuple[str, ...], dict[str, str]] = {}
"""What is wrong with the cases of each group that was tested, by the name of the case."""


@pytest.mark.every_value
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    ("kind", "case"),
    [
        pytest.param(kind, case, id=f"{kind}-{case.name.replace(' ', '-')}")
        for kind in KINDS
        for group in groups([case for case in CASES if kind in case.on])
        for case in group  # beside each other, so that they run in one process
    ],
)
def test_an_operation_is_made_applied_and_reversed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, case: Case
) -> None:
    """A group of cases is tested at once, and its cases alone where something is wrong with it."""
    group = next(cases for cases in selected_groups(request.session, kind) if case in cases)
    tested = (kind, *(member.name for member in group))
    if len(group) > 1 and tested not in FAULTS:
        FAULTS[tested] = faults_of(request, tmp_path, kind, group, check)
    fault = FAULTS.get(tested, {}).get(case.name, "")
    if len(group) == 1 or fault:
        with new_world(request, tmp_path, kind) as world:
            check(world, [case])
    if fault:
        pytest.fail(f"only beside others ({', '.join(tested)}): {fault}")


@cache
def selected_groups(session: pytest.Session, kind: str) -> list[tuple[Case, ...]]:
    """Return the cases that are tested together, of those that this run has."""
    name = test_an_operation_is_made_applied_and_reversed.__name__
    values = [item.callspec.params for item in session.items if item.name.startswith(f"{name}[")]
    return groups([value["case"] for value in values if value["kind"] == kind])


@pytest.mark.parametrize(
    "more", ["", ", nullable=False", ', comment="which", server_default="{}", nullable=False']
)
@pytest.mark.parametrize("database", SERVERS, indirect=True)
def test_rows_get_a_value_of_an_enum_that_is_new_for_one_that_is_gone(
    world: World, more: str
) -> None:
    column = 'sa.Column("a", sa.Enum({}, name="color")' + more + ")"
    world.models(parent(column.format("'red', 'green'", "green")))
    world.make()
    rows = ROWS[0].replace("name)", "name, a)").replace("')", "', 'green')")
    world.run([rows, "UPDATE parent SET a = 'red' WHERE id = 2"])
    world.models(parent(column.format("'red', 'turquoise', 'pink'", "turquoise")))
    world.make(Answers(defaults={"parent.a": "turquoise"}))
    engine = create_engine(world.database.url)
    with engine.begin() as connection:
        found = connection.scalars(text("SELECT a FROM parent ORDER BY id")).all()
        assert found == ["turquoise", "red"]
        connection.execute(text("UPDATE parent SET a = 'red'"))
    engine.dispose()
    world.migrate("-1")


def test_a_value_that_is_no_parent_is_told_where_it_is_applied(world: World) -> None:
    pet = 'table("pet", key(){})'
    world.models(parent() + pet.format(""))
    world.make()
    world.run(["INSERT INTO pet (id) VALUES (1), (2)"])
    column = ', sa.Column("parent_id", sa.ForeignKey("parent.id", name="fk_pet"), nullable=False)'
    world.models(parent() + pet.format(column))
    with world.project() as project:
        made = migrations.makemigrations(project, answers=Answers(defaults={"pet.parent_id": "7"}))
        assert made.revision is not None
        with pytest.raises(DbtasksError, match=r"parent_id") as failed:
            migrations.migrate(project)
    assert "parent" in failed.value.message
    hint, state = WITHOUT_PARENT[world.database.kind]
    assert hint.format(made.revision) in str(failed.value.hint)
    assert state in failed.value.state


WITHOUT_PARENT = {
    "sqlite": ("give those rows another value in the migration", "rolled back"),
    "postgresql": ("fix {0.path.name}, then: inv migrate", "rolled back"),
    "mariadb": ("inv migrate --resume; or take back what is applied", "stopped part way"),
}


def test_a_key_that_is_renamed_still_counts(world: World) -> None:
    """There and back, with another table that refers to it."""
    world.models(parent())
    world.make()
    world.run(["INSERT INTO parent (name) VALUES ('Ann'), ('Bob')"])
    renamed = parent().replace("parent.id", "parent.number")
    world.models(renamed.replace("key()", 'sa.Column("number", sa.Integer, primary_key=True)', 1))
    world.make(Answers({"parent.id": "parent.number"}))
    world.run(["INSERT INTO parent (name) VALUES ('Cyd')"])
    world.migrate("-1")
    world.run(["INSERT INTO parent (name) VALUES ('Dan')"])
    assert world.counts()["parent"] == 4


def test_checks_of_columns_hold(world: World) -> None:
    def check(name: str, more: str = "") -> str:
        return f'sa.Column("{name}", sa.Integer, sa.CheckConstraint("{name} > 0"{more}))'

    world.models(parent(check("a")) + f"table('other', key(), {check('a')})")
    world.make()
    world.run(ROWS)
    required = check("c")[:-1] + ", nullable=False)"
    new = f"{check('a')}, {required}, " + check("b", ', name="positive"')
    world.models(parent(new) + f"table('other', key(), {check('a')})")
    world.make(Answers(expressions={"parent.c": "id + 1"}))
    world.run(["UPDATE parent SET a = 1, b = 1"])
    for update in ("parent SET a = 0", "parent SET b = 0", "parent SET c = 0"):
        with pytest.raises(DBAPIError):
            world.run([f"UPDATE {update}"])
    with pytest.raises(DBAPIError):
        world.run(["INSERT INTO other (id, a) VALUES (1, 0)"])


def test_signs_of_parameters_in_a_check_stand_for_themselves(world: World) -> None:
    check = "sa.CheckConstraint(\"{0} IN ('5%', 'at 10\\\\:30', 'x\\\\:y')\"{1})"
    column, named = f'sa.Column("a", sa.String(9), {check.format("a", "")})', ", name='known'"
    world.models(parent() + f"table('other', key(), {column})")
    world.make()
    world.models(
        parent(f"{column}, {check.format('name', named)}") + f"table('other', key(), {column})"
    )
    world.make()
    for value in ("5%", "at 10\\:30", "x\\:y"):
        world.run([f"INSERT INTO parent (name, a) VALUES ('{value}', '{value}')"])
        world.run([f"INSERT INTO other (a) VALUES ('{value}')"])
    for statement in ("parent (name) VALUES ('5%%')", "other (a) VALUES ('x')"):
        with pytest.raises(DBAPIError):
            world.run([f"INSERT INTO {statement}"])


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_models_of_another_database_are_not_tried_out(world: World) -> None:
    world.models('table("pay", key(), schema="hr")')
    notes: list[str] = []
    with world.project() as project:
        made = migrations.makemigrations(project, on_note=notes.append)
    assert "another database (hr)" in notes[0]
    assert made.draft.changes == ("create table pay",)
    assert 'schema="hr"' in made.draft.upgrade.text


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
    notes: list[str] = []
    with world.project() as project:
        migrations.missing(project, on_note=notes.append)
    assert "another database (hr)" in notes[0]


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


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_that_a_table_has_outlives_its_being_made_anew(world: World) -> None:
    had = (
        'sa.Column("boss_id", sa.ForeignKey("parent.id")), sa.CheckConstraint("boss_id <> id"),'
        ' sa.Index("ix_lower", sa.text("lower(name)")), sa.UniqueConstraint("name", "id"),'
        ' sa.Index("ix_part", "name", sqlite_where=sa.text("id > 1")),'
        ' sa.Index("ix_desc", sa.desc("name"), "id")'
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


COMPUTED = """
CREATE TABLE bill (id INTEGER PRIMARY KEY, net INTEGER, w VARCHAR({}),
  net_total INTEGER GENERATED ALWAYS AS (net * 2) STORED, -- AS (0)
  total INTEGER AS (max(net, 3) * 3), "a ""b" TEXT AS (')' || net))
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_computed_columns_are_told_from_each_other_as_their_table_is_made_anew(
    world: World,
) -> None:
    bill = (
        "table('bill', key(), sa.Column('net', sa.Integer), sa.Column('w', sa.String({})),"
        " sa.Column('net_total', sa.Integer, sa.Computed('net * 2', persisted=True)),"
        " sa.Column('total', sa.Integer, sa.Computed('max(net, 3) * 3', persisted=False)),"
        """ sa.Column('a "b', sa.Text, sa.Computed("')' || net", persisted=False)))"""
    )
    world.models(bill.format(5))
    world.make()
    world.run(["DROP TABLE bill", COMPUTED.format(5), "INSERT INTO bill (net) VALUES (2)"])
    world.models(bill.format(9))
    assert "net_total" not in world.make()
    engine = create_engine(world.database.url)
    with engine.connect() as connection:
        found = connection.execute(text('SELECT net, w, net_total, total, "a ""b" FROM bill')).all()
        assert [tuple(one) for one in found] == [(2, None, 4, 9, ")2")]
        assert "VARCHAR(9)" in statements(world)["bill"]
    engine.dispose()


TRIGGER = "CREATE TRIGGER gone AFTER DELETE ON child BEGIN UPDATE parent SET {} = 'x'; END"
BY_HAND = (
    "CREATE VIEW short AS SELECT w FROM names",
    "CREATE VIEW names AS SELECT name, w FROM parent",
    TRIGGER.format("w"),
    "CREATE TRIGGER named AFTER INSERT ON parent BEGIN DELETE FROM child; END",
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_only_in_the_database_outlives_a_table_made_anew(world: World) -> None:
    world.models(parent('sa.Column("w", sa.String(5))'))
    world.make()
    world.run([*ROWS, *BY_HAND])
    before = statements(world)
    world.models(parent('sa.Column("w", sa.String(9))'))
    world.make()
    after = statements(world)
    assert "VARCHAR(9)" in after["parent"]
    assert {**before, "parent": ""} == {**after, "parent": ""}
    world.migrate("-1")
    assert statements(world).keys() == before.keys()
    world.run(["DELETE FROM child WHERE id = 1"])
    engine = create_engine(world.database.url)
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT w FROM short")).all() == ["x", "x"]
    engine.dispose()


@pytest.mark.parametrize("made", BY_HAND[1:3], ids=["view", "trigger"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_column_does_not_go_that_something_in_the_database_needs(world: World, made: str) -> None:
    world.models(parent('sa.Column("w", sa.String(5))'))
    world.make()
    world.run([*ROWS, made])
    before = statements(world)
    world.models(parent())
    with world.project() as project:
        migrations.makemigrations(project)
        with pytest.raises(DbtasksError, match="no such column: w") as failed:
            migrations.migrate(project)
    assert "rolled back" in failed.value.state
    assert statements(world) == before


def statements(world: World) -> dict[str, str]:
    """Return what SQLite keeps of all that there is, without our own tables."""
    engine = create_engine(world.database.url)
    asked = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%dbtasks%' AND sql <> ''"
    with engine.connect() as connection:
        found = {str(name): str(sql) for name, sql in connection.exec_driver_sql(asked)}
    engine.dispose()
    return found
