"""What is typed for a project's own type is what its Python value is then, or is refused."""

import datetime as dt
import enum
import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.mysql import LONGBLOB
from sqlalchemy.orm import DeclarativeBase

from conftest import Database
from dbtasks import Project
from dbtasks.cells import DocumentText
from dbtasks.engines import backend_for
from dbtasks.errors import UsageError
from dbtasks.records import add, query, update
from dbtasks.values import convert, convert_stored
from dbtasks.values.decorators import RoundTrip

pytestmark = pytest.mark.every_value


class Decorator(sa.TypeDecorator[Any]):
    impl = sa.Text

    def __init_subclass__(cls) -> None:
        cls.cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else self.bind(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else self.result(value)

    def bind(self, value: Any) -> Any:
        return value

    def result(self, value: Any) -> Any:
        return value


class Document(Decorator):
    bind, result = staticmethod(json.dumps), staticmethod(json.loads)


class Tags(Decorator):
    bind = staticmethod(",".join)

    def result(self, value: str) -> list[str]:
        return value.split(",") if value else []


class Labels(Tags):
    """A set, in an order of its own."""

    def bind(self, value: Any) -> str:
        return ",".join(sorted(value))

    def result(self, value: str) -> Any:
        return set(value.split(",")) if value else set()


class Yes(Decorator):
    impl = sa.String(1)

    def bind(self, value: Any) -> str:
        return "Y" if value else "N"

    def result(self, value: str) -> bool:
        return value == "Y"


class Cents(Decorator):
    impl = sa.Integer

    def bind(self, value: Any) -> int:
        return int(value * 100)

    def result(self, value: int) -> Decimal:
        return Decimal(value) / 100


class Epoch(Decorator):
    impl = sa.BigInteger

    def bind(self, value: dt.datetime) -> int:
        return int(value.timestamp())

    def result(self, value: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(value, dt.UTC)


class Utc(Decorator):
    impl = sa.DateTime

    def bind(self, value: dt.datetime) -> dt.datetime:
        if value.tzinfo is None:
            raise ValueError("a time zone is required")
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def result(self, value: dt.datetime) -> dt.datetime:
        return value.replace(tzinfo=dt.UTC)


class Moment(Decorator):
    """An instant as Python writes it, which also reads other spellings."""

    bind, result = staticmethod(str), staticmethod(dt.datetime.fromisoformat)


class Count(Decorator):
    bind, result = staticmethod(str), staticmethod(int)


class Plain(Decorator):
    bind, result = staticmethod(str), staticmethod(UUID)


class Guid(Decorator):
    impl = sa.String(36)

    def bind(self, value: Any) -> str:
        return str(value if isinstance(value, UUID) else UUID(value))

    def result(self, value: str) -> UUID:
        return UUID(value)


class Shade(enum.Enum):
    RED = "r"
    GREEN = "g"


class ByValue(Decorator):
    impl = sa.String(5)

    def __init__(self, kind: type[enum.Enum]) -> None:
        super().__init__()
        self.kind = kind

    def bind(self, value: Any) -> str:
        return str(value.value)

    def result(self, value: str) -> Any:
        return self.kind(value)


class Lower(Decorator):
    def bind(self, value: str) -> str:
        return value.lower()


class Reversed(Decorator):
    """Give back what was sent, as an encrypted text."""

    def bind(self, value: str) -> str:
        return value[::-1]

    result = bind


class Sealed(Decorator):
    """Encrypt otherwise each time."""

    def bind(self, value: str) -> str:
        return secrets.token_hex(2) + value

    def result(self, value: str) -> str:
        return value[4:]


class Hashed(Decorator):
    def bind(self, value: str) -> str:
        return hashlib.sha256(value.encode()).hexdigest()


class Packed(Decorator):
    impl = sa.LargeBinary

    def bind(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def result(self, value: bytes) -> Any:
        return json.loads(value)


class Point:
    """A value object without an equality."""

    def __init__(self, text: str) -> None:
        self.x, self.y = map(int, text.split(";"))


class Place(Decorator):
    """Coerce, as the types of several libraries do."""

    def bind(self, value: Any) -> str:
        point = Point(value) if isinstance(value, str) else value
        return f"{point.x};{point.y}"

    def result(self, value: str) -> Point:
        return Point(value)


class Wrapped(Decorator):
    impl = sa.JSON

    def bind(self, value: Any) -> Any:
        return {"v": value}

    def result(self, value: Any) -> Any:
        return value["v"]


class Base(DeclarativeBase):
    pass


KINDS: dict[str, Decorator] = {
    "document": Document(),
    "tags": Tags(),
    "labels": Labels(),
    "yes": Yes(),
    "cents": Cents(),
    "epoch": Epoch(),
    "utc": Utc(),
    "guid": Guid(),
    "moment": Moment(),
    "count": Count(),
    "plain": Plain(),
    "shade": ByValue(Shade),
    "lower": Lower(),
    "reversed": Reversed(),
    "sealed": Sealed(),
    "hashed": Hashed(),
    "packed": Packed(),
    "place": Place(),
    "wrapped": Wrapped(),
}


class Thing(Base):
    __table__ = sa.Table(
        "thing",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, kind) for name, kind in KINDS.items()),
    )


AT = dt.datetime(2021, 1, 1, 10, tzinfo=dt.UTC)
GUID = UUID(int=2**100)

MEANT: list[tuple[str, str, Any]] = [
    ("document", '{"b": 2}', {"b": 2}),
    ("document", '["a", 1, null]', ["a", 1, None]),
    ("document", "5", 5),
    ("document", "true", True),
    ("document", '"text"', "text"),
    ("tags", '["a", "b"]', ["a", "b"]),
    ("tags", "[]", []),
    ("labels", '["b", "a", "b"]', {"a", "b"}),
    ("yes", "true", True),
    ("yes", "no", False),
    ("yes", "N", False),
    ("cents", "12.50", Decimal("12.50")),
    ("cents", "12", Decimal(12)),
    ("epoch", "2021-01-01T10:00:00+00:00", AT),
    ("epoch", "2021-01-01T12:00:00+02:00", AT),
    ("utc", "2021-01-01T10:00:00+00:00", AT),
    ("utc", "2021-01-01T10:00", AT),
    ("guid", str(GUID), GUID),
    ("guid", GUID.hex, GUID),
    ("moment", "2021-01-01T10:00:00", dt.datetime(2021, 1, 1, 10)),
    ("moment", "2021-01-01", dt.datetime(2021, 1, 1)),
    ("count", "05", 5),
    ("count", "+5", 5),
    ("count", "5", 5),
    ("plain", str(GUID), GUID),
    ("plain", GUID.hex.upper(), GUID),
    ("shade", "RED", Shade.RED),
    ("shade", "g", Shade.GREEN),
    ("lower", "ABC", "abc"),
    ("lower", '{"B": 2}', '{"b": 2}'),
    ("reversed", "123", "123"),
    ("reversed", '"a"', '"a"'),
    ("reversed", "null", "null"),
    ("packed", '{"b": 2}', {"b": 2}),
    ("wrapped", '{"b": 2}', {"b": 2}),
    ("wrapped", '["a"]', ["a"]),
]
REFUSED = [
    ("document", "{b: 2}", "JSON"),
    ("document", "text", "JSON"),
    ("document", "null", "would give back"),
    ("tags", "a,b", "JSON"),
    ("tags", "[1, 2]", "Tags refuses it"),
    ("tags", '{"a": 1, "b": 2}', "Tags would give back ['a', 'b']"),
    ("tags", '["a,b"]', "Tags would give back ['a', 'b']"),
    ("yes", "maybe", "Yes would give back True"),
    ("cents", "12.505", "Cents would give back Decimal"),
    ("epoch", "5", "Epoch refuses it"),
    ("utc", "x", "type Utc"),
    ("guid", "x", "Guid refuses it"),
    ("shade", "BLUE", "ByValue refuses it"),
    ("place", "1", "Place refuses it"),
]


@pytest.fixture
def things(database: Database, tmp_path: Path) -> Iterator[Project]:
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        yield project


def held(project: Project, field: str) -> list[Any]:
    rows = query(project, "Thing", columns=[field]).rows()
    return [str(one) if isinstance(one, DocumentText) else one for (one,) in rows]


def ids(project: Project, where: str) -> list[int]:
    return [row[0] for row in query(project, "Thing", columns=["id"], where=[where]).rows()]


def test_what_is_typed_is_stored_and_found(things: Project) -> None:
    """`add`, a file, `update --set` and `--where` agree; what is found is nothing else."""
    for field, text, value in MEANT:
        with things.connect(writes=True) as connection:
            connection.exec_driver_sql("DELETE FROM thing")
        add(things, "Thing", values=["id=1", f"{field}={text}"])
        add(things, "Thing", values=["id=2"])
        update(things, "Thing", pk=["2"], values=[f"{field}={text}"])
        add(things, "Thing", values=["id=3"])
        found = held(things, field)
        assert found == [value, value, None], (field, text)
        assert [type(one) for one in found[:2]] == [type(value)] * 2, (field, text)
        if field != "wrapped":
            assert ids(things, f"{field}={text}") == [1, 2], (field, text)
            assert ids(things, f"{field}__ne={text}") == [], (field, text)


def test_what_is_stored_is_what_the_application_stores(things: Project) -> None:
    """So it finds what was typed, and is found by it."""
    for field, text, value in MEANT:
        if field == "wrapped":  # a document of PostgreSQL, which equals nothing there
            continue
        with things.connect(writes=True) as connection:
            connection.exec_driver_sql("DELETE FROM thing")
        add(things, "Thing", values=["id=1", f"{field}={text}"])
        with things.session(writes=True) as session:
            session.add(Thing(id=2, **{field: value}))
        column = Thing.__table__.c[field]
        with things.connect() as connection:
            plain = sa.type_coerce(column, column.type.impl_instance)
            stored = connection.scalars(sa.select(plain).order_by(Thing.__table__.c.id)).all()
            found = connection.scalars(sa.select(Thing.__table__.c.id).where(column == value))
            assert stored[0] == stored[1], (field, text, stored)
            assert sorted(found) == [1, 2], (field, text)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_values_of_a_file(things: Project) -> None:
    records: list[dict[str, Any]] = [
        {"document": {"b": 2}, "tags": ["a", "b"], "labels": ["a"], "yes": True, "cents": 12.5},
        {"document": '{"b": 2}', "epoch": AT.isoformat(), "shade": "RED", "guid": str(GUID)},
    ]
    add(things, "Thing", records=records)
    assert held(things, "document") == [{"b": 2}, '{"b": 2}']  # a string of JSON is a string
    assert held(things, "tags")[0] == ["a", "b"]
    assert held(things, "labels")[0] == {"a"}
    assert held(things, "yes")[0] is True
    assert held(things, "cents")[0] == Decimal("12.5")
    assert held(things, "epoch")[1] == AT
    assert held(things, "shade")[1] is Shade.RED
    assert held(things, "guid")[1] == GUID
    for field, value in (("tags", "a,b"), ("tags", [1]), ("labels", "ab"), ("yes", "N" * 2)):
        with pytest.raises(UsageError, match=f"{field}="):
            add(things, "Thing", records=[{field: value}])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("field", "text", "reason"), REFUSED)
