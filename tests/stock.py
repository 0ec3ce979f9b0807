"""Shops and what hangs on them: the models of the tests that change records."""

import datetime as dt
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Integer,
    Numeric,
    String,
    Table,
    event,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates

from dbtasks import Project, guards, own_tables


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class City(Base):
    __tablename__ = "city"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    country: Mapped[str | None] = mapped_column(String(20))
    shops: Mapped[list["Shop"]] = relationship(back_populates="city")


class Shop(Base):
    __tablename__ = "shop"
    __table_args__ = (CheckConstraint("size >= 0", name="size_positive"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("shop_name", String(10), unique=True)
    size: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(10), default="plain")
    level: Mapped[int] = mapped_column(server_default="7")
    price: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    weight: Mapped[float | None]
    opened: Mapped[dt.datetime | None]
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    slug: Mapped[str | None] = mapped_column(String(20))
    city_id: Mapped[int | None] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"))
    city: Mapped[City | None] = relationship(back_populates="shops")
    photos: Mapped[list["Photo"]] = relationship(cascade="all, delete-orphan")

    @validates("kind")
    def check_kind(self, key: str, value: str) -> str:
        if value == "bad":
            raise ValueError("no bad shops")
        return value.lower()


@event.listens_for(Shop, "before_insert")
def set_slug(mapper: object, connection: object, shop: Shop) -> None:
    shop.slug = f"-{shop.name.lower()}-"


class Item(Base):
    __tablename__ = "item"
    shop_id: Mapped[int] = mapped_column(
        ForeignKey("shop.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str | None] = mapped_column(String(20))


class Visit(Base):
    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int | None] = mapped_column(ForeignKey("shop.id", ondelete="SET NULL"))


class Photo(Base):
    __tablename__ = "photo"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id"))


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    whole_id: Mapped[int | None] = mapped_column(ForeignKey("part.id", ondelete="CASCADE"))


class Label(Base):
    __tablename__ = "label"
    id: Mapped[int] = mapped_column(primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("part.id", ondelete="CASCADE"))


class Person(Base):
    __tablename__ = "person"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - as SQLAlchemy reads it
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class Manager(Person):
    __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012 - the same


class Driver(Person):
    __tablename__ = "driver"
    __mapper_args__ = {"polymorphic_identity": "driver"}  # noqa: RUF012 - the same
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    licence: Mapped[str] = mapped_column(String(10))


tag = Table(
    "tag",
    Base.metadata,
    Column("group", String(10), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("word", String(10), nullable=False, default="none"),
    Column("data", JSON),
)


@contextmanager
def opened(folder: Path, url: str) -> Iterator[Project]:
    """Make the tables in an empty database, and return the project on it."""
    with Project.configure(folder, metadata="stock:Base", url=url) as project:
        with project.migrating(writes=True) as connection, connection.begin():
            Base.metadata.create_all(connection)
        yield project


def fill(project: Project, *objects: Any) -> None:
    """Store objects, those that others refer to first."""
    with project.session(writes=True) as session:
        for one in objects:
            session.add(one)
            session.flush()
        project.backend.set_sequences(session.connection(), list(Base.metadata.tables.values()))


def rows(project: Project, *columns: Any) -> list[tuple[Any, ...]]:
    """Return these columns of all rows, in the order of the first."""
    with project.connect() as connection:
        found = connection.execute(select(*columns).order_by(*columns[:1]))
        return [tuple(row) for row in found]


@contextmanager
def statements(project: Project) -> Iterator[list[str]]:
    """Collect what is sent to the database in the block."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        sent.append(statement)

    event.listen(project.engine(), "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(project.engine(), "before_cursor_execute", note)


def in_production(project: Project) -> Project:
    """Mark the database as production, and let the project be there."""
    guards.mark(project, "production")
    sources = {**project.settings.sources, "environment": "environment"}
    project.settings = replace(project.settings, environment="production", sources=sources)
    return project


def journal_of(project: Project) -> list[tuple[str, int]]:
    """Return the commands of the journal, and their numbers of rows."""
    table = own_tables.journal(project.backend.own_schema)
    with project.connect() as connection:
        found = connection.execute(select(table.c.command, table.c.row_count).order_by(table.c.id))
        return [tuple(row) for row in found]
