"""What is stored is what was written: every type, on every database and driver."""

import datetime as dt
import enum
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql

from conftest import Database
from dbtasks.cells import plain
from dbtasks.engines import Backend, backend_for
from dbtasks.errors import UsageError
from dbtasks.values import convert_stored

pytestmark = pytest.mark.every_value

Kind = sa.types.TypeEngine[Any]
Column = tuple[Kind, st.SearchStrategy[Any]]


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Upper(sa.TypeDecorator[str]):
    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value and value[::-1]

    process_result_value = process_bind_param


def texts(nul: bool, most: int) -> st.SearchStrategy[str]:
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="" if nul else "\0")
    return st.text(characters, max_size=most)


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(low, high), st.sampled_from([low, high, 0]))


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    return whole(1 - 10**digits, 10**digits - 1).map(lambda number: Decimal(f"{number}E-{scale}"))


def documents(nul: bool) -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**63), 2**63 - 1)
    inner = st.one_of(
        st.none(),
        st.booleans(),
        numbers,
        st.floats(allow_nan=False, allow_infinity=False),
        texts(nul, 9),
    )
    several = st.recursive(
        inner,
        lambda one: st.lists(one, max_size=3) | st.dictionaries(texts(nul, 5), one, max_size=3),
        max_leaves=5,
    )
    return st.lists(several, max_size=3) | st.none() | st.booleans() | numbers | texts(nul, 9)


