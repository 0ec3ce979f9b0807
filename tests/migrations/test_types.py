"""Columns that get another type, with rows in them: there, back, and there again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cases import ROWS, Case, on_parent, parent
from changing import Rows, rows, there_and_back
from dbtasks import migrations
from dbtasks.migrations.autogenerate.answers import Answers
from groups import faults_of, names, tables
from worlds import World

DEFAULTS = [
    (
        'sa.Column("a", sa.Boolean, server_default=sa.false(), nullable=False)',
        'sa.Column("a", sa.Integer, server_default="0", nullable=False)',
        (False, 0),
    ),
    (
        'sa.Column("a", sa.Integer, server_default="7", nullable=False)',
        'sa.Column("a", sa.String(9), server_default="7", nullable=False)',
        (7, "7"),
    ),
    (
        'sa.Column("a", sa.Integer)',
        'sa.Column("a", sa.String(9), server_default="7")',
        (None, None),
    ),
    (
        'sa.Column("a", sa.Integer, server_default="7")',
        'sa.Column("a", sa.String(9))',
        (7, "7"),
    ),
    (
        'sa.Column("a", sa.Enum("x", "y", name="one"), server_default="x")',
        'sa.Column("a", sa.Enum("x", "y", "z", name="two"), server_default="x")',
        ("x", "x"),
    ),
    (
        'sa.Column("a", sa.Enum("x", "y", name="one"), server_default="x")',
        'sa.Column("a", sa.String(9), server_default="x")',
        ("x", "x"),
    ),
]


def changed(world: World, cases: Sequence[Case]) -> tuple[Rows, Rows]:
    """Return the rows before and after the changes of all the cases."""
    return there_and_back(
        world,
        "".join(f"{case.before}\n" for case in cases),
        "".join(f"{case.after}\n" for case in cases),
        [statement for case in cases for statement in case.rows],
    )


def check_defaults(world: World, cases: Sequence[Case]) -> None:
    before, after = changed(world, cases)
    values = {str((old, new)): values for old, new, values in DEFAULTS}
    for case in cases:
        [table] = [name for name in tables(case) if name.startswith("parent")]
        found = [[row["a"] for row in state[table]] for state in (before, after)]
        assert found == [[value] * 2 for value in values[case.name]], case.name


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_default_changes_over_with_its_type(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [on_parent(str((old, new)), old, new) for old, new, _ in DEFAULTS]
    assert faults_of(request, tmp_path, kind, cases, check_defaults) == {}


COUNTED = (
    'table("log", sa.Column("Id", sa.{0}, primary_key=True), sa.Column("name", sa.String(9)){1})\n'
    'table("entry", key(), sa.Column("log_id", sa.{0}, sa.ForeignKey("{2}log.Id")))'
)
REFERRING = "INSERT INTO entry (log_id) VALUES (2)"
COUNTS = [("Integer", "BigInteger"), ("SmallInteger", "Integer"), ("BigInteger", "Integer")]


def check_serials(world: World, cases: Sequence[Case]) -> None:
    changed(world, cases)
    largest, back = {}, {}
    for case in cases:
        old, new, *_ = case.name.split()
        [log, entry] = sorted(tables(case), reverse=True)
        place = "".join(f"{name}." for name in names(case) if name.startswith("hr"))
        sequence = f'{place}"{log}_Id_seq"'
        largest |= {sequence: LARGEST[new], f"{entry}_id_seq": LARGEST["Integer"]}
        back[sequence] = LARGEST[old]
        world.run(
            [
                f"SELECT setval('{sequence}', {LARGEST[new] - 1})",
                f"INSERT INTO {place}{log} (name) VALUES ('a')",
                f'DELETE FROM {place}{log} WHERE "Id" > 2',
                f"SELECT setval('{sequence}', 2)",
            ]
        )
    assert counted(world) == largest
    world.migrate("-1")
    assert counted(world) == largest | back


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_serial_counts_as_far_as_its_type(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [
        Case(
            f"{old} {new} {schema}",
            *(COUNTED.format(integer, more, place) for integer in (old, new)),
            [*[f"INSERT INTO {place}log (name) VALUES ('a')"] * 2, REFERRING],
        )
        for old, new in COUNTS
        for schema, more, place in (("", "", ""), ("hr", ', schema="hr"', "hr."))
    ]
    assert faults_of(request, tmp_path, kind, cases, check_serials) == {}


LARGEST = {"SmallInteger": 2**15 - 1, "Integer": 2**31 - 1, "BigInteger": 2**63 - 1}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_identity_counts_as_far_as_its_type(world: World) -> None:
    state = 'table("log", sa.Column("id", sa.{}, sa.Identity(), primary_key=True))'
    there_and_back(
        world,
        state.format("Integer"),
        state.format("BigInteger"),
        ["INSERT INTO log DEFAULT VALUES"],
    )
    assert counted(world) == {"log_id_seq": LARGEST["BigInteger"]}


def counted(world: World) -> Mapping[str, int]:
    """Return how far the project's sequences count."""
    engine = create_engine(world.database.url)
    try:
        with engine.connect() as connection:
            found = connection.execute(
                text("SELECT seqrelid::regclass::text, seqmax FROM pg_sequence")
            )
            return {name: most for name, most in found.all() if "dbtasks" not in name}
    finally:
        engine.dispose()


