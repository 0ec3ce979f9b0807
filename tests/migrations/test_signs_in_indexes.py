"""Signs that drivers and SQLAlchemy take for parameters, in the WHERE or expression of an index."""

import pytest
from sqlalchemy import create_engine, text

from cases import parent
from worlds import World

WHERE = "name NOT IN ('50%', 'at \\\\:x')"
PARTIAL = (
    'sa.Index("uq_name", "name", unique=True,'
    f' sqlite_where=sa.text("{WHERE}"), postgresql_where=sa.text("{WHERE}"))'
)
EXPRESSION = """sa.Index("ix_name", sa.text("replace(name, '%', 'x\\\\:y')"))"""
INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'ix_name'",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_name'",
}


@pytest.mark.parametrize("database", [*INDEXES], indirect=True)
def test_signs_of_parameters_in_an_index_stand_for_themselves(world: World) -> None:
    world.models(parent())
    world.make()
    world.models(parent(f"{PARTIAL}, {EXPRESSION}"))
    world.make()
    check_indexes(world)
    world.models(parent())
    world.make()
    world.migrate("-1")
    check_indexes(world)


def check_indexes(world: World) -> None:
    """Expect that the signs are in the indexes once, and rows that the WHERE leaves out."""
    engine = create_engine(world.database.url)
    with engine.connect() as connection:
        told = str(connection.scalar(text(INDEXES[world.database.kind])))
        assert "'%'" in told
        assert "'x:y'" in told
        for value in ("50%", "at \\:x"):
            insert = text(f"INSERT INTO parent (name) VALUES ('{value}'), ('{value}')")
            connection.execute(insert)
    engine.dispose()