def common(nul: bool, fine: bool) -> dict[str, Column]:
    """Return the columns that every database has."""
    second = 1 if fine else 1_000_000
    cut = lambda value: value.replace(microsecond=value.microsecond // second * second)  # noqa: E731 - said once, used in two places
    instants = st.datetimes().map(cut)
    durations = st.integers(-60_000_000_000, 200_000_000_000).map(lambda s: dt.timedelta(seconds=s))
    if fine:
        durations = st.timedeltas(dt.timedelta(days=-700_000), dt.timedelta(days=2_900_000))
    return {
        "small": (sa.SmallInteger(), whole(-(2**15), 2**15 - 1)),
        "integer": (sa.Integer(), whole(-(2**31), 2**31 - 1)),
        "big": (sa.BigInteger(), whole(-(2**63), 2**63 - 1)),
        "numeric": (sa.Numeric(15, 4), decimals(15, 4)),
        "inexact": (sa.Numeric(10, 2, asdecimal=False), decimals(10, 2).map(float)),
        "six": (sa.Float(), st.integers(-999_999, 999_999).map(lambda number: number / 100)),
        "double": (sa.Double(), st.floats(allow_nan=False, allow_infinity=False)),
        "boolean": (sa.Boolean(), st.booleans()),
        "string": (sa.String(20), texts(nul, 20)),
        "unicode": (sa.Unicode(20), texts(nul, 20)),
        "text": (sa.Text(), texts(nul, 200)),
        "date": (sa.Date(), st.dates()),
        "instant": (sa.DateTime(), instants),
        "time": (sa.Time(), st.times().map(cut)),
        "interval": (sa.Interval(), durations),
        "member": (sa.Enum(Colour), st.sampled_from(Colour)),
        "label": (sa.Enum("a b", "é", name="label"), st.sampled_from(["a b", "é"])),
        "uuid": (sa.Uuid(), st.uuids(version=4)),  # MariaDB's type has only those of RFC 9562
        "uuid_text": (sa.Uuid(as_uuid=False), st.uuids(version=4).map(str)),
        "bytes": (sa.LargeBinary(), st.binary()),
        "json": (sa.JSON(), documents(nul)),
        "decorated": (Upper(), texts(nul, 20)),
    }


def columns_of(kind: str) -> dict[str, Column]:
    """Return the columns of every type that a kind of database has."""
    if kind == "sqlite":
        return common(nul=True, fine=True) | {
            "zoned": (sa.DateTime(timezone=True), st.datetimes()),
            "infinite": (sa.Double(), st.floats(allow_nan=False)),
        }
    if kind == "mariadb":
        return common(nul=True, fine=False) | {
            "zoned": (
                sa.DateTime(timezone=True),
                st.datetimes().map(lambda v: v.replace(microsecond=0)),
            ),
            "long_numeric": (sa.Numeric(65, 30), decimals(65, 30)),
            "fine": (mysql.DATETIME(fsp=6), st.datetimes()),
            "fine_time": (mysql.TIME(fsp=6), st.times()),
            "unsigned": (mysql.BIGINT(unsigned=True), whole(0, 2**64 - 1)),
        }
    offsets = st.integers(-15 * 60, 15 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
    inside = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=offsets)
    return common(nul=False, fine=True) | {
        "zoned": (sa.DateTime(timezone=True), inside),
        "zoned_time": (sa.Time(timezone=True), st.times(timezones=offsets)),
        "long_numeric": (sa.Numeric(80, 30), decimals(80, 30)),
        "any_numeric": (sa.Numeric(), decimals(60, 20) | st.just(Decimal("NaN"))),
        "infinite": (sa.Double(), st.floats()),
        "days": (postgresql.INTERVAL(), st.timedeltas()),
        "numbers": (sa.ARRAY(sa.Integer), st.lists(st.integers(0, 9), max_size=3)),
        "nested": (
            sa.ARRAY(sa.Numeric(20, 2), dimensions=2),
            st.lists(st.tuples(decimals(20, 2), decimals(20, 2)).map(list), max_size=3),
        ),
        "strings": (sa.ARRAY(sa.String(9)), st.lists(texts(False, 9) | st.none(), max_size=3)),
        "jsonb": (postgresql.JSONB(), st.lists(texts(False, 9) | st.integers() | st.none())),
    }


def forms(value: Any, kind: Kind) -> list[tuple[Any, bool]]:
    """Return a value as JSON and as the text that the command line or CSV has."""
    if isinstance(value, float) and value not in (value, float("inf")):
        return [(str(value), True), (str(value), False)]
    if isinstance(kind, sa.JSON) or isinstance(value, list):
        written = json.dumps(value, default=plain)
        return [(json.loads(written), True), (written, False)]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return [(str(value), True), (str(value), False)]
    return [(json.loads(json.dumps(value, default=plain)), True), (str(plain(value)), False)]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dt.datetime) and one.tzinfo:
        return bool(one.astimezone(dt.UTC) == other.astimezone(dt.UTC))
    if isinstance(one, dt.time):
        return bool(one == other and one.utcoffset() == other.utcoffset())
    if isinstance(one, (float, Decimal)) and one != one:
        return bool(other != other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other  # SQLite gives 0 for 0.0
    return type(one) is type(other) and bool(one == other)


@contextmanager
def opened(database: Database) -> Iterator[tuple[Backend, sa.Connection]]:
    backend = backend_for(database.url, "a test", Path())
    engine = sa.create_engine(backend.connect_url(create=True), **backend.engine_options())
    backend.prepare_engine(engine)
    with engine.connect() as connection:
        yield backend, connection
    engine.dispose()


def test_stored_is_what_was_written(drivers: Database) -> None:
    columns = columns_of(drivers.kind)
    table = sa.Table("everything", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    for name, (kind, _) in columns.items():
        table.append_column(sa.Column(name, kind))

    with opened(drivers) as (backend, connection):
        table.create(connection)
        connection.commit()

        @settings(
            max_examples=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.fixed_dictionaries({name: values for name, (_, values) in columns.items()}))
        def store_and_read(record: dict[str, Any]) -> None:
            rows: list[dict[str, Any]] = [{}, {}]
            for name, value in record.items():
                kind = columns[name][0]
                for row, (form, from_json) in zip(rows, forms(value, kind), strict=True):
                    row[name] = convert_stored(form, kind, name, backend, from_json=from_json)
            connection.execute(table.insert(), rows)
            found = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
            connection.rollback()
            assert len(found) == 2
            for row in found:
                for name, value in record.items():
                    assert same(row[name], value), (name, value, row[name])

        store_and_read()


LIMITS: list[tuple[str, Kind, object, object]] = [
    ("all", sa.SmallInteger(), 32767, 32768),
    ("all", sa.Integer(), -(2**31), -(2**31) - 1),
    ("all", sa.BigInteger(), 2**63 - 1, 2**63),
    ("all", sa.Numeric(5, 2), Decimal("999.99"), Decimal("1000")),
    ("all", sa.Numeric(5, 2), Decimal("-0.01"), Decimal("-0.001")),
    ("all", sa.Numeric(5), Decimal("99999"), Decimal("0.1")),
    ("all", sa.String(5), "😀" * 5, "😀" * 6),
    ("all", sa.Date(), dt.date.max, "10000-01-01"),
    ("all", sa.Date(), dt.date.min, "0000-12-31"),
    ("all", sa.LargeBinary(255), b"\xff" * 255, b"\xff" * 256),
    ("all", sa.Double(), 1.7976931348623157e308, "1.8e308"),
    ("sqlite", sa.Numeric(30, 2), Decimal("9999999999999.99"), Decimal("10000000000000.01")),
    ("sqlite", sa.Numeric(), Decimal("0.0000000001"), Decimal("0.00000000001")),
    ("sqlite", sa.Interval(), dt.timedelta(days=-719162), dt.timedelta(days=-719163)),
    ("sqlite", sa.JSON(), 2**63 - 1, 2**63),
    ("mariadb", sa.Text(), "é" * 32767, "é" * 32768),
    ("mariadb", sa.LargeBinary(), b"\0" * 65535, b"\0" * 65536),
    ("mariadb", mysql.MEDIUMINT(), 2**23 - 1, 2**23),
    ("mariadb", mysql.TINYINT(unsigned=True), 255, 256),
    (
        "mariadb",
        mysql.DATETIME(fsp=3),
        dt.datetime(2026, 1, 1, 0, 0, 0, 1000),
        dt.datetime(2026, 1, 1, 0, 0, 0, 100),
    ),
    ("mariadb", sa.DateTime(), dt.datetime.max.replace(microsecond=0), dt.datetime.max),
    ("mariadb", sa.Interval(), dt.timedelta(days=-719162), dt.timedelta(days=-719163)),
    ("mariadb", sa.Numeric(), Decimal("9999999999"), Decimal("0.5")),
    (
        "postgresql",
        postgresql.TIMESTAMP(precision=3),
        dt.datetime(2026, 1, 1, 0, 0, 0, 1000),
        dt.datetime(2026, 1, 1, 0, 0, 0, 100),
    ),
    ("postgresql", sa.Numeric(), Decimal(10) ** -16383, Decimal(10) ** -16384),
    ("postgresql", sa.Numeric(), Decimal(10) ** 131071, Decimal(10) ** 131072),
    ("postgresql", sa.REAL(), 3.0e38, 3.5e38),
    ("postgresql", sa.Time(timezone=True), "09:30+15:59", "09:30+16:00"),
    ("postgresql", sa.ARRAY(sa.SmallInteger), [32767], [32768]),
]


def test_value_at_the_limit_is_kept_and_beyond_it_refused(database: Database) -> None:
    mine = [case for case in LIMITS if case[0] in ("all", database.kind)]
    columns = [sa.Column(f"c{number}", case[1]) for number, case in enumerate(mine)]
    table = sa.Table("limits", sa.MetaData(), *columns)
    with opened(database) as (backend, connection):
        table.create(connection)
        for column, (_, kind, most, beyond) in zip(columns, mine, strict=True):
            value = written(most, kind, backend)
            connection.execute(table.insert().values({column.name: value}))
            kept = connection.scalar(sa.select(column))
            connection.execute(table.delete())
            assert same(kept, value), (kind, most, kept)
            with pytest.raises(UsageError, match="price="):
                written(beyond, kind, backend)


def written(value: object, kind: Kind, backend: Backend) -> Any:
    form = json.loads(json.dumps(value, default=plain))
    return convert_stored(form, kind, "price", backend, from_json=True)


SPECIAL = [(float("nan"), "stores_nan"), (float("inf"), "stores_infinity")]


@pytest.mark.parametrize(("value", "flag"), SPECIAL)
def test_special_number_is_kept_where_we_say_so(
    database: Database, value: float, flag: str
) -> None:
    assert keeps(database, sa.Double(), value) is getattr(
        backend_for(database.url, "", Path()), flag
    )


def test_nul_is_kept_where_we_say_so(database: Database) -> None:
    assert keeps(database, sa.String(5), "a\0b") is backend_for(database.url, "", Path()).stores_nul


def keeps(database: Database, kind: Kind, value: Any) -> bool:
    """Whether a value comes back, sent without being looked at."""
    table = sa.Table("special", sa.MetaData(), sa.Column("value", kind))
    with opened(database) as (_, connection):
        table.create(connection)
        try:
            connection.execute(table.insert(), {"value": value})
        except (sa.exc.StatementError, ValueError):
            return False
        return same(connection.scalar(sa.select(table)), value)
