"""SQLite: values that stay what they are while their column gets another type, there and back."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cases import on_parent, parent
from dbtasks import migrations
from dbtasks.errors import Refused
from groups import numbered
from worlds import World

OWN = '__import__("company.types").types'
INSTANT = "2026-01-02 10:30:00.000000"
PRECISE = (1234567.123456789, "1234567.123456789")
CHANGES = [
    ("Date", "DateTime", "'2026-01-02'", "2026-01-02 00:00:00.000000", "2026-01-02"),
    (
        "DateTime",
        "Date",
        f"'{INSTANT}'",
        "2026-01-02",
        "2026-01-02 00:00:00.000000",
    ),
    ("DateTime", "Time", f"'{INSTANT}'", "10:30:00.000000", "10:30:00.000000"),
    ("String(40)", "DateTime", "'2026-01-02 10:30:00'", *["2026-01-02 10:30:00"] * 2),
    ("String(40)", "Date", "'2026-01-02'", *["2026-01-02"] * 2),
    ("String(40)", "Time", "'10:30:00'", *["10:30:00"] * 2),
    ("Date", "String(40)", "'2026-01-02'", *["2026-01-02"] * 2),
    ("String(40)", "Integer", "'12'", 12, "12"),
    ("String(40)", "Integer", "'abc'", *["abc"] * 2),
    ("String(40)", "Numeric(8, 2)", "'12.50'", 12.5, "12.5"),
    ("String(40)", "Boolean", "'1'", 1, "1"),
    ("String(40)", "BigInteger", "'9223372036854775807'", 2**63 - 1, "9223372036854775807"),
    ("String(40)", "Integer", "'-12'", -12, "-12"),
    ("String(40)", "Integer", "'1.5'", 1.5, "1.5"),
    ("String(40)", "Float", f"'{-0.1 - 0.2}'", -0.1 - 0.2, f"{-0.1 - 0.2}"),
    ("String(40)", "Float", "'1e-07'", 1e-07, "1.0e-07"),
    (
        "String(40)",
        "Numeric(30, 10)",
        "'1234567.123456789'",
        *PRECISE,
    ),
    ("String(40)", "Numeric(30, 10)", "'.5'", 0.5, "0.5"),
    ("Float", "String(40)", "0.1", "0.1", 0.1),
    ("Float", "String(40)", "12345.678901234567", "12345.678901234567", 12345.678901234567),
    ("Integer", "String(40)", "12", "12", 12),
    ("Integer", "Numeric(8, 2)", "12", *[12] * 2),
    ("Float", "Integer", "1.5", *[1.5] * 2),
    ("Text", "LargeBinary", "'é'", "é".encode(), "é"),
    ("Text", "JSON", "'[1]'", *["[1]"] * 2),
]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_values_stay(world: World) -> None:
    columns = {f"a{number}": change for number, change in enumerate(CHANGES)}
    models = [
        parent(
            ", ".join(f'sa.Column("{name}", sa.{change[at]})' for name, change in columns.items())
        )
        for at in (0, 1)
    ]
    values = ", ".join(change[2] for change in CHANGES)
    world.models(models[0])
    world.make()
    world.run(
        [
            f"INSERT INTO parent (id, name, {', '.join(columns)}) VALUES (1, 'x', {values})",
            "INSERT INTO parent (id, name) VALUES (2, 'y')",
        ]
    )
    world.models(models[1])
    world.make()
    for name, change in columns.items():
        assert _values(world, name) == [change[3], None], change
    world.migrate("-1")
    for name, change in columns.items():
        assert _values(world, name) == [change[4], None], change


LOST = [
    ("BigInteger", "12345678901234567890"),
    ("BigInteger", "9223372036854775808"),
    ("Numeric(30, 10)", "1234567890.123456789"),
    ("Numeric(30, 10)", "12345678901234567890"),
    ("Float", "3.14159265358979323846"),
    ("Float", "12345678901234567"),
    ("Float", "1e999"),
    ("Integer", "007"),
    ("Integer", "1e3"),
    ("Integer", "+49"),
    ("Integer", " 5"),
    ("Integer", "5.0"),
    ("Boolean", "01"),
    ("Numeric(8, 2)", "007.5"),
    ("JSON", "12345678901234567890"),
]
INSERT = "INSERT INTO parent (id, name, a) VALUES (7, 'x', '{}'), (2, 'y', '1')"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_text_that_a_number_does_not_give_back_refuses(world: World) -> None:
    """A table for each text is refused in its turn, until its own hint is followed."""
    cases = [
        numbered(
            on_parent(
                f"{value} as {new}",
                *(f'sa.Column("a", sa.{kind})' for kind in ("String(40)", new)),
                rows=[
                    f"INSERT INTO parent (id, name, a) VALUES (7, 'x', '{value}'), (2, 'y', '1')"
                ],
            ),
            number,
        )
        for number, (new, value) in enumerate(LOST)
    ]
    refusing = {f"parent_{number}": value for number, (_, value) in enumerate(LOST)}
    tables = [*refusing]
    world.models("".join(case.before for case in cases))
    world.make()
    world.run([row for case in cases for row in case.rows])
    before = world.schema()
    world.models("".join(case.after for case in cases))
    with world.project() as project:
        path = Path(migrations.makemigrations(project).revision.path)
    while refusing:
        with world.project() as project:
            with pytest.raises(Refused, match=r"parent_\d+\.a .* where id = 7") as refused:
                migrations.migrate(project)
        table = re.findall(r"parent_\d+", refused.value.message)[0]
        value = refusing.pop(table)
        assert refused.value.state == "rolled back, 0 of 1 applied", value
        assert refused.value.hint is not None, value
        assert (_values(world, table=table), world.schema()) == (["1", value], before), value
        update = refused.value.hint[refused.value.hint.index("op.") :].partition(";")[0]
        update = update.replace("TEXT", "12")
        path.write_text(
            path.read_text().replace("    with op.batch", f"    {update}\n    with op.batch", 1)
        )
    world.migrate("head")
    assert [_values(world, table=table) for table in tables] == [[1, 12]] * len(tables)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("old", ["sa.Date", f"{OWN}.Day"])
@pytest.mark.parametrize("new", ["sa.DateTime", f"{OWN}.Instant"])
def test_a_type_of_the_project_is_what_it_is_made_of(world: World, old: str, new: str) -> None:
    world.models(parent(f'sa.Column("a", {old})'))
    world.make()
    world.run(["INSERT INTO parent (id, name, a) VALUES (1, 'x', '2026-01-02'), (2, 'y', NULL)"])
    world.models(parent(f'sa.Column("a", {new})'))
    world.make()
    assert _values(world) == ["2026-01-02 00:00:00.000000", None]
    world.migrate("-1")
    assert _values(world) == ["2026-01-02", None]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_bytes_of_a_type_of_the_project_are_bytes(world: World) -> None:
    world.models(parent('sa.Column("a", sa.Text)'))
    world.make()
    world.run(["INSERT INTO parent (id, name, a) VALUES (1, 'x', 'é')"])
    world.models(parent(f'sa.Column("a", {OWN}.Blob)'))
    world.make()
    assert _values(world) == ["é".encode()]
    world.migrate("-1")
    assert _values(world) == ["é"]


def _values(world: World, column: str = "a", table: str = "parent") -> Sequence[object]:
    engine = create_engine(world.database.url)
    try:
        with engine.connect() as connection:
            return connection.scalars(text(f"SELECT {column} FROM {table} ORDER BY id")).all()
    finally:
        engine.dispose()
