"""Lookups: on every database the records that the same condition finds in Python."""

import datetime as dt
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, ForeignKey, Interval, Numeric, String, Table, TypeDecorator, event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from conftest import Database
from dbtasks import Project
from dbtasks.engines.base.comparison import ORDER
from dbtasks.errors import UsageError
from dbtasks.lookups.conditions import LOOKUPS, TEXT, split_list
from dbtasks.records import query

pytestmark = pytest.mark.every_value


class Base(DeclarativeBase):
    pass


class Shade(Enum):
    """The order of declaration is neither that of the names nor that of the values."""

    RED = "b"
    AMBER = "c"
    GREEN = "a"


class AutoString(TypeDecorator[str]):
    """Change no value, as the strings of SQLModel."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(String(50))


class Reversed(TypeDecorator[str]):
    """Store a text backwards: its order and its beginning are not those of the column."""

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value and value[::-1]

    process_result_value = process_bind_param


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None] = mapped_column(String(40))
    word: Mapped[str | None] = mapped_column(String(40))
    size: Mapped[int | None]
    day: Mapped[dt.date | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    flag: Mapped[bool | None]
    shade: Mapped[Shade | None]
    span: Mapped[dt.timedelta | None] = mapped_column(Interval(second_precision=6))
    auto: Mapped[str | None] = mapped_column(AutoString())
    turned: Mapped[str | None] = mapped_column(Reversed())
    odd__name: Mapped[int | None]
    range: Mapped[int | None]


links = Table(
    "links",
    Base.metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(50))
    odd__in: Mapped[int | None]
    id__gt: Mapped[int | None]
    people: Mapped[list["Person"]] = relationship(back_populates="team")


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    team: Mapped[Team | None] = relationship(back_populates="people")
    boss: Mapped["Person | None"] = relationship(remote_side="Person.id", back_populates="staff")
    staff: Mapped[list["Person"]] = relationship(back_populates="boss")
    tags: Mapped[list[Tag]] = relationship(secondary=links)


WORDS = ("ann", "bob", "bobby", "eve", "zoe", None)
THINGS: list[dict[str, Any]] = [
    {
        "id": number,
        "text": text,
        "word": WORDS[number % 6],
        "size": (-5, 0, 7, 7, 2**31 - 1, None)[number % 6],
        "day": (dt.date(1999, 12, 31), dt.date(2026, 1, 1), dt.date(2026, 11, 22), None)[
            number % 4
        ],
        "price": (Decimal("-1.50"), Decimal("0.00"), Decimal("9.99"), Decimal(10), None)[
            number % 5
        ],
        "flag": (True, False, None)[number % 3],
        "shade": (Shade.RED, Shade.AMBER, Shade.GREEN, None)[number % 4],
    }
    for number, text in enumerate(
        ["Alice", "alice", "ALICE", "Alice ", "a%b", "a_b", "axb", "A*?[b]", "Ålice", "", None], 1
    )
]

COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "exact": lambda value, given: value == given,
    "ne": lambda value, given: value != given,
    "gt": lambda value, given: place(value) > place(given),
    "gte": lambda value, given: place(value) >= place(given),
    "lt": lambda value, given: place(value) < place(given),
    "lte": lambda value, given: place(value) <= place(given),
}
MATCHED: dict[str, Callable[[str, str], bool]] = {
    "iexact": lambda value, given: value.lower() == given.lower(),
    "contains": lambda value, given: given in value,
    "icontains": lambda value, given: given.lower() in value.lower(),
    "startswith": str.startswith,
    "istartswith": lambda value, given: value.lower().startswith(given.lower()),
    "endswith": str.endswith,
    "iendswith": lambda value, given: value.lower().endswith(given.lower()),
    "regex": lambda value, given: re.search(given, value) is not None,
}


EMPTY = [
    *("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex"),
    *("ne", "gt", "gte"),
]
"""Lookups that nearly every record would meet where the value is empty."""


def place(value: Any) -> Any:
    return list(Shade).index(value) if isinstance(value, Shade) else value


def written(value: Any) -> str:
    return value.name if isinstance(value, Shade) else str(value)


def quoted(value: Any) -> str:
    text = written(value).replace('"', '""')
    return f'"{text}"'


@contextmanager
def filled(url: str) -> Iterator[Project]:
    with Project.configure(Path(), url=url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        with project.session(writes=True) as session:
            session.add_all(Thing(**values) for values in THINGS)
            add_people(session)
        yield project


def add_people(session: Session) -> None:
    """Add three teams, one empty, one without a name; Cid has neither team nor boss."""
    session.add_all(
        [Team(id=1, name="Red", odd__in=1, id__gt=9), Team(id=2), Team(id=3, name="Blue")]
    )
    old, new = Tag(id=1, name="old"), Tag(id=2, name="new")
    session.add_all([old, new])
    session.flush()
    cid = Person(id=1, name="Cid", tags=[old, new])
    session.add(cid)
    ann = Person(id=2, name="Ann", team_id=1, boss=cid, tags=[old])
    session.add(ann)
    session.add(Person(id=3, name="Bob", team_id=1, boss=ann, tags=[new]))
    session.add(Person(id=4, name="Eve", team_id=2, boss=ann))


@pytest.fixture(scope="module")
def things(kept: Database) -> Iterator[Project]:
    """Return things and people that all tests look for, and none changes."""
    with filled(kept.url) as project:
        yield project
        assert found(project) == [row["id"] for row in THINGS]


@pytest.fixture
def more_things(database: Database) -> Iterator[Project]:
    """Return the same, to add others to."""
    with filled(database.url) as project:
        yield project


def found(project: Project, *where: str, model: str = "Thing") -> list[int]:
    return [row[0] for row in query(project, model, where=where, columns=["id"]).rows()]


def expected(column: str, meets: Callable[[Any], bool]) -> list[int]:
    """Return the keys of the rows that meet a condition; NULL meets none."""
    return [row["id"] for row in THINGS if row[column] is not None and meets(row[column])]


def values_of(column: str) -> list[Any]:
    return [value for value in {row[column]: 1 for row in THINGS} if value is not None]


@pytest.mark.parametrize("column", ["text", "word", "size", "day", "price", "flag", "shade"])
def test_comparisons_find_what_python_finds(things: Project, column: str) -> None:
    for lookup, means in COMPARED.items():
        if column == "text" and lookup in ORDER:
            continue  # the order of capitals and accents is that of the column's collation
        for value in values_of(column):
            if value == "" and lookup in EMPTY:
                continue
            where = f"{column}__{lookup}={written(value)}"
            wanted = expected(column, lambda one, v=value, m=means: m(one, v))
            assert found(things, where) == wanted, where
            if lookup == "exact":
                assert found(things, f"{column}={written(value)}") == wanted


@pytest.mark.parametrize("column", ["text", "word", "size", "day", "price", "flag", "shade"])
def test_lists_ranges_and_null(things: Project, column: str) -> None:
    values = values_of(column)
    for pair in zip(values, [*values[1:], values[0]], strict=True):
        text = ",".join(quoted(one) for one in pair)
        wanted = expected(column, lambda one, pair=pair: one in pair)
        assert found(things, f"{column}__in={text}") == wanted
        if column != "text":
            low, high = map(place, pair)
            wanted = expected(column, lambda one, low=low, high=high: low <= place(one) <= high)
            assert found(things, f"{column}__range={text}") == wanted
    there = expected(column, lambda one: True)
    assert found(things, f"{column}__isnull=false") == there
    missing = [row["id"] for row in THINGS if row["id"] not in there]
    assert found(things, f"{column}__isnull=true") == missing != []


@pytest.mark.parametrize("lookup", MATCHED)
def test_text_lookups_find_what_python_finds(things: Project, lookup: str) -> None:
    for value in [*values_of("text"), "A", "a", "CE", "ce", "%", "_", "b]", "[", "å", " "]:
        if value == "" and lookup in EMPTY:
            continue
        given = re.escape(value) if lookup == "regex" else value
        wanted = expected("text", lambda one, given=given: MATCHED[lookup](one, given))
        assert found(things, f"text__{lookup}={given}") == wanted, given


def test_every_lookup_is_tested_here() -> None:
    assert {*COMPARED, *MATCHED, "in", "range", "isnull"} == set(LOOKUPS)


@pytest.mark.parametrize("kept", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["size", "day", "price", "flag", "shade"])
@pytest.mark.parametrize("lookup", TEXT)
def test_text_lookups_are_for_text(things: Project, column: str, lookup: str) -> None:
    with pytest.raises(UsageError, match=f"{lookup} compares text, and {column} is"):
        found(things, f"{column}__{lookup}=1")


def test_an_empty_text_is_found_where_it_is_meant(things: Project) -> None:
    for where in ("text=", "text__exact=", "text__iexact=", 'text__in=""', "text__lte="):
        assert found(things, where) == [10], where
    assert found(things, 'text__in=Alice,""') == found(things, 'text__in="",Alice') == [1, 10]
    assert 10 in found(things, 'text__range="",""')
    with_text = expected("text", bool)
    assert found(things, "text__regex=.") == with_text
    with pytest.raises(UsageError, match="size=''"):
        found(things, "size__in=")


@pytest.mark.parametrize("column", ["text", "auto"])
@pytest.mark.parametrize("lookup", EMPTY)
def test_an_empty_value_never_means_all_records(things: Project, column: str, lookup: str) -> None:
    """A shell makes an empty value of a variable that is not set."""
    with pytest.raises(UsageError, match=f"{column}__{lookup}= has no value") as caught:
        found(things, f"{column}__{lookup}=")
    assert "__" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("text__in=", """'text__in=""'"""),
        ("text__in=a,", """'text__in=a,""'"""),
        ("text__in=,a", """'text__in="",a'"""),
        ('text__in="a,b",', """'text__in="a,b",""'"""),
        ("text__range=,", """'text__range="",""'"""),
        ("text__range=a,", """'text__range=a,""'"""),
        ("text__range=,z", """'text__range="",z'"""),
        ("auto__in=a,,b", """'auto__in=a,"",b'"""),
        ("turned__in=a,", """'turned__in=a,""'"""),
    ],
)
def test_an_empty_item_is_quoted_where_it_is_meant(things: Project, where: str, hint: str) -> None:
    with pytest.raises(UsageError, match="has an empty item") as caught:
        found(things, where)
    assert hint in (caught.value.hint or "")
    found(things, shlex.split(hint)[0])


def test_an_empty_value_of_a_decorated_text(things: Project) -> None:
    with pytest.raises(UsageError, match="turned__ne= has no value") as caught:
        found(things, "turned__ne=")
    assert caught.value.hint == "give it a value, or leave out the condition"


@given(st.lists(st.text(), min_size=1))
def test_any_texts_make_a_list(texts: Sequence[str]) -> None:
    assert split_list(",".join(quoted(one) for one in texts)) == texts
    plain = [re.sub('[",]', "", one) for one in texts]
    assert split_list(",".join(plain)) == plain


def test_an_interval_is_compared(more_things: Project) -> None:
    with more_things.session(writes=True) as session:
        for number, hours in ((101, 1), (102, 30)):
            session.add(Thing(id=number, span=dt.timedelta(hours=hours)))
    assert found(more_things, "span=1h") == [101]
    assert found(more_things, "span__gt=1d") == [102]


def test_a_decorated_text_that_stays_as_it_is_has_every_lookup(more_things: Project) -> None:
    with more_things.session(writes=True) as session:
        for number, value in enumerate(["Ann", "ann", "Bob"], 101):
            session.add(Thing(id=number, auto=value))
    given = {"in": "Ann,x", "range": "Ann,Ann", "isnull": "false", "ne": "Bob", "regex": "^A.n$"}
    for lookup in {*MATCHED, "exact", "in", "regex"}:
        wanted = [101, 102] if lookup.startswith("i") and lookup != "in" else [101]
        assert found(more_things, f"auto__{lookup}={given.get(lookup, 'Ann')}") == wanted, lookup
    for lookup in ("gt", "gte", "lt", "lte", "range", "ne", "isnull"):
        assert set(found(more_things, f"auto__{lookup}={given.get(lookup, 'M')}")) <= {
            101,
            102,
            103,
        }


def test_a_decorated_text_that_is_changed_has_only_equality(more_things: Project) -> None:
    with more_things.session(writes=True) as session:
        for number, value in ((101, "abc"), (102, "xyz")):
            session.add(Thing(id=number, turned=value))
    assert found(more_things, "turned=abc") == [101]
    assert found(more_things, "turned__ne=abc") == [102]
    assert found(more_things, "turned__in=abc,xyz") == [101, 102]
    assert found(more_things, "turned__isnull=false") == [101, 102]
    for lookup in (*TEXT, *ORDER, "range"):
        with pytest.raises(UsageError, match="Reversed"):
            found(more_things, f"turned__{lookup}=a,b")


def test_a_name_that_looks_like_a_lookup_is_the_field(more_things: Project) -> None:
    with more_things.session(writes=True) as session:
        session.add(Thing(id=101, size=1, odd__name=5, range=7))
    assert found(more_things, "odd__name=5") == [101]
    assert found(more_things, "odd__name__gt=4") == [101]
    assert found(more_things, "id__gt=9", model="Team") == [1]
    assert found(more_things, "id__gt__lt=10", model="Team") == [1]
    assert found(more_things, "size__range=1,1") == [101]
    assert found(more_things, "range__range=7,8") == [101]
    assert found(more_things, "team.odd__in=1", model="Person") == [2, 3]
    assert found(more_things, "team.odd__in__in=1,2", model="Person") == [2, 3]


@pytest.mark.parametrize(
    ("model", "where", "keys"),
    [
        ("Person", ["team.name=Red"], [2, 3]),
        ("Person", ["team.name__ne=Red"], []),
        ("Person", ["team.name__istartswith=r", "name=Ann"], [2]),
        ("Person", ["boss.name=Ann"], [3, 4]),
        ("Person", ["boss.boss.name=Cid"], [3, 4]),
        ("Person", ["boss.team.name=Red"], [3, 4]),
        ("Person", ["team_id=1", "boss.name=Cid"], [2]),
        ("Team", ["people.name__in=Ann,Bob"], [1]),
        ("Team", ["people.boss.name=Ann"], [1, 2]),
        ("Team", ["people.tags.name=old"], [1]),
        ("Team", ["people.team.people.name=Bob"], [1]),
        ("Person", ["tags.id__gte=1"], [1, 2, 3]),
        ("Person", ["tags.name=old", "tags.name=new"], [1]),
        ("Person", ["staff.name=Eve"], [2]),
        ("Person", ["staff.staff.name=Eve"], [1]),
        ("Person", ["team__isnull=true"], [1]),
        ("Person", ["team__isnull=false"], [2, 3, 4]),
        ("Person", ["boss__isnull=true"], [1]),
        ("Person", ["boss.boss__isnull=true"], [1, 2]),
        ("Person", ["boss.boss__isnull=false"], [3, 4]),
        ("Person", ["team.name__isnull=true"], [1, 4]),
        ("Person", ["team.name__isnull=false"], [2, 3]),
        ("Person", ["boss.team.name__isnull=true"], [1, 2]),
        ("Person", ["boss.team.name__isnull=false"], [3, 4]),
        ("Person", ["tags__isnull=true"], [4]),
        ("Person", ["staff__isnull=false"], [1, 2]),
        ("Team", ["people__isnull=true"], [3]),
        ("Team", ["people.boss__isnull=true"], [3]),
    ],
)
def test_paths(things: Project, model: str, where: list[str], keys: list[int]) -> None:
    """Each record comes once, though several objects behind it meet the condition."""
    assert found(things, *where, model=model) == keys
    assert query(things, model, where=where).count() == len(keys)


@pytest.mark.parametrize("kept", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("where", "words", "hint"),
    [
        ("nam=x", "Person has no field 'nam'", "did you mean name?"),
        ("nam__exact=x", "Person has no field 'nam'", "did you mean name?"),
        ("name__startwith=x", "no lookup 'startwith'", "did you mean startswith?"),
        ("team.name__startwith=x", "no lookup 'startwith'", "did you mean startswith?"),
        ("team__name=x", "no lookup 'name'", "a path has points: team.name"),
        ("teem.name=x", "Person has no relationship 'teem' (in teem.name)", "did you mean team?"),
        ("name.id=x", "Person has no relationship 'name'", "team"),
        ("team.nam=x", "Team has no field 'nam' (in team.nam)", "did you mean name?"),
        ("team_id__x__y=1", "no field 'team_id__x__y'", "did you mean"),
        ("team=1", "team is a relationship", "team.id"),
        ("tags__in=1", "tags is a relationship", "tags.id"),
        ("id__range=1", "has no two ends", "FROM,TO"),
        ("id__isnull=maybe", "isnull='maybe' is not a value of type Boolean", "true or false"),
        ("name__regex=(", "no regular expression", "backslash"),
    ],
)
def test_what_is_not_there(things: Project, where: str, words: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        query(things, "Person", where=[where])
    assert hint in (caught.value.hint or "")


INJECTED = ["1=1 OR id", "id; DROP TABLE person", "id) OR (1=1", "lower(name)", "name, id", '"id"']


@pytest.mark.parametrize("kept", ["sqlite"], indirect=True)
@pytest.mark.parametrize("text", INJECTED)
def test_sql_as_a_name_is_refused_and_nothing_is_sent(things: Project, text: str) -> None:
    sent: list[str] = []
    event.listen(things.engine(), "before_cursor_execute", lambda *given: sent.append(given[2]))
    asked: list[dict[str, Any]] = [
        {"where": [f"{text}=1"]},
        {"where": [f"{text}__gt=1"]},
        {"where": [f"team.{text}=1"]},
        {"where": [f"id__{text}=1"]},
        {"order_by": [text]},
        {"order_by": [f"-{text}"]},
        {"order_by": [f"{text} DESC"]},
        {"columns": [text]},
    ]
    for one in asked:
        with pytest.raises(UsageError):
            query(things, "Person", **one)
    assert sent == []


FIELDS = [
    *("id", "text", "size", "day", "price", "flag", "shade", "span", "auto", "turned"),
    *("odd__name", "range", "nothing", ""),
]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}{}={}".format,
            st.sampled_from(FIELDS),
            st.one_of(
                st.just(""), st.sampled_from([f"__{one}" for one in LOOKUPS if one != "regex"])
            ),
            st.one_of(
                st.text(),
                st.integers().map(str),
                st.decimals().map(str),
                st.dates().map(str),
                st.sampled_from(["true", "RED", "1,2", "1d", "now-90000000d", "NaN", "a,\udc80"]),
            ),
        ),
    )
)
@example("text=a\0b")
@example("text__contains=\0")
@example("text__in=a,\0")
@example("auto__gt=\0")
@example("size__in=1,,2")
@example("price__gt=1E999999")
@example("price=INFINITY")
@example("day__range=0001-01-01,9999-12-31")
@example("span=-62135596801")
@example("span=0.5")
def test_any_condition_works_or_is_refused(things: Project, text: str) -> None:
    try:
        asked = query(things, "Thing", where=[text])
    except UsageError as error:
        assert error.message
    else:
        asked.count()


@pytest.mark.parametrize("kept", ["sqlite"], indirect=True)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
@example("(?P<a>x)(?P<a>y)")
@example("a{999999999999999999999}")
def test_any_regular_expression_works_or_is_refused(things: Project, text: str) -> None:
    try:
        query(things, "Thing", where=[f"text__regex={text}"]).count()
    except UsageError as error:
        assert error.hint
