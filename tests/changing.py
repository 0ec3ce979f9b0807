"""A change of the models, made on rows, taken back and made again."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import create_engine, text

from dbtasks.migrations.autogenerate.answers import Answers
from worlds import World

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def there_and_back(
    world: World,
    old: str,
    new: str,
    statements: Sequence[str],
    answers: Answers | None = None,
) -> tuple[Rows, Rows]:
    """Return the rows before and after a change; rows and schema are the same after its way back.

    So they are when it is made again.
    """
    world.models(old)
    world.make()
    world.run(statements)
    before, schema = rows(world), world.schema()
    world.models(new)
    world.make(answers)
    after, changed = rows(world), world.schema()
    world.migrate("-1")
    assert (rows(world), world.schema()) == (before, schema)
    world.migrate("heads")
    assert (rows(world), world.schema()) == (after, changed)
    return before, after


def rows(world: World) -> Rows:
    """Return the rows of all tables in the order of their first column."""
    engine = create_engine(world.database.url)
    try:
        with engine.connect() as connection:
            return {
                name: [
                    dict(one)
                    for one in connection.execute(
                        text(f"SELECT * FROM {name} ORDER BY 1")
                    ).mappings()
                ]
                for name in world.counts()
            }
    finally:
        engine.dispose()
