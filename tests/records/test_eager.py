"""What a `__str__` reads of other objects is loaded with it, however deep it goes."""

from pathlib import Path

import pytest
from sqlalchemy import ForeignKey, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from dbtasks import Project
from dbtasks.records import query


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "city"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("shop.id"))
    city: Mapped[City] = relationship()
    owner: Mapped["Shop | None"] = relationship(remote_side="Shop.id")
    items: Mapped[list["Item"]] = relationship(back_populates="shop", lazy="joined")

    def __str__(self) -> str:
        owner = f" of {self.owner.city.name}" if self.owner else ""
        return f"{self.city.name}{owner}: {len(self.items)}"


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))
    shop: Mapped[Shop] = relationship(back_populates="items")

    def __str__(self) -> str:
        return f"{self.id} in {self.shop.city.name}, one of {len(self.shop.items)}"


class Silent(Base):
    __tablename__ = "silent"
    id: Mapped[int] = mapped_column(primary_key=True)


class Loud(Base):
    __tablename__ = "loud"
    id: Mapped[int] = mapped_column(primary_key=True)

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.fixture
def shops(tmp_path: Path) -> Project:
    project = Project.configure(tmp_path, url="sqlite:///shops.db", metadata=f"{__name__}:Base")
    with project.migrating(writes=True) as connection, connection.begin():
        Base.metadata.create_all(connection)
    with project.session(writes=True) as session:
        for number in range(1, 1201):
            session.add(City(id=number, name=f"c{number}"))
            session.add(Shop(id=number, city_id=number))
            session.add(Item(id=number, shop_id=number))
    return project


def ask(project: Project, model: str) -> tuple[list[str], int, list[str]]:
    """Return the texts, the number of SELECTs and the lazy loads that were reported."""
    sent: list[str] = []
    lazy: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("SELECT"):
            sent.append(statement)

    event.listen(project.engine(), "before_cursor_execute", note)
    texts = list(query(project, model).texts(on_lazy_load=lazy.append))
    event.remove(project.engine(), "before_cursor_execute", note)
    return texts, len(sent), lazy


def test_nested_paths_cost_one_statement_a_batch(shops: Project) -> None:
    """Many-to-one by join: none more. To-many: one for each 500 records. Four to learn."""
    texts, sent, lazy = ask(shops, "Item")
    assert texts[-1] == "1200 in c1200, one of 1"
    assert lazy == []
    assert sent <= 4 + 1 + 3


def test_collection_that_is_joined_by_default(shops: Project) -> None:
    texts, sent, lazy = ask(shops, "Shop")
    assert texts[0] == "c1: 1"
    assert lazy == []
    assert sent <= 4 + 1 + 3


def test_load_that_the_first_record_does_not_show_is_reported(shops: Project) -> None:
    with shops.session(writes=True) as session:
        shop = session.get(Shop, 900)
        assert shop is not None
        shop.owner_id = 1100
    texts, _, lazy = ask(shops, "Shop")
    assert texts[899] == "c900 of c1100: 1"
    assert lazy
    assert all("Shop." in name for name in lazy)


def test_class_without_words_has_no_text(shops: Project) -> None:
    assert not query(shops, "Silent").has_text
    assert query(shops, "Loud").has_text


def test_exception_of_str_is_the_projects_own(shops: Project) -> None:
    from dbtasks.errors import DbtasksError

    with shops.session(writes=True) as session:
        session.add(Loud(id=1))
    with pytest.raises(DbtasksError, match=r"Loud\.__str__ raised RuntimeError: no words"):
        list(query(shops, "Loud").texts())


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    notes: Mapped[str] = mapped_column(deferred=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012  # SQLAlchemy's own form

    def __str__(self) -> str:
        return self.notes


class Manager(Person):
    __tablename__ = "manager"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    teams: Mapped[list["Team"]] = relationship()
    __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012  # the same

    def __str__(self) -> str:
        return f"{self.notes} of {len(self.teams)}"


class Team(Base):
    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    manager_id: Mapped[int] = mapped_column(ForeignKey("manager.id"))


def test_subclass_and_deferred_column(shops: Project) -> None:
    with shops.session(writes=True) as session:
        for number in range(1, 41):
            session.add(Manager(id=number, notes=f"m{number}", teams=[Team(id=number)]))
    texts, sent, lazy = ask(shops, "Person")
    assert (texts[0], texts[-1]) == ("m1 of 1", "m40 of 1")
    assert (sent, lazy) == (pytest.approx(6, abs=2), [])
