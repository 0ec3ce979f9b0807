"""Types with a variant for a database: a condition reads and compares by what the column is."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Numeric,
    String,
    Text,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column

from conftest import Database
from dbtasks import Project, records
from dbtasks.errors import UsageError

pytestmark = pytest.mark.every_value

HERE = ("sqlite", "postgresql", "mysql", "mariadb")


class Base(DeclarativeBase):
    pass


class Cents(TypeDecorator[Decimal]):
    """Store money as a whole number, as for SQLite, which has no exact one."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


class Seconds(TypeDecorator[dt.datetime]):
    """Store an instant as the seconds since 1970."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> int | None:
        return None if value is None else int((value - dt.datetime(1970, 1, 1)).total_seconds())

    def process_result_value(self, value: int | None, dialect: Any) -> dt.datetime | None:
        return None if value is None else dt.datetime(1970, 1, 1) + dt.timedelta(seconds=value)


class Varied(Base):
    __tablename__ = "varied"
    id = mapped_column(Uuid().with_variant(String(36), *HERE), primary_key=True)
    price = mapped_column(Numeric(10, 2).with_variant(Cents(), *HERE))
    at = mapped_column(DateTime().with_variant(Seconds(), *HERE))
    single = mapped_column(Double().with_variant(Float(24), *HERE))
    size = mapped_column(String(9).with_variant(Enum("small", "large", name="size"), *HERE))
    document = mapped_column(Text().with_variant(JSON(), *HERE))


KEYS = ["12345678-1234-5678-1234-567812345678", "22345678-1234-5678-1234-567812345678"]
ROWS = [
    ["price=12.50", "at=2021-01-01", "single=0.3", "size=small", 'document={"a": 1}'],
    ["price=2.50", "at=2020-01-01", "single=0.1", "size=large", 'document={"a":2}'],
]


@contextmanager
def filled(url: str) -> Iterator[Project]:
    with Project.configure(Path(), url=url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        for key, row in zip(KEYS, ROWS, strict=True):
            records.add(project, "Varied", values=[f"id={key}", *row])
        yield project


@pytest.fixture(scope="module")
def varied(kept: Database) -> Iterator[Project]:
    """Return two rows that the tests look for."""
    with filled(kept.url) as project:
        yield project


def found(project: Project, where: str) -> list[int]:
    rows = records.query(project, "Varied", where=[where], columns=["id"]).rows()
    return [KEYS.index(str(key)) for (key,) in rows]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (f"id={KEYS[1]}", [1]),
        (f"id__startswith={KEYS[1][:3]}", [1]),
        ("price=2.5", [1]),
        ("at=2021-01-01", [0]),
        ("single=0.1", [1]),
        ("single__lte=0.1", [1]),
        ("single__gt=0.1", [0]),
        ("single__range=0.3,0.3", [0]),
        ("size__lt=large", [0]),
        ("size__gte=large", [1]),
        ('document={"a":1}', [0]),
        ('document__in="{""a"": 2}"', [1]),
    ],
)
def test_a_condition_compares_what_the_column_is(
    varied: Project, where: str, rows: list[int]
) -> None:
    assert found(varied, where) == rows


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("price__lt=10", "price is Cents, whose order"),
        ("at__gte=2020-06-01", "at is Seconds, whose order"),
        ('document__lt={"a": 2}', "documents have no order"),
        ("document__contains=a", "contains compares text"),
    ],
)
def test_a_lookup_that_the_variant_has_not_is_refused(
    varied: Project, where: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        records.delete(varied, "Varied", where=[where])
    assert found(varied, "id__isnull=false") == [0, 1]


def test_a_key_is_found_by_its_text(database: Database) -> None:
    with filled(database.url) as varied:
        assert records.delete(varied, "Varied", pk=[KEYS[0]]).matched == 1
        assert found(varied, "id__isnull=false") == [1]
