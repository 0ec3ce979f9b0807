import database
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column


class Stamped(database.Base):
    __abstract__ = True
    created: Mapped[str | None]


class Order(Stamped):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