def test_what_would_not_come_back_is_refused(
    things: Project, field: str, text: str, reason: str
) -> None:
    add(things, "Thing", values=["id=1"])
    for ask in (
        lambda: add(things, "Thing", values=[f"{field}={text}"]),
        lambda: update(things, "Thing", pk=["1"], values=[f"{field}={text}"]),
        lambda: ids(things, f"{field}={text}"),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert reason in caught.value.message
        assert "Types of the project" in str(caught.value.hint), "not an example of the impl"
    assert held(things, field) == [None]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_types_of_one_way(things: Project) -> None:
    add(things, "Thing", values=["id=1", "hashed=secret", "sealed=secret", "place=1;2"])
    assert held(things, "hashed") == [hashlib.sha256(b"secret").hexdigest()]
    assert held(things, "sealed") == ["secret"]
    assert held(things, "place")[0].y == 2
    assert ids(things, "hashed=secret") == ids(things, "place=1;2") == [1]
    with pytest.raises(UsageError, match="stored otherwise each time"):
        ids(things, "sealed=secret")


@pytest.mark.parametrize("below", [sa.LargeBinary(), sa.BINARY(4), LONGBLOB(), sa.VARBINARY(9)])
def test_every_column_of_bytes_is_sent_bytes(below: Any) -> None:
    backend = backend_for("mysql+pymysql://h/d", "a test", Path())
    kind = type("Sent", (Decorator,), {"impl": below, "bind": staticmethod(str)})()
    with pytest.raises(TypeError, match="it makes a str of it"):
        RoundTrip(kind, backend).send("text")


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (Tags, True, 'it takes lists or objects, as ["a"]'),
        (Tags, {"b": 2}, "Tags would give back ['b']"),
        (Tags, [1], "Tags refuses it: sequence item 0"),
        (Tags, Decimal("1.5"), "Tags refuses it: can only join an iterable"),
        (Document, Decimal("1e400"), "it is too large"),
        (Document, {"a": [Decimal("1e400")]}, "it is too large"),
        (type("Same", (sa.TypeDecorator,), {"impl": sa.Text}), ["a"], "no lists or objects"),
    ],
)
def test_a_value_of_json_is_refused_by_what_the_type_takes(
    kind: Any, value: Any, reason: str
) -> None:
    backend = backend_for("sqlite:///app.db", "a test", Path())
    with pytest.raises(UsageError, match=re.escape(reason)) as caught:
        convert_stored(value, kind(), "field", backend, from_json=True)
    assert "to be a text" not in caught.value.message


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (Tags, "a,b", 'it is typed as JSON, as ["a"]'),
        (Document, "a,b", 'it is typed as JSON, as {"a": "b"}'),
        (Document, "1e400", "it is too large"),
        (Document, '{"a": 1e400}', "it is too large"),
    ],
)
def test_a_text_is_refused_by_what_the_type_takes(kind: Any, text: str, reason: str) -> None:
    backend = backend_for("sqlite:///app.db", "a test", Path())
    for take in (convert, convert_stored):
        with pytest.raises(UsageError, match=re.escape(reason)):
            take(text, kind(), "field", backend)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
DOCUMENTS = st.recursive(
    st.booleans() | st.integers(-9, 9) | texts,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(texts, one, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_any_document_is_what_was_typed(things: Project) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(DOCUMENTS, st.lists(texts.filter(lambda text: text and "," not in text)), texts)
    def type_them(document: Any, tags: list[str], text: str) -> None:
        with things.connect(writes=True) as connection:
            connection.exec_driver_sql("DELETE FROM thing")
        typed = {"document": json.dumps(document), "tags": json.dumps(tags), "reversed": text}
        add(things, "Thing", values=[f"{name}={one}" for name, one in typed.items()])
        for name, value in (("document", document), ("tags", tags), ("reversed", text)):
            assert held(things, name) == [value]
            assert len(ids(things, f"{name}={typed[name]}")) == 1

    type_them()