UNSIGNED = "mysql.INTEGER(unsigned=True)"
SIGNS = [
    ("sa.Integer", UNSIGNED),
    (UNSIGNED, "sa.Integer"),
    (UNSIGNED, "mysql.BIGINT(unsigned=True)"),
    ("sa.Integer", f'sa.Integer().with_variant({UNSIGNED}, "mariadb", "mysql")'),
]
SIGNED = (
    'table("node", sa.Column("id", {0}, primary_key=True, comment="key"),'
    ' sa.Column("up_id", sa.ForeignKey("node.id")),'
    ' sa.Column("n", {0}, server_default="3", nullable=False, index=True))\n'
    'table("leaf", key(), sa.Column("node_id",'
    ' sa.ForeignKey("node.id", ondelete="CASCADE", name="fk_leaf"), nullable=False))'
)
NODES = (
    "INSERT INTO node (id) VALUES (1)",
    "INSERT INTO node (up_id, n) VALUES (1, 5)",
    "INSERT INTO leaf (node_id) VALUES (2)",
)


def check_signs(world: World, cases: Sequence[Case]) -> None:
    before, after = changed(world, cases)
    assert before == after
    for case in cases:
        [table] = [name for name in tables(case) if name.startswith("node")]
        world.run([f"INSERT INTO {table} () VALUES ()"])
        assert rows(world)[table][-1] == {"id": 3, "up_id": None, "n": 3}, case.name


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_number_gets_a_sign_or_loses_it(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [
        Case(f"{old} to {new}", SIGNED.format(old), SIGNED.format(new), NODES) for old, new in SIGNS
    ]
    assert faults_of(request, tmp_path, kind, cases, check_signs) == {}


NUMBERS = [
    UNSIGNED,
    "mysql.INTEGER(display_width=5, zerofill=True)",
    "mysql.DECIMAL(8, 2, unsigned=True)",
    "mysql.TINYINT(1, unsigned=True)",
    "sa.Boolean",
]


def check_kept(world: World, cases: Sequence[Case]) -> None:
    world.models("".join(case.before for case in cases))
    world.make()
    world.run([statement for case in cases for statement in case.rows])
    world.models("".join(case.after for case in cases))
    world.make()
    with world.project() as project:
        assert migrations.missing(project) == ()
        assert migrations.missing(project, from_database=True) == ()


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_number_keeps_the_sign_that_it_has(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    cases = [on_parent(number, "", f'sa.Column("a", {number})') for number in NUMBERS]
    assert faults_of(request, tmp_path, kind, cases, check_kept) == {}


COLORS = 'sa.Column("a", postgresql.ARRAY(sa.Enum({}, name="color")){})'
ARRAYS = (ROWS[0], "UPDATE parent SET a = '{red,green,NULL,green}' WHERE id = 1")
SUBSTITUTED: list[tuple[dict[str, dict[str, str]], object]] = [
    ({"defaults": {"parent.a": "red"}}, ["red", "red", None, "red"]),
    ({"defaults": {"parent.a": '["red"]'}}, ["red"]),
    ({"expressions": {"parent.a": "'{}'"}}, []),
    ({"expressions": {"parent.a": "array_remove(a, 'green')"}}, ["red", None]),
]


def check_arrays(world: World, cases: Sequence[Case]) -> None:
    world.models("".join(case.before for case in cases))
    world.make()
    world.run([statement for case in cases for statement in case.rows])
    schema = world.schema()
    world.models("".join(case.after for case in cases))
    source = world.make(
        Answers(
            defaults={name: value for case in cases for name, value in case.defaults.items()},
            expressions={name: sql for case in cases for name, sql in case.expressions.items()},
        )
    )
    values = {str(answers): values for answers, values in SUBSTITUTED}
    for case in cases:
        [table] = [name for name in tables(case) if name.startswith("parent")]
        assert [row["a"] for row in arrays(world, table)] == [values[case.name], ["red"]], case.name
    assert source.count("'{red}'") >= len(cases)
    world.migrate("-1")
    assert world.schema() == schema


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_value_of_an_enum_goes_from_arrays(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    states = [
        COLORS.format(labels, ", server_default='{red}'") for labels in ("'red', 'green'", "'red'")
    ]
    cases = [on_parent(str(answers), *states, rows=ARRAYS, **answers) for answers, _ in SUBSTITUTED]
    assert faults_of(request, tmp_path, kind, cases, check_arrays) == {}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_value_of_an_enum_is_another_in_arrays(world: World) -> None:
    world.models(parent(COLORS.format("'red', 'green', 'x'", "")))
    world.make()
    world.run([*ARRAYS, "UPDATE parent SET a = '{x}' WHERE id = 2"])
    world.models(parent(COLORS.format("'red', 'it''s, 100% :b'".replace("''", "\\'"), "")))
    world.make(Answers(defaults={"parent.a": "it's, 100% :b"}))
    new = "it's, 100% :b"
    assert [one["a"] for one in arrays(world)] == [["red", new, None, new], [new]]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_rows_get_an_array_of_an_enum(world: World) -> None:
    colors = COLORS.format("'red'", "{}")
    world.models(parent(colors.format("")))
    world.make()
    world.run(ROWS)
    more = colors.format(", nullable=False").replace('"a"', '"b"')
    world.models(parent(f"{colors.format(', nullable=False')}, {more}"))
    world.make(Answers(defaults={"parent.a": '["red"]', "parent.b": "[]"}))
    assert [one["a"] for one in arrays(world)] == [["red"]] * 2


def arrays(world: World, table: str = "parent") -> Sequence[Mapping[str, Any]]:
    """Return the parents, their arrays as lists."""
    engine = create_engine(world.database.url)
    try:
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT a::text[] AS a FROM {table} ORDER BY id"))
            return [dict(one) for one in found.mappings()]
    finally:
        engine.dispose()
