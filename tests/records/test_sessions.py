"""Commands act on all rows: filters of the project's own sessions are for its own code."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, String, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    ORMExecuteState,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
    with_loader_criteria,
)

from conftest import Database
from dbtasks import Project
from dbtasks.errors import Negative
from dbtasks.fixtures import dumpdata, loaddata, seed
from dbtasks.records import add, delete, get, query, update


class Base(DeclarativeBase):
    pass


class Deletable:
    """A mixin, as projects have it for soft deletion."""

    deleted: Mapped[bool] = mapped_column(default=False)


class Shop(Deletable, Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    items: Mapped[list["Item"]] = relationship(back_populates="shop")


class Item(Deletable, Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    stamp: Mapped[str | None] = mapped_column(String(20))
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))
    shop: Mapped[Shop] = relationship(back_populates="items")

    def __str__(self) -> str:
        shop = self.shop and f"{self.shop.name} of {len(self.shop.items)}"
        return f"{self.name} in {shop}"


def with_criteria(state: ORMExecuteState) -> None:
    if state.is_select:
        criteria = with_loader_criteria(
            Deletable, lambda entity: entity.deleted.is_(False), include_aliases=True
        )
        state.statement = state.statement.options(criteria)


def with_where(state: ORMExecuteState) -> None:
    if state.is_select and not state.is_relationship_load:
        state.statement = state.statement.where(Item.deleted.is_(False))


def with_another_result(state: ORMExecuteState) -> Any:
    return state.invoke_statement(statement=select(Item).where(Item.id < 0))


def refusing(state: ORMExecuteState) -> None:
    raise RuntimeError("no tenant is chosen")


@pytest.fixture(params=[with_criteria, with_where, with_another_result, refusing])
def filtering(request: pytest.FixtureRequest) -> Iterator[Callable[[ORMExecuteState], Any]]:
    """Listen on every session of the process, as a project's module does when it is imported."""
    event.listen(Session, "do_orm_execute", request.param)
    yield request.param
    event.remove(Session, "do_orm_execute", request.param)


@pytest.fixture
def shops(database: Database, tmp_path: Path) -> Iterator[Project]:
    options = {"metadata": f"{__name__}:Base", "seeds": f"{__name__}:note_visible"}
    with Project.configure(tmp_path, url=database.url, **options) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        with project.session(writes=True) as session:
            session.add(Shop(id=1, name="Old", deleted=True))
            session.flush()
            session.add(Item(id=1, name="gone", deleted=True, shop_id=1))
            session.add(Item(id=2, name="here", shop_id=1))
        yield project


def names(project: Project, *where: str) -> list[str]:
    return list(query(project, "Item", where=where).texts())


def test_commands_read_all_rows(shops: Project, filtering: object) -> None:
    assert names(shops) == ["gone in Old of 2", "here in Old of 2"]
    assert query(shops, "Item").count() == 2
    assert len(list(query(shops, "Item").rows())) == 2
    found = get(shops, "Item", pk=["1"])
    assert found.values["name"] == "gone"
    assert found.related["shop"] is not None
    with pytest.raises(Negative):
        get(shops, "Item", pk=["3"])


def test_lazy_loads_are_reported_and_not_filtered(shops: Project, filtering: object) -> None:
    lazy: list[str] = []
    with shops.session(writes=True) as session:
        session.connection().exec_driver_sql("UPDATE item SET name = 'first' WHERE id = 1")
    original, Item.__str__ = (
        Item.__str__,
        lambda item: (  # type: ignore[method-assign]
            item.name if item.id == 1 else item.shop.name
        ),
    )
    try:
        assert list(query(shops, "Item").texts(on_lazy_load=lazy.append)) == ["first", "Old"]
    finally:
        Item.__str__ = original  # type: ignore[method-assign]
    assert lazy == ["Item.shop"]


def test_commands_write_all_rows(shops: Project, filtering: object) -> None:
    records = [{"id": 1, "name": "back", "shop.name": "Old"}]
    assert add(shops, "Item", records=records, upsert=True).count == 1
    assert names(shops, "id=1") == ["back in Old of 2"]
    assert update(shops, "Item", where=["deleted=true"], values=["name=new"]).matched == 1
    assert delete(shops, "Item", where=["deleted=true"]).matched == 1
    assert query(shops, "Item").count() == 1


def seen(session: Session) -> list[str]:
    return list(session.scalars(select(Item.name).select_from(Item)))


def note_visible(session: Session) -> None:
    session.add(Item(id=9, name=f"{len(session.scalars(select(Item)).all())} seen", shop_id=1))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("filtering", [with_criteria], indirect=True)
def test_seeds_and_programs_keep_their_filter(shops: Project, filtering: object) -> None:
    with shops.session() as session:
        assert seen(session) == ["here"]
    seed(shops)
    assert names(shops, "id=9") == ["1 seen in Old of 3"]
    assert seen(Session(shops.engine())) == ["here", "1 seen"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_listeners_of_one_sessionmaker_are_its_own(shops: Project) -> None:
    maker = sessionmaker(shops.engine())
    event.listen(maker, "do_orm_execute", with_criteria)
    with maker() as session:
        assert seen(session) == ["here"]
    assert query(shops, "Item").count() == len(names(shops)) == 2


def stamp(session: Session, context: object, instances: object) -> None:
    for one in session.new:
        one.stamp = "flushed"
    for one in session.deleted:  # a soft deletion
        session.add(one)
        one.deleted = True


def mark(mapper: object, connection: object, item: Item) -> None:
    item.name = item.name.upper()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_add_runs_the_events_of_a_flush_and_other_commands_none(
    shops: Project, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.jsonl"
    dumpdata(shops, output=dump)
    event.listen(Session, "before_flush", stamp)
    event.listen(Item, "before_insert", mark)
    event.listen(Item, "before_update", mark)
    try:
        add(shops, "Item", values=["name=new", "shop_id=1"])
        assert update(shops, "Item", where=["id=2"], values=["name=there"]).matched == 1
        assert delete(shops, "Item", where=["id=1"]).matched == 1
        found = list(query(shops, "Item", columns=["name", "stamp"]).rows())
        assert found == [("there", None), ("NEW", "flushed")]
        loaddata(shops, dump, truncate=True)
    finally:
        event.remove(Session, "before_flush", stamp)
        event.remove(Item, "before_insert", mark)
        event.remove(Item, "before_update", mark)
    found = list(query(shops, "Item", columns=["name", "stamp"]).rows())
    assert found == [("gone", None), ("here", None)]
