"""The models compared with the live database, of which a scratch database gets a copy."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from cases import ALL, Case, on_parent, parent
from conftest import KINDS
from dbtasks import migrations
from dbtasks.engines.base.definitions import FUNCTION, TRIGGER, VIEW
from dbtasks.errors import Rejected
from dbtasks.migrations.autogenerate.answers import Answers
from dbtasks.migrations.execution.replay import copied
from dbtasks.schema.difference import difference
from dbtasks.schema.snapshot import take
from groups import faults_of, names
from worlds import World


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_indexes_on_expressions_are_copied(world: World) -> None:
    world.models(parent('sa.Index("ix_lower", sa.text("lower(name)"), "id")'))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(parent())
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ("drop index ix_lower",)


PET = (
    'table("pet", key(), sa.Column("a", sa.String(20)), sa.Column("parent_id",'
    ' sa.ForeignKey("parent.id", name="fk_pet")), {})\n'
)
DESCENDING = [
    (ALL, 'sa.Index("ix_pet", sa.desc("a"), "id", unique=True)'),
    (ALL, 'sa.Index("ix_pet", sa.desc("parent_id"), "id")'),
    (
        ["sqlite", "postgresql"],
        'sa.Index("ix_pet", sa.desc(func.replace(sa.column("a"), "%", "x")))',
    ),
    (["postgresql"], 'sa.Index("ix_pet", "a", postgresql_ops={"a": "varchar_pattern_ops"})'),
    (
        ["postgresql"],
        'sa.Index("ix_pet", sa.desc("a").nulls_last(), postgresql_where=sa.text("a > \'%\'"))',
    ),
]


def check_copies(world: World, cases: Sequence[Case]) -> None:
    """Expect that a copy of the database has all that the models have, and nothing else."""
    world.models("".join(case.before for case in cases))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_indexes_is_copied(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [
        Case(index, parent() + PET.format(index), "")
        for kinds, index in DESCENDING
        if kind in kinds
    ]
    assert faults_of(request, tmp_path, kind, cases, check_copies) == {}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_not_reflected_is_copied(world: World) -> None:
    columns = (
        'sa.Column("a", sa.String({}, collation="NOCASE"), nullable=False,'
        ' sqlite_on_conflict_not_null="IGNORE"), sa.Column("n", sa.Integer, unique=True,'
        ' sqlite_on_conflict_unique="REPLACE"),'
    )
    world.models(f"table('t', key(), {columns.format(9)} sqlite_autoincrement=True)")
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(f"table('t', key(), {columns.format(12)} sqlite_autoincrement=True)")
    with world.project() as project:
        made = migrations.makemigrations(project, from_database=True, dry_run=True)
    assert 'type_=sa.VARCHAR(length=9, collation="NOCASE")' in made.draft.downgrade.text
    world.models(parent())
    with world.project() as project:
        made = migrations.makemigrations(
            project, from_database=True, dry_run=True, answers=Answers(dropped=["t"])
        )
    assert "sqlite_autoincrement=True" in made.draft.downgrade.text
    assert 'sqlite_on_conflict_not_null="IGNORE"' in made.draft.downgrade.text
    assert 'sqlite_on_conflict="REPLACE"' in made.draft.downgrade.text


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_schemas_are_copied(world: World) -> None:
    pay = 'table("pay", key(), {}, schema="Odd S")'
    world.models(parent() + pay.format('sa.Column("a", sa.Enum("x", name="k", schema="Odd S"))'))
    world.make()
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(parent() + pay.format('sa.Column("b", sa.Integer)'))
    with world.project() as project:
        found = migrations.missing(project, from_database=True)
    assert {"add column pay.b", "drop column pay.a"} <= {*found}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_tables_of_sqlite_are_copied_as_they_are(world: World) -> None:
    computed = (
        'sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, sa.Computed("a + 1")),'
        ' sa.Column("c", sa.Integer, sa.Computed("a * 2", persisted=True)),'
        ' sa.Column("d", sa.Integer, sa.Computed("a * 3")),'
        ' sa.Column("e", sa.String(9, collation="NOCASE"), unique=True),'
        ' sa.CheckConstraint("e <> \'a:b %\'", name="odd")'
    )
    world.models(parent(computed))
    world.make()
    world.run(
        [
            "CREATE TABLE log (x, y TEXT)",
            "CREATE INDEX ix_log ON log (abs(x))",
            "CREATE VIEW seen AS SELECT x FROM log",
            "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)",
            "INSERT INTO log VALUES (1, 'x')",
            "INSERT INTO counted DEFAULT VALUES",
        ]
    )
    more = {"drop table log", "drop index ix_log", "drop table counted"}
    with world.project() as project:
        assert {*migrations.missing(project, from_database=True)} <= more
    world.run(["DROP VIEW seen", "DROP TABLE log", "DROP TABLE counted"])
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()


B = 'sa.Column("b", sa.String(20)), '
ENUM = 'sa.Column("b", sa.Enum("x", "y", native_enum=False, create_constraint=True, {}))'
SOME = "b in ('x', 'y')"
LISTS = [
    f'{B}sa.CheckConstraint("{SOME}", name="bb")',
    f"{B}sa.CheckConstraint(\"b not in ('x', 'y') or b is null\", name=\"bb\")",
    f"{B}sa.CheckConstraint(\"b in ('x, (y]', 'it''s')\", name=\"bb\")",
    f'{B}sa.CheckConstraint("{SOME} or id in (1, 2)", name="bb")',
    f"{B}sa.CheckConstraint(\"b in (lower('X')::varchar, 'y')\", name=\"bb\")",
    'sa.Column("b", sa.Numeric(8, 2)), sa.CheckConstraint("b in (1, 2.5)", name="bb")',
    ENUM.format('name="bb"'),
    ENUM.format("length=9"),
    f'{B}sa.Column("c", sa.Boolean, sa.Computed("{SOME}", persisted=True))',
    f'{B}sa.Index("bb", "b", postgresql_where=sa.text("{SOME}"))',
    f'{B}sa.Index("bb", sa.text("({SOME})"))',
    """sa.Column("b", sa.Boolean, server_default=sa.text("('a'::varchar in ('x', 'y'))"))""",
]


def check_changes(world: World, cases: Sequence[Case]) -> None:
    """Expect the same changes from the history as from a copy of the database, in each case."""
    check_copies(world, cases)
    world.models("".join(case.after for case in cases))
    with world.project() as project:
        changes = migrations.missing(project)
        assert migrations.missing(project, from_database=True) == changes
    for case in cases:
        name = re.compile(rf"\b({'|'.join(names(case))})(?!\d)")
        assert any(map(name.search, changes)), changes


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_list_of_values_is_the_same_however_it_is_told(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [
        on_parent(columns, columns, columns.replace("y", "z").replace("2.5", "3.5"))
        for columns in LISTS
    ]
    assert faults_of(request, tmp_path, kind, cases, check_changes) == {}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_types_that_nobody_knows_are_copied(world: World) -> None:
    world.models(parent())
    world.make()
    world.run(["CREATE TABLE log (x point NOT NULL)", "ALTER TABLE parent ADD COLUMN y polygon"])
    with world.project() as project:
        found = migrations.missing(project, from_database=True)
    assert {*found} == {"drop table log", "drop column parent.y"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_extensions_are_copied(world: World) -> None:
    world.models(parent('sa.Column("a", postgresql.CITEXT)'))
    with world.project() as project:
        made = migrations.makemigrations(project, empty=True, name="citext")
    path = Path(made.revision.path)
    extension = 'op.execute("CREATE SCHEMA \\"Odd X\\"")\n    op.execute("CREATE EXTENSION citext")'
    path.write_text(path.read_text().replace("pass", extension, 1))
    world.make()
    world.run(['CREATE EXTENSION btree_gist SCHEMA "Odd X"'])
    world.run(['CREATE INDEX live ON parent USING gist (id "Odd X".gist_int4_ops)'])
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ("drop index live",)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_cannot_be_copied_is_told(world: World) -> None:
    world.models(parent())
    world.make()
    world.run(['CREATE COLLATION odd FROM "C"', "CREATE TABLE log (x text COLLATE odd)"])
    with (
        world.project() as project,
        pytest.raises(Rejected, match=r'copy .*: collation "odd"') as told,
    ):
        migrations.missing(project, from_database=True)
    assert "--empty" in str(told.value.hint)


BESIDE = {
    "sqlite": (
        "CREATE TABLE odd (a GEOMETRY, b, c DEFAULT (1 + 2), CHECK (b > 'a:b %'))",
        "CREATE TABLE rowless (id INTEGER PRIMARY KEY, n INT) WITHOUT ROWID",
        "CREATE VIEW seen AS SELECT a FROM odd",
        "CREATE TRIGGER gone AFTER DELETE ON odd BEGIN DELETE FROM parent; END",
        "CREATE INDEX ix_odd ON odd (abs(b) DESC) WHERE c > 1",
    ),
    "postgresql": (
        "CREATE SCHEMA hr",
        "CREATE TYPE hr.color AS ENUM ('red', 'it''s')",
        "CREATE TYPE pair AS (a integer, b hr.color)",
        "CREATE DOMAIN zip AS varchar(9) COLLATE \"C\" DEFAULT '1' NOT NULL CHECK (VALUE <> '%')",
        "CREATE SEQUENCE counted INCREMENT 5 START 7 CYCLE",
        "CREATE TABLE event (id serial, day date, at zip, PRIMARY KEY (id, day))"
        " PARTITION BY RANGE (day)",
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
        " PARTITION BY LIST (id)",
        "CREATE TABLE event_1_1 PARTITION OF event_1 FOR VALUES IN (1, 2)",
        "CREATE TABLE event_2 PARTITION OF event DEFAULT",
        "CREATE INDEX ix_event ON event (at)",
        "CREATE UNLOGGED TABLE zoo (n bigint GENERATED ALWAYS AS IDENTITY (START 5), c hr.color[],"
        ' p pair, x xml, t text COLLATE "C", z numeric(5,2) GENERATED ALWAYS AS (1.5) STORED,'
        " s integer DEFAULT nextval('counted'), UNIQUE (t) INCLUDE (s) WITH (fillfactor = 50)"
        " DEFERRABLE, EXCLUDE USING btree (t WITH =)) WITH (fillfactor = 70)",
        "ALTER TABLE zoo ALTER t SET STORAGE EXTERNAL",
        "CREATE TABLE ape (more integer CHECK (more > 1) NO INHERIT) INHERITS (zoo)",
        "CREATE TABLE a_first (id integer PRIMARY KEY)",
        "CREATE TABLE hr.pay (id integer REFERENCES public.a_first MATCH FULL ON DELETE CASCADE"
        " DEFERRABLE INITIALLY DEFERRED)",
        "ALTER TABLE a_first ADD CHECK (id > 0) NOT VALID",
        "CREATE FUNCTION twice(a_first) RETURNS integer LANGUAGE sql AS 'SELECT $1.id * 2'",
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
        "ALTER TABLE a_first ADD n integer DEFAULT one()",
        "CREATE TRIGGER stamped BEFORE INSERT ON a_first FOR EACH ROW EXECUTE FUNCTION stamp()",
        "ALTER TABLE a_first DISABLE TRIGGER stamped",
        "CREATE VIEW b_last AS SELECT twice(a) FROM a_first a",
        "CREATE VIEW a_view WITH (security_barrier) AS SELECT * FROM b_last",
        "CREATE MATERIALIZED VIEW kept AS SELECT 1 AS a",
        "CREATE UNIQUE INDEX ix_kept ON kept (a)",
        "COMMENT ON COLUMN zoo.t IS 'it''s'",
        "COMMENT ON TABLE zoo IS 'a %'",
        "COMMENT ON TYPE hr.color IS 'of all'",
        "COMMENT ON CONSTRAINT a_first_pkey ON a_first IS 'its key'",
        "COMMENT ON VIEW b_last IS 'seen'",
    ),
    "mariadb": (
        "CREATE SEQUENCE counted START WITH 7 INCREMENT BY 5 CYCLE",
        "CREATE TABLE zoo (id INT PRIMARY KEY, n INT DEFAULT nextval(counted), p POINT,"
        " c VARCHAR(9) COLLATE utf8mb4_bin CHECK (c <> '%'), g INT AS (id + 1) STORED,"
        " FULLTEXT (c), KEY ix_c (c(3) DESC)) COMMENT 'it''s' ROW_FORMAT=COMPACT",
        "CREATE TABLE a_first (id INT, z INT, FOREIGN KEY (z) REFERENCES zoo (id))",
        "CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
    ),
}


@pytest.mark.parametrize("database", ALL, indirect=True)
def test_a_copy_has_all_that_the_database_has(world: World) -> None:
    world.models(parent())
    world.make()
    world.run(
        [statement.replace("", "").replace(":", "\\:") for statement in BESIDE[world.database.kind]]
    )
    real = world.snapshot()
    with world.project() as project, copied(project) as copy, copy.connect() as connection:
        copied_snapshot = take(copy.backend, connection)
    left_out = {FUNCTION, VIEW, TRIGGER} if world.database.kind == "mariadb" else set()
    changes = [
        str(change)
        for change in difference(real, copied_snapshot)
        if change.key.kind not in left_out
    ]
    assert changes == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_the_history_made_by_hand_stays(world: World) -> None:
    models = parent() + 'table("event", key(), sa.Column("day", sa.Date, primary_key=True),'
    models += ' postgresql_partition_by="RANGE (day)")\n'
    world.models(models)
    world.make()
    world.run(
        [
            "CREATE TABLE event_1 PARTITION OF event DEFAULT",
            "CREATE DOMAIN zip AS text CHECK (VALUE <> '')",
            "CREATE VIEW seen AS SELECT name FROM parent",
            "CREATE SEQUENCE counted",
        ]
    )
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models(models + 'table("kid", key(), postgresql_inherits="parent")\n')
    with world.project() as project:
        made = migrations.makemigrations(project, from_database=True)
        assert (made.draft.changes, made.draft.fault) == (("create table kid",), "")
        migrations.migrate(project)
        assert migrations.missing(project, from_database=True) == ()
