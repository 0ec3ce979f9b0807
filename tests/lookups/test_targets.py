"""What --model and --table can name: classes, tables, views, and what the database alone knows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from conftest import Database
from dbtasks import Project
from dbtasks.errors import UsageError
from dbtasks.lookups.targets import find_target
from dbtasks.records import get, query


class Base(DeclarativeBase):
    pass


links = Table(
    "links",
    Base.metadata,
    Column("pet_id", ForeignKey("pet.id"), primary_key=True),
    Column("toy_id", ForeignKey("toy.id"), primary_key=True),
)

users = Table(
    "users",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50), key="title"),
)


class Home(Base):
    __tablename__ = "home"
    street: Mapped[str] = mapped_column("STREET_NAME", String(30), primary_key=True)
    number: Mapped[int] = mapped_column("select", primary_key=True)
    note: Mapped[str | None] = mapped_column("Mixed Case", String(30))


class Pet(Base):
    __tablename__ = "pet"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(30))
    friend_id: Mapped[int | None] = mapped_column(ForeignKey("pet.id"))
    friend: Mapped["Pet | None"] = relationship(remote_side="Pet.id")
    toys: Mapped[list["Toy"]] = relationship(secondary=links)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "pet"}  # noqa: RUF012  # SQLAlchemy's own form


class Dog(Pet):
    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(ForeignKey("pet.id"), primary_key=True)
    bark: Mapped[str] = mapped_column(String(10))
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012  # the same


class Cat(Pet):
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012  # the same


class Toy(Base):
    __tablename__ = "toy"
    id: Mapped[int] = mapped_column(primary_key=True)


def twin(module: str) -> type[Base]:
    name = module.replace(".", "_")
    body: dict[str, Any] = {
        "__module__": module,
        "__tablename__": name,
        "__annotations__": {"id": Mapped[int]},
        "id": mapped_column(primary_key=True),
    }
    return type("Twin", (Base,), body)


TWINS = twin("shop.one"), twin("shop.two")

VIEW = "CREATE VIEW named AS SELECT id AS number, name FROM pet WHERE kind <> 'cat'"


@pytest.fixture
def pets(database: Database, tmp_path: Path) -> Iterator[Project]:
    with Project.configure(tmp_path, url=database.url, metadata=f"{__name__}:Base") as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
            connection.execute(text(VIEW))
        with project.session(writes=True) as session:
            session.add(Pet(id=1, name="Tom"))
            session.flush()
            session.add(Dog(id=2, name="Rex", bark="woof", friend_id=1, toys=[Toy(id=7)]))
            session.add(Cat(id=3, name="Ivy", friend_id=1))
            session.add_all([Home(street="Elm", number=1, note="x"), Home(street="Elm", number=2)])
            session.execute(users.insert(), [{"id": 1, "title": "Ann"}, {"id": 2, "title": "Bob"}])
        yield project


def rows(project: Project, model: str | None = None, **asked: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query(project, model, **asked).rows()]


def test_a_table_that_no_class_maps(pets: Project) -> None:
    assert query(pets, "users").columns == ("id", "title")
    assert rows(pets, "users") == [(1, "Ann"), (2, "Bob")]
    assert rows(pets, "users", where=["title__startswith=B"], columns=["id"]) == [(2,)]
    assert not query(pets, "users").has_text
    with pytest.raises(UsageError, match="rows and no objects"):
        next(query(pets, "users").objects())


def test_a_project_of_tables_alone(database: Database, tmp_path: Path) -> None:
    metadata = MetaData()
    table = Table(
        "users", metadata, Column("id", Integer, primary_key=True), Column("name", String(50))
    )
    settings = Project.configure(tmp_path, url=database.url, default_model="users").settings
    with Project(settings, metadata=metadata) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            metadata.create_all(connection)
            connection.execute(table.insert(), [{"id": 1, "name": "Alice"}])
        assert rows(project) == rows(project, "users", name="A") == [(1, "Alice")]
        assert get(project, pk=["1"]).values == {"id": 1, "name": "Alice"}


def test_an_association_table(pets: Project) -> None:
    assert find_target(pets, "links").key == ("pet_id", "toy_id")
    assert rows(pets, "links") == [(2, 7)]


def test_names_of_attributes_and_of_columns(pets: Project) -> None:
    target = find_target(pets, "Home")
    assert (target.key, tuple(target.columns)) == (
        ("street", "number"),
        ("street", "number", "note"),
    )
    asked = rows(pets, "Home", where=["street=Elm", "number__gt=0"], order_by=["-number"])
    assert asked == [("Elm", 2, None), ("Elm", 1, "x")]
    assert rows(pets, "Home", where=["STREET_NAME=Elm"], order_by=["-number"]) == asked
    with pytest.raises(UsageError, match="no field 'STREET'"):
        query(pets, "Home", where=["STREET=Elm"])


def test_joined_inheritance(pets: Project) -> None:
    assert rows(pets, "Pet", columns=["id", "name"]) == [(1, "Tom"), (2, "Rex"), (3, "Ivy")]
    assert set(find_target(pets, "Dog").columns) == {"id", "bark", "kind", "name", "friend_id"}
    asked = {"columns": ["id", "name", "bark", "friend.name"], "where": ["name__startswith=R"]}
    assert rows(pets, "Dog", **asked) == [(2, "Rex", "woof", "Tom")]
    assert rows(pets, "Dog", where=["friend.name=Tom", "toys.id=7"], columns=["id"]) == [(2,)]
    assert find_target(pets, "Dog").key == ("id",)


def test_single_table_inheritance(pets: Project) -> None:
    assert rows(pets, "Cat", columns=["id", "friend.name"]) == [(3, "Tom")]
    assert query(pets, "Cat").count() == 1
    assert rows(pets, "Cat", where=["friend.name=Tom"], columns=["name"]) == [("Ivy",)]


def test_two_classes_of_one_name(pets: Project) -> None:
    with pytest.raises(UsageError, match="several models are named 'Twin'") as caught:
        query(pets, "Twin")
    hint = (caught.value.hint or "").removeprefix("name ").split(" or ")
    assert sorted(hint) == ["shop.one.Twin", "shop.two.Twin"]
    assert find_target(pets, "shop.two.Twin").entity is TWINS[1]
    assert rows(pets, "shop.one.Twin") == []


@pytest.mark.parametrize("name", ["Pett", "user", "shop.three.Twin"])
def test_a_name_that_nothing_has(pets: Project, name: str) -> None:
    with pytest.raises(UsageError, match="there is no model") as caught:
        query(pets, name)
    near = {"Pett": "did you mean Pet?", "user": "did you mean users?"}.get(name, "links")
    assert near in (caught.value.hint or "")


def test_a_table_that_no_model_knows(pets: Project, database: Database) -> None:
    with pets.migrating(writes=True) as connection, connection.begin():
        connection.execute(text("CREATE TABLE stray (id INTEGER PRIMARY KEY, home VARCHAR(9))"))
        connection.execute(text("INSERT INTO stray VALUES (2, 'b'), (1, 'a')"))
    with pytest.raises(UsageError, match="there is no model 'stray'"):
        query(pets, "stray")
    assert rows(pets, table="stray") == [(1, "a"), (2, "b")]
    assert rows(pets, table="stray", where=["home=b"], order_by=["-id"]) == [(2, "b")]
    schema = {"sqlite": "main", "postgresql": "public"}.get(database.kind, pets.name)
    assert rows(pets, table=f"{schema}.stray", limit=1) == [(1, "a")]


def test_a_table_of_the_database_alone_needs_no_models(pets: Project, database: Database) -> None:
    with Project.configure(pets.settings.root, url=database.url) as project:
        assert query(project, table="links").columns == ("pet_id", "toy_id")


def test_a_view(pets: Project) -> None:
    asked = rows(pets, table="named", order_by=["-number"])
    assert asked == [(2, "Rex"), (1, "Tom")]
    assert query(pets, table="named", name="R").count() == 1


@pytest.mark.every_value
@pytest.mark.parametrize("name", ["strays", "nothing.stray", "a.b.c", '"; DROP TABLE pet'])
def test_a_table_that_is_not_there(pets: Project, name: str) -> None:
    with pytest.raises(UsageError, match="the database has no table") as caught:
        query(pets, table=name)
    assert caught.value.hint
    assert len(rows(pets, "Pet")) == 3


def test_a_model_and_a_table_exclude_each_other(pets: Project) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        query(pets, "Pet", table="pet")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_schemas_and_mixed_case(database: Database, tmp_path: Path) -> None:
    metadata = MetaData()
    columns = Column("Id", Integer, primary_key=True), Column("Full Name", String(50))
    table = Table("Users", metadata, *columns, schema="Sales")
    settings = Project.configure(tmp_path, url=database.url).settings
    with Project(settings, metadata=metadata) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            connection.execute(text('CREATE SCHEMA "Sales"'))
            metadata.create_all(connection)
            connection.execute(table.insert(), [{"Id": 1, "Full Name": "Ann B"}])
        for named in ({"model": "Sales.Users"}, {"table": "Sales.Users"}):
            assert rows(project, **named, where=["Full Name=Ann B"]) == [(1, "Ann B")]
        with pytest.raises(UsageError, match=r"no table 'Sales\.users'") as caught:
            query(project, table="Sales.users")
        assert "did you mean Users?" in (caught.value.hint or "")
