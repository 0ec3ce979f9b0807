"""Models at random: what makemigrations writes leads from one to the next, and back.

The whole is `python benchmarks/schemas.py`.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import Database, clear
from random_schemas import check, pairs
from worlds import World

EXAMPLES = 6
"""Of each kind of database."""


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_models_at_random(company: Path, database: Database) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        before, after = data.draw(pairs(database.kind))
        if database.kind == "sqlite":
            Path(database.url.partition("///")[2]).unlink(missing_ok=True)
        else:
            clear(database.kind, database.url)
        check(World(company, database), before, after)

    run()
