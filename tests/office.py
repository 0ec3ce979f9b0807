"""The reference project on a database: its models changed, and what came of it looked at."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from conftest import Database, Result

Inv = Callable[..., Result]

NAME = "    name: Mapped[str] = mapped_column(String(100))\n"
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def change(company: Path, old: str, new: str) -> None:
    """Change the models; the later line where there are several."""
    models = company / "src" / "company" / "models.py"
    text = models.read_text(encoding="utf-8")
    assert old in text
    before, _, after = text.rpartition(old)
    models.write_text(f"{before}{new}{after}", encoding="utf-8")


def add_column(company: Path, line: str) -> None:
    change(company, NAME, f"{NAME}    {line}\n")


def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(database.url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(sa.text(statement))]
    engine.dispose()
    return found


def execute(database: Database, statement: str) -> None:
    engine = sa.create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def revisions(company: Path) -> list[str]:
    return sorted(one.name for one in (company / "migrations" / "versions").glob("*.py"))


def is_clean(office: Inv) -> bool:
    checked = office("makemigrations", "--check")
    return (checked.code, checked.out) == (0, "No changes.\n")
