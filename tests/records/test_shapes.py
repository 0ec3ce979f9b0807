"""Models of less usual shapes: keys of booleans, expressions, classes that share a table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column as CoreColumn
from sqlalchemy import ForeignKey, Integer, String, Table, literal_column
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
)

from conftest import Database
from dbtasks import Project
from dbtasks.errors import Negative, Refused, UsageError
from dbtasks.records import (
    Added,
    Deleted,
    Effect,
    Preview,
    Updated,
    add,
    delete,
    get,
    query,
    update,
)


class Base(DeclarativeBase):
    pass


class Switch(Base):
    __tablename__ = "switch"
    name: Mapped[str] = mapped_column(String(10), primary_key=True)
    on: Mapped[bool] = mapped_column(primary_key=True)
    note: Mapped[str | None] = mapped_column(String(10))


class Box(Base):
    __tablename__ = "box"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int | None]
    double: Mapped[int | None] = column_property(literal_column("size * 2", Integer))


class Person(Base):
    __tablename__ = "person"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - as SQLAlchemy reads it
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    boss: Mapped["Person | None"] = relationship(remote_side="Person.id")


class Manager(Person):
    __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012 - the same


class Pet(Base):
    __tablename__ = "pet"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    owner: Mapped[Person] = relationship()


Table("word", Base.metadata, CoreColumn("text", String(10)))


@pytest.fixture
def shapes(tmp_path: Path, database: Database) -> Iterator[Project]:
    """Return a project with these tables, on each kind of database."""
    settings = {"url": database.url, "metadata": f"{__name__}:Base"}
    with Project.configure(tmp_path, **settings) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        yield project


@pytest.fixture
def people(shapes: Project) -> Project:
    """Add a person, a manager, and a manager below that one; the person has a pet."""
    add(shapes, "Person", values=["id=1", "kind=person"])
    add(shapes, "Manager", values=["id=2"])
    add(shapes, "Manager", values=["id=3", "boss_id=2"])
    add(shapes, "Pet", values=["id=1", "owner_id=1"])
    return shapes


def rows(project: Project, model: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query(project, model).rows()]


def test_batches_go_along_a_boolean(shapes: Project) -> None:
    for name, on in (("a", "true"), ("a", "false"), ("b", "true")):
        add(shapes, "Switch", values=[f"name={name}", f"on={on}"])
    every = {"everything": True, "batch_size": 1}
    assert update(shapes, "Switch", values=["note=x"], **every) == Updated(3, 3)
    assert delete(shapes, "Switch", where=["on=true"], batch_size=1) == Deleted(2)
    assert rows(shapes, "Switch") == [("a", False, "x")]


def test_expression_is_asked_for_and_never_set(shapes: Project) -> None:
    add(shapes, "Box", values=["id=1", "size=2"])
    words = "double of Box is an expression, which is not stored"
    for refused in (add, update):
        named = {} if refused is add else {"pk": ["1"]}
        with pytest.raises(UsageError, match=words):
            refused(shapes, "Box", values=["double=7"], **named)
    assert query(shapes, "Box", where=["double=4"]).count() == 1


def test_records_that_go_with_others_are_counted(people: Project) -> None:
    seen: list[Preview] = []
    with pytest.raises(Refused, match="2 records match, and --expect says 1"):
        delete(people, "Manager", everything=True, expect=1)
    assert len(rows(people, "Manager")) == 2
    done = delete(people, "Manager", everything=True, expect=2, on_preview=seen.append)
    assert (done, seen[0].count) == (Deleted(2), 2)
    assert len(rows(people, "Person")) == 1


def test_effects_are_those_of_the_class(people: Project) -> None:
    add(people, "Pet", values=["id=2", "owner_id=3"])
    seen: list[Effect] = []
    options = {"everything": True, "dry_run": True, "on_effects": seen.extend}
    delete(people, "Manager", **options)
    assert seen == [Effect("pet", "go with it (ON DELETE CASCADE)", 1)]
    seen.clear()
    delete(people, "Person", **options)
    assert seen == [Effect("pet", "go with it (ON DELETE CASCADE)", 2)]


def test_key_beyond_the_column_is_refused_alike(people: Project) -> None:
    for ask in (
        lambda: get(people, "Pet", pk=["3000000000"]),
        lambda: delete(people, "Pet", pk=["3000000000"]),
        lambda: update(people, "Pet", pk=["3000000000"], values=["owner_id=1"]),
    ):
        with pytest.raises(UsageError, match="id='3000000000' is not a value of type Integer"):
            ask()
    with pytest.raises(Negative):
        get(people, "Pet", pk=["2147483647"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["boss.id=2", "boss_id=1"], "boss sets boss_id to 2, and it is set to 1 too"),
        (["boss.id=2", "boss_id=2"], None),
    ],
)
def test_relationship_and_its_column_agree(
    people: Project, values: list[str], words: str | None
) -> None:
    for upsert in (False, True):
        number = 4 + upsert
        given = [f"id={number}", *values]
        if words is None:
            assert add(people, "Manager", values=given, upsert=upsert).keys == ({"id": number},)
            continue
        with pytest.raises(UsageError, match=words):
            add(people, "Manager", values=given, upsert=upsert)
    null = {"values": ["boss_id=1"], "nulls": ["boss.id"]}
    with pytest.raises(UsageError, match="boss sets boss_id to NULL, and it is set to 1 too"):
        add(people, "Manager", **null)


def test_table_without_a_key(shapes: Project) -> None:
    assert add(shapes, "word", values=["text=a"]) == Added("word", 1, ({},))
