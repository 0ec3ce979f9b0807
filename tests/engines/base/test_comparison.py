"""Values are compared and sorted by what they are, whatever their spelling in the database."""

import datetime as dt
import enum
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from conftest import Database
from dbtasks import Project
from dbtasks.cells import plain
from dbtasks.errors import Rejected, UsageError
from dbtasks.fixtures import dumpdata, loaddata
from dbtasks.records import add, delete, get, query, update

MEANINGS = {"exact": eq, "gt": gt, "gte": ge, "lt": lt, "lte": le}


class Aware(sa.TypeDecorator[dt.datetime]):
    """Store instants in UTC without an offset, and give them back with it."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return value and value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return value and value.replace(tzinfo=value.tzinfo or dt.UTC)


SLASHES = sqlite.DATETIME(
    storage_format="%(month)02d/%(day)02d/%(year)04d %(hour)02d:%(minute)02d",
    regexp=r"(?P<month>\d+)/(?P<day>\d+)/(?P<year>\d+) (?P<hour>\d+):(?P<minute>\d+)",
)


class Base(DeclarativeBase):
    pass


class Shade(enum.Enum):
    """Declared in another order than that of the names."""

    RED = 1
    AMBER = 2
    GREEN = 3


class Visit(Base):
    """Keyed by an instant, and seen by others."""

    __tablename__ = "visit"
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now(), primary_key=True)
    note: Mapped[str | None] = mapped_column(sa.String(20))
    shade: Mapped[Shade | None]


class Trip(Base):
    __tablename__ = "trip"
    at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column(sa.String(20))


class Stay(Trip):
    """Keyed by the instant of the trip that it is."""

    __tablename__ = "stay"
    at: Mapped[dt.datetime] = mapped_column(sa.ForeignKey("trip.at"), primary_key=True)
    nights: Mapped[int | None]


class Count(Base):
    __tablename__ = "count"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int | None] = mapped_column(index=True)


class Rate(Base):
    """Keyed by an amount and a day."""

    __tablename__ = "rate"
    amount: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2), primary_key=True)
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column(sa.String(20))


log = sa.Table(
    "log",
    Base.metadata,
    sa.Column("at", sa.DateTime, primary_key=True),
    sa.Column("note", sa.String(20)),
)


class Sight(Base):
    __tablename__ = "sight"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(sa.ForeignKey("visit.at"))


class Measure(Base):
    """What databases with types compare in another way than they show it."""

    __tablename__ = "measure"
    id: Mapped[int] = mapped_column(primary_key=True)
    single: Mapped[Any | None] = mapped_column(sa.Float(24))
    document: Mapped[Any | None] = mapped_column(sa.JSON)
    flag: Mapped[bool | None]


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    instant: Mapped[Any | None] = mapped_column(sa.DateTime, index=True)
    whole: Mapped[Any | None] = mapped_column(sqlite.DATETIME(truncate_microseconds=True))
    zoned: Mapped[Any | None] = mapped_column(sa.DateTime(timezone=True))
    aware: Mapped[Any | None] = mapped_column(Aware)
    slashes: Mapped[Any | None] = mapped_column(SLASHES, index=True)
    day: Mapped[Any | None] = mapped_column(sa.Date, index=True)
    time: Mapped[Any | None] = mapped_column(sa.Time)
    span: Mapped[Any | None] = mapped_column(sa.Interval, index=True)
    price: Mapped[Any | None] = mapped_column(sa.Numeric(8, 2), index=True)
    wide: Mapped[Any | None] = mapped_column(sa.Numeric)
    double: Mapped[Any | None] = mapped_column(sa.Double, index=True)
    real: Mapped[Any | None] = mapped_column(sa.REAL)
    exact: Mapped[Any | None] = mapped_column(sa.Float(asdecimal=True))
    flag: Mapped[Any | None] = mapped_column(sa.Boolean, index=True)
    document: Mapped[Any | None] = mapped_column(sa.JSON)
    uid: Mapped[Any | None] = mapped_column(sa.Uuid, index=True)


days = st.one_of(
    st.dates(dt.date(2020, 12, 27), dt.date(2021, 1, 5)),  # weeks of two years
    st.dates(),
    st.sampled_from([dt.date.min, dt.date.max]),
)
times = st.sampled_from(
    ["", "T00:00", " 00:00:00", " 00:00:00.000", "T00:00:00.000001", " 23:59:59.999999", "x12"]
)
offsets = st.sampled_from(["", "", "Z", "+00:00", "+02:00", "-23:59", "+14:30"])
basic = st.sampled_from([dt.date.isoformat, lambda day: day.isoformat().replace("-", "")])


@st.composite
def spelled_days(draw: st.DrawFn) -> str:
    day = draw(days)
    year, week, weekday = day.isocalendar()
    return draw(
        st.sampled_from(
            [
                day.isoformat(),
                day.isoformat().replace("-", ""),
                f"{year:04}-W{week:02}-{weekday}",
                f"{year:04}W{week:02}{weekday}",
            ]
        )
    )


@st.composite
def spelled_instants(draw: st.DrawFn) -> str:
    day, time = draw(spelled_days()), draw(times)
    return f"{day}{time}{draw(offsets) if time else ''}"


@st.composite
def spelled_times(draw: st.DrawFn) -> str:
    time = draw(
        st.sampled_from(["10:00", "10:00:00.000000", "T10", "08:00:00.5", "23:59", "00:00"])
    )
    return time + draw(offsets)


slashes = st.datetimes(dt.datetime(1000, 1, 1)).map(lambda at: f"{at:%m/%d/%Y %H:%M}")
numbers = st.one_of(
    st.sampled_from([0, 1, 0.1, 0.3, 0.1 + 0.2, 1.005, -1.5, 2**53, 1e15]),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6),
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([1.0, 0.5, "", "1", "true"]),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(st.sampled_from("ab"), one, max_size=2),
    max_leaves=4,
)


@st.composite
def spelled_documents(draw: st.DrawFn) -> str:
    value = draw(documents)
    if isinstance(value, dict) and draw(st.booleans()):
        value = dict(reversed(value.items()))
    return json.dumps(value, separators=draw(st.sampled_from([(",", ":"), (", ", " : ")])))


@st.composite
def spelled_uuids(draw: st.DrawFn) -> str:
    value = draw(st.sampled_from([1, 0xABCDEF, 2**127 + 0xA])) if draw(st.booleans()) else None
    text = f"{value:032x}" if value else draw(st.uuids()).hex
    text = draw(
        st.sampled_from([text, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"])
    )
    shape = draw(st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}"]))
    return shape.format(draw(st.sampled_from([text, text.upper()])))


SPELLED: dict[str, st.SearchStrategy[Any]] = {
    "instant": spelled_instants(),
    "whole": spelled_instants(),
    "zoned": spelled_instants(),
    "aware": spelled_instants().filter(lambda text: not text.startswith(("0001", "9999"))),
    "slashes": slashes,
    "day": spelled_days(),
    "time": spelled_times(),
    "span": spelled_days(),
    "price": numbers,
    "wide": numbers,
    "double": numbers,
    "real": numbers,
    "exact": numbers,
    "flag": st.sampled_from([0, 1, 2, -1, 0.5, "", "t", "false"]),
    "document": spelled_documents(),
    "uid": spelled_uuids(),
}


@pytest.fixture
def things(database: Database, tmp_path: Path) -> Iterator[Project]:
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        yield project


def store(project: Project, field: str, stored: Sequence[Any]) -> None:
    with project.connect(writes=True) as connection:
        connection.exec_driver_sql("DELETE FROM thing")
        for number, value in enumerate(stored, 1):
            connection.exec_driver_sql(
                f"INSERT INTO thing (id, {field}) VALUES (?, ?)", (number, value)
            )


def found(
    project: Project, *where: str, model: str = "Thing", order: Sequence[str] = ()
) -> list[int]:
    asked = query(project, model, where=where, order_by=order, columns=["id"])
    return [row[0] for row in asked.rows()]


def typed(value: Any) -> str:
    """Return a value as `query` prints it in a table."""
    return json.dumps(value) if isinstance(value, bool) else str(plain(value))


def place(value: Any) -> Any:
    """Return what orders values: instants without an offset are UTC."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC)
    if isinstance(value, dt.time):
        return value.replace(tzinfo=value.tzinfo or dt.UTC)
    return value


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def same(one: Any, other: Any) -> bool:
    """Compare instants in UTC, and documents as JSON does, whose true is not 1."""
    if isinstance(one, (dt.datetime, dt.time, Decimal)):
        return bool(place(one) == place(other))
    return json.dumps(numbered(one), sort_keys=True, default=str) == json.dumps(
        numbered(other), sort_keys=True, default=str
    )


