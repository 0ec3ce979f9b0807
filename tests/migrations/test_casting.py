"""SQLite: values that stay what they are while their column gets another type, there and back."""

from collections.abc import Sequence

import pytest
from sqlalchemy import create_engine, text

from cases import parent
from worlds import World

INSTANT = "2026-01-02 10:30:00.000000"
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
    ("Integer", "String(40)", "12", "12", 12),
    ("Integer", "Numeric(8, 2)", "12", *[12] * 2),
    ("Float", "Integer", "1.5", *[1.5] * 2),
    ("Text", "LargeBinary", "'é'", "é".encode(), "é"),
    ("Text", "JSON", "'[1]'", *["[1]"] * 2),
]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("old", "new", "value", "after", "back"), CHANGES, ids=[" to ".join(one[:3]) for one in CHANGES]
)
def test_values_stay(
    world: World, old: str, new: str, value: str, after: object, back: object
) -> None:
    world.models(parent(f'sa.Column("a", sa.{old})'))
    world.make()
    world.run([f"INSERT INTO parent (id, name, a) VALUES (1, 'x', {value}), (2, 'y', NULL)"])
    world.models(parent(f'sa.Column("a", sa.{new})'))
    world.make()
    assert _values(world) == [after, None]
    world.migrate("-1")
    assert _values(world) == [back, None]


def _values(world: World) -> Sequence[object]:
    engine = create_engine(world.database.url)
    try:
        with engine.connect() as connection:
            return connection.scalars(text("SELECT a FROM parent ORDER BY id")).all()
    finally:
        engine.dispose()
