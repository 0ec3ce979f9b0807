"""get: one record by its key, with the objects that it refers to, or the answer no."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, event, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from conftest import Database
from dbtasks import Project
from dbtasks.errors import DbtasksError, Negative, UsageError
from dbtasks.records import get


class Base(DeclarativeBase):
    pass


class Maker(Base):
    __tablename__ = "maker"
    name: Mapped[str] = mapped_column("maker_name", String(50), primary_key=True)
    parts: Mapped[list["Part"]] = relationship(back_populates="maker")

    def __str__(self) -> str:
        if self.name == "dumb":
            raise RuntimeError("no words")
        return f"the maker {self.name}"


class Part(Base):
    __tablename__ = "part"
    a: Mapped[int] = mapped_column(primary_key=True)
    b: Mapped[str] = mapped_column(String(20), primary_key=True)
    maker_name: Mapped[str | None] = mapped_column(ForeignKey("maker.maker_name"))
    inside_a: Mapped[int | None]
    maker: Mapped[Maker | None] = relationship(back_populates="parts")


class Plate(Base):
    __tablename__ = "plate"
    id: Mapped[int] = mapped_column(primary_key=True)
    part_a: Mapped[int]
    part_b: Mapped[str] = mapped_column(String(20))
    part: Mapped[Part | None] = relationship(
        primaryjoin="and_(foreign(Plate.part_a) == Part.a, foreign(Plate.part_b) == Part.b)"
    )


settings_table = Table(
    "settings",
    Base.metadata,
    Column("key", String(20), primary_key=True),
    Column("value", String(20)),
)
free = Table("free", Base.metadata, Column("value", String(20)))


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Iterator[Project]:
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        with project.session(writes=True) as session:
            session.add_all([Maker(name=name) for name in ("Acme", "a=b", "name=x", "dumb")])
            session.flush()
            session.add(Part(a=1, b="2", maker_name="Acme"))
            session.add(Part(a=1, b="x=y"))
            session.add(Part(a=3, b="3", maker_name="dumb"))
            session.add(Plate(id=1, part_a=1, part_b="2"))
            session.execute(settings_table.insert(), [{"key": "k=1", "value": "v"}])
        yield project


def test_a_single_key(parts: Project) -> None:
    assert get(parts, "Plate", pk=["1"]).values == {"id": 1, "part_a": 1, "part_b": "2"}
    assert get(parts, "Plate", pk=["id=1"]).values["id"] == 1


def test_a_composite_key_in_any_order(parts: Project) -> None:
    for pk in (["a=1", "b=2"], ["b=2", "a=1"]):
        assert get(parts, "Part", pk=pk).values["maker_name"] == "Acme"
    assert get(parts, "Part", pk=["a=1", "b=x=y"]).values["b"] == "x=y"


def test_a_text_with_an_equals_sign(parts: Project) -> None:
    assert get(parts, "Maker", pk=["a=b"]).values == {"name": "a=b"}
    assert get(parts, "Maker", pk=["name=a=b"]).values == {"name": "a=b"}
    assert get(parts, "Maker", pk=["name=name=x"]).values == {"name": "name=x"}
    with pytest.raises(Negative):
        get(parts, "Maker", pk=["name=x"])


def test_objects_that_it_refers_to_come_with_it(parts: Project) -> None:
    sent: list[str] = []
    event.listen(parts.engine(), "before_cursor_execute", lambda *given: sent.append(given[2]))
    found = get(parts, "Part", pk=["a=1", "b=2"])
    assert len([one for one in sent if "FROM part" in one or "FROM maker" in one]) == 1
    assert found.text is None
    maker = found.related["maker"]
    assert maker is not None
    assert (maker.text, maker.values) == ("the maker Acme", {"name": "Acme"})
    assert get(parts, "Part", pk=["a=1", "b=x=y"]).related == {"maker": None}
    part = get(parts, "Plate", pk=["1"]).related["part"]
    assert part is not None
    assert (part.text, part.values["a"]) == (None, 1)
    assert get(parts, "Maker", pk=["Acme"]).related == {}


def test_none(parts: Project) -> None:
    with pytest.raises(Negative, match="there is no Part with a=9, b=2") as caught:
        get(parts, "Part", pk=["a=9", "b=2"])
    assert caught.value.exit_code == 1
    assert caught.value.hint


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("model", "pk", "words"),
    [
        ("Part", ["1"], "the key of Part is a and b"),
        ("Part", ["a=1"], "the key of Part is a and b"),
        ("Part", ["a=1", "c=2"], "the key of Part is a and b"),
        ("Part", ["a=1", "b=2", "c=3"], "the key of Part is a and b"),
        ("Part", ["a=1", "a=1", "b=2"], "the key of Part is a and b"),
        ("Part", [], "the key of Part is a and b"),
        ("Plate", ["1", "2"], "the key of Plate is id"),
        ("Plate", ["nr=1"], "id='nr=1' is not a value of type Integer"),
        ("Plate", ["one"], "id='one' is not a value of type Integer"),
        ("free", ["1"], "the key of free is not there"),
    ],
)
def test_another_key(parts: Project, model: str, pk: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        get(parts, model, pk=pk)
    assert caught.value.hint
    assert "…" not in caught.value.hint


def test_a_row_of_a_table(parts: Project) -> None:
    found = get(parts, "settings", pk=["k=1"])
    assert (found.values, found.related, found.text) == ({"key": "k=1", "value": "v"}, {}, None)
    assert get(parts, "settings", pk=["key=k=1"]) == found
    with pytest.raises(Negative):
        get(parts, "settings", pk=["k"])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_exception_of_str_is_the_projects_own(parts: Project) -> None:
    with pytest.raises(DbtasksError, match=r"Maker\.__str__ raised RuntimeError: no words"):
        get(parts, "Part", pk=["a=3", "b=3"])


@pytest.mark.parametrize("text", ["A", "a ", "B"])
def test_key_of_text_is_exact(tmp_path: Path, database: Database, text: str) -> None:
    """MySQL's = takes A for a, and does not see a space at the end."""
    keys = MetaData()
    named = Table("named", keys, Column("name", String(20), primary_key=True))
    settings = Project.configure(tmp_path, url=database.url).settings
    with Project(settings, metadata=keys) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            keys.create_all(connection)
        with project.connect(writes=True) as connection:
            connection.execute(insert(named), [{"name": "a"}])
        assert get(project, "named", pk=["a"]).values == {"name": "a"}
        with pytest.raises(Negative):
            get(project, "named", pk=[text])
