"""Texts and JSON values as values of a column's type."""

import datetime as dt
import enum
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql

from dbtasks.cells import plain
from dbtasks.engines import Backend, backend_for
from dbtasks.errors import UsageError
from dbtasks.values import convert, convert_stored

Kind = sa.types.TypeEngine[Any]

URLS = {
    "sqlite": "sqlite://",
    "postgresql": "postgresql+psycopg://h/d",
    "mysql": "mysql+pymysql://h/d",
}
BACKENDS = {name: backend_for(url, "a test", Path()) for name, url in URLS.items()}
EVERY = [*BACKENDS]

HALF = "\ud800"
CENTRAL = dt.timezone(dt.timedelta(hours=1))
ONE = UUID(int=1)


class Colour(enum.Enum):
    red = "r"
    green = "red"
    three = 3


class Held(enum.Enum):
    ONE = "first"
    TWO = "second"


class Lowered(sa.TypeDecorator[str]):
    impl = sa.String(5)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value.strip().lower()


class Instant(sa.TypeDecorator[dt.datetime]):
    """Keep UTC in a column without a zone, as SQLAlchemy's documentation shows."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if value.tzinfo is None:
            raise TypeError("tzinfo is required")
        return value.astimezone(dt.UTC).replace(tzinfo=None)


class Cents(sa.TypeDecorator[Decimal]):
    impl = sa.SmallInteger
    cache_ok = True

    @property
    def python_type(self) -> type:
        return Decimal

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return int(value * 100)


class Encoded(sa.TypeDecorator[Any]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return repr(value)


def held(members: Any) -> list[str]:
    return [member.value for member in members]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (sa.Integer(), "-42", -42),
        (sa.Integer(), "0" * 5000 + "7", 7),
        (sa.SmallInteger(), "9223372036854775807", 2**63 - 1),
        (sa.String(3), "longer than three", "longer than three"),
        (sa.Float(), "1.5", 1.5),
        (sa.Float(), "inf", float("inf")),
        (sa.Numeric(5, 2), "12.50", Decimal("12.50")),
        (sa.Numeric(5, 2), "1.234", Decimal("1.234")),
        (sa.Boolean(), "Yes", True),
        (sa.Boolean(), "0", False),
        (sa.Date(), "2026-11-22", dt.date(2026, 11, 22)),
        (sa.DateTime(), "2026-11-22T09:30", dt.datetime(2026, 11, 22, 9, 30)),
        (
            sa.DateTime(timezone=True),
            "2026-11-22T09:30",
            dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC),
        ),
        (
            sa.DateTime(timezone=True),
            "2026-11-22T09:30+01:00",
            dt.datetime(2026, 11, 22, 8, 30, tzinfo=dt.UTC),
        ),
        (Instant(), "2026-11-22T09:30Z", dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)),
        (sa.Time(), "09:30", dt.time(9, 30)),
        (sa.Uuid(), str(ONE), ONE),
        (sa.Uuid(as_uuid=False), ONE.hex, str(ONE)),
        (sa.Enum(Colour), "red", Colour.red),
        (sa.Enum("a", "b"), "b", "b"),
        (sa.LargeBinary(), "AP8=", b"\x00\xff"),
    ],
)
def test_value_to_compare(kind: Kind, text: str, value: object) -> None:
    assert convert(text, kind, "field") == value


def names(cases: list[Any]) -> list[str]:
    """Return ids without the values, some of which are very long."""
    return [f"{type(case[0]).__name__}-{number}" for number, case in enumerate(cases)]


WRONG: list[tuple[Kind, str]] = [
    (sa.Integer(), "x"),
    (sa.Integer(), "1.0"),
    (sa.Integer(), "1_000"),
    (sa.Integer(), "٣"),
    (sa.Integer(), ""),
    (sa.Integer(), "+-1"),
    (sa.Integer(), "9223372036854775808"),
    (sa.Integer(), "1" * 5000),
    (sa.Float(), "nan"),
    (sa.Float(), "1e999"),
    (sa.Numeric(), "NaN"),
    (sa.Numeric(), "sNaN"),
    (sa.Numeric(), "1,5"),
    (sa.Numeric(), "1e1000000000"),
    (sa.Boolean(), "perhaps"),
    (sa.Date(), "22.11.2026"),
    (sa.Date(), "now-999999999999d"),
    (sa.DateTime(), "tomorrow"),
    (sa.DateTime(), "2026-11-22T09:30Z"),
    (sa.DateTime(), "2026-11-22T09:30:00.1234567"),
    (sa.Time(), "09:30:00.1234567"),
    (sa.Time(), "9"),
    (sa.Interval(), "1 month"),
    (sa.Interval(), "P1M"),
    (sa.Interval(), "P"),
    (sa.Interval(), "PT"),
    (sa.Interval(), "0.0000001"),
    (sa.Interval(), "99999999999d"),
    (sa.Uuid(), "1"),
    (sa.Enum(Colour), "blue"),
    (sa.Enum("a"), "A"),
    (sa.LargeBinary(), "AP8"),
    (sa.LargeBinary(), "A P8="),
    (sa.LargeBinary(), "é"),
    (sa.JSON(), "{"),
    (sa.JSON(), "NaN"),
    (sa.JSON(), '{"a": [1e999]}'),
    (sa.JSON(), '{"\\ud800": 1}'),
    (sa.JSON(), "[" * 100_000),
    (sa.JSON(), "1" * 5000),
    (sa.ARRAY(sa.Integer), "1,2"),
    (sa.ARRAY(sa.Integer), '{"a": 1}'),
    (sa.ARRAY(sa.Integer), '["x"]'),
    (sa.ARRAY(sa.Integer), "[[1], [1, 2]]"),
    (sa.ARRAY(sa.Integer), "[[1], 2]"),
    (sa.ARRAY(sa.Integer), "[[]]"),
    (sa.String(), HALF),
    (postgresql.INET(), HALF),
    (sa.PickleType(), "AP8="),
]


@pytest.mark.parametrize(("kind", "text"), WRONG, ids=names(WRONG))
def test_wrong_value_names_field_type_and_value(kind: Kind, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert(text, kind, "colour")
    assert caught.value.message.startswith(f"colour={text[:40]!r}"[:40])
    assert type(kind).__name__ in caught.value.message
    assert len(caught.value.message) < 300
    for backend in BACKENDS.values():
        if text.lower() not in ("nan", "snan", "2026-11-22t09:30z"):
            with pytest.raises(UsageError, match="colour="):
                convert_stored(text, kind, "colour", backend)


KEPT: list[tuple[Kind, object, object, list[str]]] = [
    (sa.SmallInteger(), "-32768", -32768, EVERY),
    (sa.Integer(), 2**31 - 1, 2**31 - 1, EVERY),
    (sa.BigInteger(), str(2**63 - 1), 2**63 - 1, EVERY),
    (sa.BigInteger().with_variant(sa.Integer, "sqlite"), 2**40, 2**40, EVERY),
    (mysql.INTEGER(unsigned=True), 2**32 - 1, 2**32 - 1, ["mysql"]),
    (sa.Numeric(5, 2), "999.99000", Decimal("999.99"), EVERY),
    (sa.Numeric(5, 2), 12.5, Decimal("12.5"), EVERY),
    (sa.Numeric(5, 2), "0e-50", Decimal(0), EVERY),
    (sa.Numeric(5), "1E+4", Decimal(10000), EVERY),
    (sa.Numeric(5, 2, asdecimal=False), "12.50", 12.5, EVERY),
    (sa.Numeric(), "1.5", Decimal("1.5"), ["sqlite", "postgresql"]),
    (
        sa.Numeric(30, 10),
        "12345678901234567890.1",
        Decimal("12345678901234567890.1"),
        ["postgresql", "mysql"],
    ),
    (sa.Float(), 3, 3.0, EVERY),
    (sa.Float(asdecimal=True), "1.5", Decimal("1.5"), EVERY),
    (sa.Float(), "inf", float("inf"), ["sqlite", "postgresql"]),
    (sa.Double(), "1e308", 1e308, EVERY),
    (sa.Boolean(), True, True, EVERY),
    (sa.Boolean(), 0, False, EVERY),
    (sa.Boolean(), "oFF", False, EVERY),
    (sa.String(3), "😀😀😀", "😀😀😀", EVERY),
    (sa.String(3), "a\0b", "a\0b", ["sqlite", "mysql"]),
    (sa.Date(), "2026-11-22", dt.date(2026, 11, 22), EVERY),
    (sa.DateTime(), "2026-11-22 09:30", dt.datetime(2026, 11, 22, 9, 30), EVERY),
    (
        sa.DateTime(),
        "2026-11-22T09:30:00.5",
        dt.datetime(2026, 11, 22, 9, 30, 0, 500_000),
        ["sqlite", "postgresql"],
    ),
    (
        sa.DateTime().with_variant(mysql.DATETIME(fsp=3), "mysql"),
        "2026-11-22T09:30:00.5",
        dt.datetime(2026, 11, 22, 9, 30, 0, 500_000),
        EVERY,
    ),
    (
        sa.DateTime(timezone=True),
        "2026-11-22T09:30+01:00",
        dt.datetime(2026, 11, 22, 8, 30, tzinfo=dt.UTC),
        ["postgresql"],
    ),
    (
        sa.DateTime(timezone=True),
        "2026-11-22T09:30Z",
        dt.datetime(2026, 11, 22, 9, 30),
        ["sqlite", "mysql"],
    ),
    (
        sa.DateTime(timezone=True),
        "2026-11-22T09:30",
        dt.datetime(2026, 11, 22, 9, 30),
        ["sqlite", "mysql"],
    ),
    (sa.Time(timezone=True), "09:30+01:00", dt.time(9, 30, tzinfo=CENTRAL), ["postgresql"]),
    (sa.Time(timezone=True), "09:30Z", dt.time(9, 30), ["sqlite", "mysql"]),
    (sa.Interval(), "1d 2h", dt.timedelta(days=1, hours=2), EVERY),
    (sa.Interval(), "-90m", -dt.timedelta(minutes=90), EVERY),
    (sa.Interval(), "P1DT2H", dt.timedelta(days=1, hours=2), EVERY),
    (sa.Interval(), "-PT1.5M", -dt.timedelta(seconds=90), EVERY),
    (sa.Interval(), "1w", dt.timedelta(days=7), EVERY),
    (sa.Interval(), "90", dt.timedelta(seconds=90), EVERY),
    (sa.Interval(), 1.5, dt.timedelta(seconds=1.5), ["sqlite", "postgresql"]),
    (postgresql.INTERVAL(), "200000d", dt.timedelta(days=200000), ["postgresql"]),
    (sa.Enum(Colour), "red", Colour.red, EVERY),
    (sa.Enum(Colour), "r", Colour.red, EVERY),
    (sa.Enum(Colour), 3, Colour.three, EVERY),
    (sa.Enum(Colour), "3", Colour.three, EVERY),
    (sa.Enum(Held, values_callable=held), "first", Held.ONE, EVERY),
    (sa.Enum(Held, values_callable=held), "TWO", Held.TWO, EVERY),
    (sa.Enum("a", "b", length=1), "b", "b", EVERY),
    (sa.Uuid(), ONE.hex, ONE, EVERY),
    (sa.Uuid(as_uuid=False), ONE.hex, str(ONE), EVERY),
    (sa.LargeBinary(), "AP8=", b"\x00\xff", EVERY),
    (sa.JSON(), '{"a": [1, null]}', {"a": [1, None]}, EVERY),
    (sa.JSON(), {"a": [1, None]}, {"a": [1, None]}, EVERY),
    (sa.JSON(), "null", sa.JSON.NULL, EVERY),
    (sa.JSON(), None, sa.JSON.NULL, EVERY),
    (sa.JSON(none_as_null=True), None, None, EVERY),
    (sa.Integer(), None, None, EVERY),
    (
        sa.ARRAY(sa.Numeric(20, 10)),
        "[1.1234567890, null]",
        [Decimal("1.1234567890"), None],
        ["postgresql"],
    ),
    (sa.ARRAY(sa.Integer), [[1, 2], [3, 4]], [[1, 2], [3, 4]], ["postgresql"]),
    (sa.ARRAY(sa.JSON), '[{"a": 1}, [2], "x"]', [{"a": 1}, [2], "x"], ["postgresql"]),
    (sa.ARRAY(sa.Integer), "[]", [], ["postgresql"]),
    (Lowered(), " ABCDE ", " ABCDE ", EVERY),
    (Instant(), "2026-11-22T09:30Z", dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC), EVERY),
    (Cents(), "12.50", Decimal("12.50"), EVERY),
    (Encoded(), {"a": 1}, {"a": 1}, EVERY),
    (postgresql.INET(), "10.0.0.1", "10.0.0.1", ["postgresql"]),
    (postgresql.TSVECTOR(), "a b", "a b", ["postgresql"]),
    (postgresql.JSONB(), "[1]", [1], ["postgresql"]),
]


@pytest.mark.parametrize(("kind", "given_", "value", "where"), KEPT, ids=names(KEPT))
def test_stored_value(kind: Kind, given_: object, value: object, where: list[str]) -> None:
    for name in where:
        found = convert_stored(given_, kind, "field", BACKENDS[name])
        assert found == value, name
        assert type(found) is type(value), name


REFUSED: list[tuple[Kind, object, list[str], str]] = [
    (sa.SmallInteger(), "32768", EVERY, "not from -32768 to 32767"),
    (sa.Integer(), str(-(2**31) - 1), EVERY, "-2147483648"),
    (sa.BigInteger(), 2**63, EVERY, "9223372036854775807"),
    (sa.Integer(), 10**5000, EVERY, "from"),
    (mysql.INTEGER(unsigned=True), -1, ["mysql"], "from 0"),
    (mysql.TINYINT(), 128, ["mysql"], "-128 to 127"),
    (sa.Integer(), True, EVERY, "no whole number"),
    (sa.Integer(), 1.5, EVERY, "no whole number"),
    (sa.Integer(), [1], EVERY, "no whole number"),
    (sa.Numeric(5, 2), "1.005", EVERY, "its scale is 3, the column's 2"),
    (sa.Numeric(5, 2), "1000", EVERY, "4 digits before the point, the column 3"),
    (sa.Numeric(5), "1.5", EVERY, "scale"),
    (sa.Numeric(), "1.5", ["mysql"], "scale"),
    (sa.Numeric(), "1e-11", ["sqlite"], "scale"),
    (sa.Numeric(30, 10), "1234567890123456", ["sqlite"], "16 digits, 15"),
    (sa.Numeric(30, 10, asdecimal=False), "1234567890123456", ["mysql"], "16 digits, 15"),
    (sa.Numeric(asdecimal=False), "0.12345678901234567890", ["sqlite"], "fewer digits"),
    (sa.Numeric(5, 2), True, EVERY, "no number"),
    (sa.Numeric(5, 2), "NaN", ["sqlite", "mysql"], "NaN"),
    (sa.Numeric(5, 2), "Infinity", EVERY, "Infinity"),
    (sa.Float(), "nan", ["sqlite", "mysql"], "NaN"),
    (sa.Float(), "-inf", ["mysql"], "infinity"),
    (sa.Float(), "1e39", ["mysql"], "too large"),
    (sa.Float(), "1e-50", ["mysql"], "too small"),
    (sa.Float(24), 1e39, ["mysql", "postgresql"], "too large"),
    (sa.Float(), "1e309", EVERY, "too large"),
    (sa.Double(), "-1e-400", EVERY, "too small"),
    (sa.JSON(), "1.0", ["sqlite"], "whole number"),
    (sa.Float(), 10**400, EVERY, "type Float"),
    (sa.Boolean(), 2, EVERY, "type Boolean"),
    (sa.Boolean(), {}, EVERY, "type Boolean"),
    (sa.String(3), "abcd", EVERY, "4 characters, the column 3"),
    (sa.String(3), 5, EVERY, "has to be a text"),
    (sa.String(3), "\0", ["postgresql"], "NUL"),
    (sa.String(3), {"a": HALF}, EVERY, "half a character"),
    (sa.Text(), "é" * 32768, ["mysql"], "65536 bytes, the column 65535"),
    (sa.LargeBinary(2), "AAAA", EVERY, "3 bytes, the column 2"),
    (sa.LargeBinary(), "A" * 87384, ["mysql"], "65538 bytes"),
    (sa.Date(), 5, EVERY, "text"),
    (sa.DateTime(), "2026-11-22T09:30Z", EVERY, "offset"),
    (sa.DateTime(timezone=True), "2026-11-22T09:30", ["postgresql"], "no offset"),
    (sa.DateTime(timezone=True), "2026-11-22T09:30+01:00", ["sqlite", "mysql"], "in UTC"),
    (sa.DateTime(timezone=True), "0001-01-01T00:00+01:00", EVERY, "DateTime"),
    (sa.DateTime(), "2026-11-22T09:30:00.5", ["mysql"], "no fraction of a second"),
    (mysql.DATETIME(fsp=3), "2026-11-22T09:30:00.5005", ["mysql"], "3 digits"),
    (postgresql.TIMESTAMP(precision=0), "2026-11-22T09:30:00.5", ["postgresql"], "no fraction"),
    (sa.Time(), "09:30:00.5", ["mysql"], "no fraction of a second"),
    (sa.Time(), "09:30Z", EVERY, "offset"),
    (sa.Time(timezone=True), "09:30", ["postgresql"], "no offset"),
    (sa.Time(timezone=True), "09:30+01:00:01", ["postgresql"], "whole minutes"),
    (sa.Time(timezone=True), "09:30+01:00", ["sqlite", "mysql"], "in UTC"),
    (sa.Interval(), "0.5s", ["mysql"], "no fraction of a second"),
    (sa.Interval(), "99999999d", ["sqlite", "mysql"], "1970"),
    (sa.Interval(), True, EVERY, "text"),
    (sa.JSON(), {"a": float("nan")}, EVERY, "JSON"),
    (sa.JSON(), '"\\u0000"', ["postgresql"], "NUL"),
    (sa.JSON(), str(2**63), ["sqlite"], "from"),
    (sa.ARRAY(sa.String(2)), '["abc"]', ["postgresql"], "3 characters"),
    (Lowered(), " abcdef", EVERY, "6 characters"),
    (Instant(), "2026-11-22T09:30", EVERY, "Instant refuses it: tzinfo is required"),
    (Cents(), "327.68", EVERY, "32767"),
    (sa.PickleType(), "x", EVERY, "pickled"),
]


@pytest.mark.parametrize(("kind", "given_", "where", "reason"), REFUSED, ids=names(REFUSED))
def test_limit_names_itself(kind: Kind, given_: object, where: list[str], reason: str) -> None:
    for name in where:
        with pytest.raises(UsageError) as caught:
            convert_stored(given_, kind, "price", BACKENDS[name])
        assert caught.value.message.startswith("price="), name
        assert reason in caught.value.message, name
        assert len(caught.value.message) < 300, name


def test_string_of_a_json_file_is_no_json_text() -> None:
    backend = BACKENDS["sqlite"]
    assert convert_stored("1", sa.JSON(), "field", backend) == 1
    assert convert_stored("1", sa.JSON(), "field", backend, from_json=True) == "1"


NOW = [
    ("now", {}),
    ("NOW-90d", {"days": -90}),
    ("now+2h-1d", {"hours": -22}),
    ("now-1w+5m+1s", {"seconds": 301 - 604800}),
]


@pytest.mark.parametrize(("text", "step"), NOW)
@pytest.mark.parametrize("timezone", [False, True])
def test_relative_instant(text: str, step: dict[str, int], timezone: bool) -> None:
    kind = sa.DateTime(timezone=timezone)
    backend = BACKENDS["postgresql"]
    for found in (convert(text, kind, "field"), convert_stored(text, kind, "field", backend)):
        now = dt.datetime.now(dt.UTC) if timezone else dt.datetime.now(dt.UTC).replace(tzinfo=None)
        assert abs(found - now - dt.timedelta(**step)) < dt.timedelta(seconds=5)
        assert found.microsecond == 0


def test_relative_day() -> None:
    today = dt.datetime.now(dt.UTC).date()
    assert convert("today-7d", sa.Date(), "field") == today - dt.timedelta(days=7)
    assert convert("now", sa.Date(), "field") == today
    assert convert("today", sa.DateTime(), "field") == dt.datetime.combine(today, dt.time())


@given(st.timedeltas())
def test_printed_duration_is_read_back(value: dt.timedelta) -> None:
    kind = postgresql.INTERVAL()
    assert convert_stored(plain(value), kind, "field", BACKENDS["postgresql"]) == value


KINDS = [kind for kind, *_ in [*KEPT, *REFUSED]]
SHAPES = st.one_of(
    st.text(),
    st.text(alphabet='0123456789+-.eETPDHMS:Zw[]{}"n,/ '),
    st.sampled_from([text for _, text in WRONG]),
    st.characters(codec=None),
)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), SHAPES),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(KINDS), SHAPES)
def test_any_text_is_a_value_or_our_error(kind: Kind, text: str) -> None:
    try:
        convert(text, kind, "field")
    except UsageError as error:
        assert "field=" in error.message


@given(st.sampled_from(KINDS), DOCUMENTS, st.sampled_from([*BACKENDS.values()]), st.booleans())
def test_any_json_is_a_value_or_our_error(
    kind: Kind, value: object, backend: Backend, from_json: bool
) -> None:
    try:
        convert_stored(value, kind, "field", backend, from_json=from_json)
    except UsageError as error:
        assert "field=" in error.message
        assert len(error.message) < 500