def numbered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: numbered(one) for name, one in value.items()}
    if isinstance(value, list):
        return [numbered(one) for one in value]
    return float(value) if type(value) is int else value


def check_all_lookups(project: Project, field: str, model: str = "Thing") -> None:
    """Hold the lookups against Python's comparison of what is printed."""
    printed = dict(query(project, model, columns=["id", field]).rows())
    orders = field not in ("document", "aware")  # the order of a decorator's values is its own
    for value in printed.values():
        shown = json.dumps(value) if field == "document" else typed(value)
        for lookup, means in MEANINGS.items() if orders else ():
            wanted = [key for key, one in printed.items() if means(place(one), place(value))]
            assert found(project, f"{field}__{lookup}={shown}", model=model) == wanted, lookup
        wanted = [key for key, one in printed.items() if same(one, value)]
        others = [key for key in printed if key not in wanted]
        assert found(project, f"{field}={shown}", model=model) == wanted
        assert found(project, f"{field}__ne={shown}", model=model) == others
        assert found(project, f"{field}__in={quoted(shown)}", model=model) == wanted
        if orders:
            both = f"{quoted(shown)},{quoted(shown)}"
            assert found(project, f"{field}__range={both}", model=model) == wanted
    if field != "document":
        up = sorted(printed, key=lambda key: (place(printed[key]), key))
        assert found(project, order=[field], model=model) == up


