"""Writing commands at once leave what a series of them leaves; benchmarks/writers.py runs all."""

from pathlib import Path

import pytest

from conftest import Database, clean_environment
from rivals import Arena

NUMBER = 4


@pytest.mark.parametrize("name", ["add --upsert", "seed", "seed --count", "flush", "protect"])
def test_at_once_is_as_in_a_series(
    company: Path, database: Database, tmp_path: Path, name: str
) -> None:
    arena = Arena(company, clean_environment(), NUMBER)
    other = f"sqlite:///{tmp_path}/other.db"  # only copydata and loaddata have it
    once = arena.at_once(name, database.url, other)
    arena.empty(database.url)
    assert once.differs(arena.in_series(name, database.url, other)) == []
