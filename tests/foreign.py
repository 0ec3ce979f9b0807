"""Projects with an env.py of their own: their revisions, and what came of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url

from conftest import Database, Result

AUTHOR, BOOK, SEARCH, GENRE = "1f0c5d2a7b31", "8a4e9d03c6f2", "c2b6e1f4907a", "d5537be1a0c4"

Inv = Callable[..., Result]

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def tables(database: Database) -> set[str]:
    """Return the project's tables, without ours."""
    url = make_url(database.url)
    if database.kind == "sqlite" and not Path(url.database or "").exists():
        return set()
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return {name for name in found if not name.startswith("dbtasks_")}


def marks(result: Result) -> list[str]:
    return [line[:3] + line[4:10] for line in result.out.splitlines()]