@pytest.mark.every_value
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("field", SPELLED)
def test_what_is_printed_is_found_and_sorted_by_value(things: Project, field: str) -> None:
    assert {*SPELLED} == {*Thing.__table__.columns.keys()} - {"id"}

    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(SPELLED[field], min_size=2, max_size=4))
    @example([0, -0.00390625] if field in ("price", "wide") else [])
    def compare(stored: list[Any]) -> None:
        store(things, field, stored)
        try:
            list(query(things, "Thing", columns=[field]).rows())
        except Rejected:  # 20201227 becomes a number, of which none makes an instant
            return
        check_all_lookups(things, field)

    compare()


INDEXED = {
    "instant": ["=2021-06-30T10:00", "__in=2021-01-01,2021-06-30", "__range=2021-01-01,2021-01-02"],
    "day": ["=2021-06-30", "__in=2021-06-30,2021-01-01", "__range=2021-01-01,2021-01-02"],
    "span": ["=1d"],
    "price": ["=1.50", "__in=1,2", "__range=1,2"],
    "double": ["=0.1", "__in=0.1,2", "__range=1,2"],
    "number": ["=1", "__in=1,2", "__range=1,2"],
    "flag": ["=false"],
    "uid": ["=12345678-1234-5678-1234-567812345678"],
}
OPEN = {"instant": "2021-06-30", "day": "2021-06-30", "price": "1.50", "double": "0.1"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_index_is_used(things: Project) -> None:
    for field, conditions in INDEXED.items():
        for condition in conditions:
            model = "Count" if field == "number" else "Thing"
            _, plan = query(things, model, where=[f"{field}{condition}"]).explain()
            steps = [str(row[-1]) for row in plan]
            assert any(f"ix_{model.lower()}_{field}" in one for one in steps), (condition, steps)
            assert not any(one.startswith("SCAN") for one in steps), (condition, steps)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lookup", ["lt", "lte", "gt", "gte"])
def test_an_index_is_used_where_no_order_is_asked_for(things: Project, lookup: str) -> None:
    for field, value in OPEN.items():
        [criterion] = query(things, "Thing", where=[f"{field}__{lookup}={value}"]).criteria
        statement = sa.select(Thing.id).where(criterion)
        with things.connect() as connection:
            _, plan = things.backend.plan_of(connection, statement)
        assert f"ix_thing_{field}" in str([*plan]), field


SPELLINGS = ["2021-01-01", "2021-01-02 00:00:00", "2021-01-03T00", "20210104T00"]
"""Midnights of four days."""


@pytest.fixture
def visits(things: Project) -> Project:
    with things.connect(writes=True) as connection:
        for number, text in enumerate(SPELLINGS, 1):
            connection.exec_driver_sql("INSERT INTO visit (at) VALUES (?)", (text,))
            connection.exec_driver_sql("INSERT INTO sight VALUES (?, ?)", (number, text))
    return things


def stored(project: Project) -> list[str]:
    with project.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT at FROM visit ORDER BY at")]


only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@only_sqlite
def test_what_its_type_cannot_read_meets_no_condition(things: Project) -> None:
    with things.connect(writes=True) as connection:
        for number, (day, uid) in enumerate([("2021-1-1", ""), ("x", "y"), (None, None)], 1):
            row = (number, day, day, uid)
            insert = "INSERT INTO thing (id, day, instant, uid) VALUES (?, ?, ?, ?)"
            connection.exec_driver_sql(insert, row)
    uid = "12345678-1234-5678-1234-567812345678"
    for field, value in (("day", "2015-01-01"), ("instant", "2021-01-01"), ("uid", uid)):
        for lookup in ("ne", "gt", "lte", "in", "exact"):
            where = [f"{field}__{lookup}={value}"]
            assert list(query(things, "Thing", columns=["id"], where=where).rows()) == [], where


@only_sqlite
def test_infinity_is_found(things: Project) -> None:
    with things.connect(writes=True) as connection:
        for number, value in enumerate([math.inf, -math.inf, 1.5], 1):
            connection.exec_driver_sql(
                "INSERT INTO thing (id, double) VALUES (?, ?)", (number, value)
            )
    for where, wanted in (
        ("double=inf", [1]),
        ("double__gte=inf", [1]),
        ("double__in=inf,1.5", [1, 3]),
        ("double__ne=inf", [2, 3]),
        ("double__lte=-inf", [2]),
        ("double__range=-inf,inf", [1, 2, 3]),
    ):
        rows = query(things, "Thing", columns=["id"], where=[where], order_by=["id"]).rows()
        assert [row[0] for row in rows] == wanted, where


@pytest.mark.every_value
@only_sqlite
@pytest.mark.parametrize(("at", "shade"), [("20210101", None), ("2021-01-01", "PINK")])
def test_a_stored_value_that_its_type_cannot_read(
    things: Project, tmp_path: Path, at: str, shade: str | None
) -> None:
    """It is neither a bug of ours nor the project's code; dumpdata says which value it is."""
    with things.connect(writes=True) as connection:
        insert = "INSERT INTO visit (at, shade) VALUES (?, ?)"
        connection.exec_driver_sql(insert, (at, shade))
    asked = query(things, "Visit")
    for ask in (
        lambda: list(asked.rows()),
        lambda: list(asked.objects()),
        lambda: list(asked.texts()),
        lambda: delete(things, "Visit", everything=True, on_preview=lambda _: None),
    ):
        with pytest.raises(Rejected, match="a stored value is not of its column's type") as caught:
            ask()
        assert "dumpdata names its row and column" in (caught.value.hint or "")
    with pytest.raises(Rejected, match="visit at"):
        dumpdata(things, ["Visit"], output=tmp_path / "dump.jsonl")
    assert delete(things, "Visit", everything=True).matched == 1


@only_sqlite
def test_what_the_database_gives_a_row_by_default_is_that_instant(things: Project) -> None:
    add(things, "Visit", values=["note=x"])
    [(at,)] = query(things, "Visit", columns=["at"]).rows()
    for where in (f"at__lt={at.isoformat()}", f"at__gt={at.isoformat()}"):
        assert delete(things, "Visit", where=[where]).matched == 0
    for where in (f"at={at}", f"at__lte={at}", f"at__gte={at}", f"at__range={at},{at}"):
        assert query(things, "Visit", where=[where]).count() == 1, where
    assert get(things, "Visit", pk=[str(at)]).values["note"] == "x"


@only_sqlite
@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_a_key_is_an_instant(visits: Project, day: int) -> None:
    key = f"2021-01-0{day}T00:00:00"
    assert get(visits, "Visit", pk=[key]).values["note"] is None
    previews: list[Any] = []
    done = update(visits, "Visit", pk=[key], values=["note=new"], on_preview=previews.append)
    assert (done.matched, done.changed) == (1, 1)
    assert [row[1] for row in previews[0].after] == ["new"]
    assert stored(visits) == sorted(SPELLINGS)


@only_sqlite
@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_upsert_changes_the_row_of_that_instant(visits: Project, day: int) -> None:
    record = [{"at": f"2021-01-0{day}T00:00:00", "note": "new"}] * 2
    previews: list[Any] = []
    done = add(visits, "Visit", records=record, upsert=True, on_preview=previews.append)
    assert done.overwritten == 2
    assert [row[1] for row in previews[0].after] == ["new", "new"]
    assert stored(visits) == sorted(SPELLINGS)
    assert found_notes(visits, "visit") == [("new",)]


@only_sqlite
def test_upsert_finds_keys_of_all_kinds_by_value(visits: Project) -> None:
    with visits.connect(writes=True) as connection:
        connection.exec_driver_sql("INSERT INTO trip VALUES ('2021-01-01', 'old')")
        connection.exec_driver_sql("INSERT INTO stay VALUES ('2021-01-01', 1)")
        connection.exec_driver_sql("INSERT INTO rate VALUES (1.504, '2021-W01-1', 'old')")
        connection.exec_driver_sql("INSERT INTO rate VALUES ('1,5', '2021-01-05', NULL)")
        connection.exec_driver_sql("INSERT INTO log VALUES ('2021-01-01', 'old')")
    midnight = "2021-01-01T00:00:00"
    add(visits, "Stay", values=[f"at={midnight}", "nights=2", "note=new"], upsert=True)
    add(visits, "Rate", values=["amount=1.5", "day=2021-01-04", "note=new"], upsert=True)
    add(visits, "log", values=[f"at={midnight}", "note=new"], upsert=True)
    with visits.connect() as connection:
        stays = connection.exec_driver_sql("SELECT * FROM stay JOIN trip USING (at)").all()
        rates = connection.exec_driver_sql("SELECT * FROM rate WHERE note IS NOT NULL").all()
        logs = connection.exec_driver_sql("SELECT * FROM log").all()
    assert [*map(tuple, stays)] == [("2021-01-01", 2, "new")]
    assert [*map(tuple, rates)] == [(1.504, "2021-W01-1", "new")]
    assert [*map(tuple, logs)] == [("2021-01-01", "new")]


@only_sqlite
def test_a_file_changes_the_rows_of_its_keys_by_value(visits: Project, tmp_path: Path) -> None:
    with visits.connect(writes=True) as connection:
        connection.exec_driver_sql("INSERT INTO rate VALUES (1.504, '2021-W01-1', 'old')")
    file = tmp_path / "visits.csv"
    days = [f"2021-01-0{day}T00:00:00,new" for day in range(1, 6)]
    file.write_text("\n".join(["at,note", *days, ""]))
    loaddata(visits, str(file), model="Visit", ignore_existing=True)
    assert found_notes(visits, "visit") == [("new",)]
    done = loaddata(visits, str(file), model="Visit", upsert=True)
    assert [(one.rows, one.existing) for one in done] == [(5, 5)]
    assert stored(visits) == sorted([*SPELLINGS, "2021-01-05 00:00:00.000000"])
    assert found_notes(visits, "visit") == [("new",)] * 5
    file.write_text("amount,day,note\n1.50,2021-01-04,new\n1.50,2021-01-05,other\n")
    loaddata(visits, str(file), model="Rate", upsert=True)
    assert found_notes(visits, "rate") == [("new",), ("other",)]


def found_notes(project: Project, table: str) -> list[tuple[str]]:
    with project.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT note FROM {table} WHERE note IS NOT NULL")
        return [tuple(row) for row in rows]


@only_sqlite
@pytest.mark.parametrize("size", [1, 3])
def test_batches_leave_no_record_out(visits: Project, size: int) -> None:
    done = update(visits, "Visit", everything=True, values=["note=new"], batch_size=size)
    assert done.matched == 4
    where = ["at__lt=2021-01-03"]
    with visits.connect(writes=True) as connection:
        connection.exec_driver_sql("DELETE FROM sight")
    assert delete(visits, "Visit", where=where, batch_size=size).matched == 2
    assert stored(visits) == sorted(SPELLINGS[2:])


@only_sqlite
def test_a_dump_of_some_rows_brings_those_that_they_refer_to(
    visits: Project, tmp_path: Path
) -> None:
    path = tmp_path / "some.jsonl"
    dumped = dumpdata(visits, where=["Sight.id__gte=1"], output=path)
    assert dumped.tables == {"visit": 4, "sight": 4}
    dumped = dumpdata(visits, where=["Visit.at__lte=2021-01-02"], follow=True, output=path)
    assert dumped.tables == {"visit": 2, "sight": 2}


MANY = {
    "visit.at": [
        "2021-01-02",
        *(str(dt.date(1990, 1, 1) + dt.timedelta(days=i)) for i in range(1500)),
    ],
    "thing.price": [f"{i}.50" for i in range(1500)],
    "thing.day": [str(dt.date(2020, 1, 1) + dt.timedelta(days=i)) for i in range(1500)],
    "thing.uid": [f"12345678-1234-5678-1234-{i:012}" for i in range(1500)],
}


@pytest.mark.every_value
@only_sqlite
@pytest.mark.parametrize("field", MANY)
def test_any_number_of_values(visits: Project, field: str) -> None:
    table, _, column = field.partition(".")

    def found(*where: str) -> list[str]:
        rows = query(visits, table=table, columns=[column], where=where).rows()
        return sorted(typed(one) for (one,) in rows)

    every = MANY[field]
    halves = [found(f"{column}__in={','.join(some)}") for some in (every[::2], every[1::2])]
    assert found(f"{column}__in={','.join(every)}") == sorted(halves[0] + halves[1])
    assert column != "at" or halves[0] + halves[1]


@only_sqlite
@pytest.mark.parametrize("kind", ["TEXT", "BLOB", "", "INTEGER", "REAL"])
def test_whole_numbers_may_be_texts(things: Project, kind: str) -> None:
    with things.connect(writes=True) as connection:
        connection.exec_driver_sql("DROP TABLE count")
        connection.exec_driver_sql(f"CREATE TABLE count (id TEXT PRIMARY KEY, number {kind})")
        for number, value in enumerate(["5", 5, "10", "05", " 5", "9"], 1):
            connection.exec_driver_sql("INSERT INTO count VALUES (?, ?)", (str(number), value))

    def found_where(*where: str) -> list[str]:
        return [str(row[0]) for row in query(things, "Count", where=where).rows()]

    assert found_where("number=5") == ["1", "2", "4", "5"]
    assert found_where("number__in=5,9") == ["1", "2", "4", "5", "6"]
    assert found_where("number__ne=5") == ["3", "6"]
    assert found_where("number__gte=9") == ["3", "6"]
    assert found_where("number__range=9,10") == ["3", "6"]
    assert found_where("id=3") == ["3"]
    assert update(things, "Count", pk=["3"], values=["number=7"]).matched == 1
    add(things, "Count", values=["id=3", "number=8"], upsert=True)
    assert found_where("number=8") == ["3"]


@only_sqlite
def test_columns_without_a_type_hold_anything(things: Project) -> None:
    with things.connect(writes=True) as connection:
        connection.exec_driver_sql("CREATE TABLE loose (id INTEGER PRIMARY KEY, a)")
        values = [5, 5.0, "5", "abc", 1.5, "10", 9, b"ab"]
        for number, value in enumerate(values, 1):
            connection.exec_driver_sql("INSERT INTO loose VALUES (?, ?)", (number, value))

    def loose(where: str) -> list[int]:
        return [row[0] for row in query(things, table="loose", where=[where]).rows()]

    assert loose("a=5") == [1, 2, 3]
    assert loose("a=abc") == [4]
    assert loose("a=YWI=") == [8]
    assert loose("a__in=1.5,10") == [5, 6]
    assert loose("a__gt=5") == [7]
    assert loose("a__lte=5") == [1, 2, 5]
    assert loose("a__gt=aaa") == [4]
    assert loose("a__lt=b") == [3, 4, 6]


SINGLES = [0.1, 1.1, 0.30000001192092896, -2.5, 16777216.0, 0.0, 3.4e38]


def measured(project: Project, field: str) -> dict[int, Any]:
    return dict(query(project, "Measure", columns=["id", field]).rows())


def test_numbers_of_single_precision_are_found_by_what_is_printed(things: Project) -> None:
    with things.connect(writes=True) as connection:
        rows = [{"id": number, "single": one} for number, one in enumerate(SINGLES, 1)]
        connection.execute(sa.insert(Measure), rows)
    printed = measured(things, "single")
    between = [
        0.10000000001,
        0.09999999999,
        1.15,
        1e-9,
        -1e300 if things.backend.stores_infinity else -9,
    ]
    for value in [*printed.values(), *between]:
        for lookup, means in MEANINGS.items():
            wanted = [key for key, one in printed.items() if means(one, value)]
            where = f"single__{lookup}={value!r}"
            assert found(things, where, model="Measure") == wanted, where
    up = sorted(printed, key=lambda key: printed[key])
    assert found(things, model="Measure", order=["single"]) == up


def test_documents_are_compared_by_value(things: Project) -> None:
    documents = [{"a": 1, "b": [True]}, [1, 2], [2, 1], "1", 1, True, {}]
    with things.connect(writes=True) as connection:
        for number, one in enumerate(documents, 1):
            connection.execute(sa.insert(Measure).values(id=number, document=one))
    for number, one in enumerate(documents, 1):
        texts = [json.dumps(one, separators=(",", ":")), json.dumps(one, indent=1)]
        for text in texts:
            assert found(things, f"document={text}", model="Measure") == [number], text
    assert found(things, 'document={"b": [true], "a": 1.0}', model="Measure") == [1]
    assert 1 not in found(things, 'document__ne={"b": [true], "a": 1}', model="Measure")
    done = update(things, "Measure", pk=["1"], values=['document={"b":[true],"a":1}'])
    assert (done.matched, done.changed) == (1, 0)
    with pytest.raises(UsageError, match="have no order"):
        found(things, "document__gt=1", model="Measure")
    assert len(found(things, model="Measure", order=["document"])) == len(documents)


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_any_number_but_zero_is_true(things: Project) -> None:
    with things.connect(writes=True) as connection:
        for number, one in enumerate([0, 1, 2, -1], 1):
            connection.exec_driver_sql(f"INSERT INTO measure (id, flag) VALUES ({number}, {one})")
    assert found(things, "flag=true", model="Measure") == [2, 3, 4]
    assert found(things, "flag__gte=true", model="Measure") == [2, 3, 4]
    assert found(things, "flag__lt=true", model="Measure") == [1]
    assert found(things, "flag__ne=true", model="Measure") == [1]
    assert found(things, model="Measure", order=["flag"]) == [1, 2, 3, 4]


def test_enums_are_sorted_as_they_are_declared(things: Project) -> None:
    with things.session(writes=True) as session:
        for day, shade in enumerate((Shade.GREEN, Shade.AMBER, Shade.RED), 1):
            session.add(Visit(at=dt.datetime(2021, 1, day), shade=shade))
    asked = query(things, "Visit", order_by=["shade"], columns=["shade"])
    assert [one for (one,) in asked.rows()] == [*Shade]
