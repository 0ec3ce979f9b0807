from sqlmodel import Field, SQLModel


class ItemBase(SQLModel):
    name: str


class Item(ItemBase, table=True):
    id: int | None = Field(default=None, primary_key=True)


class ItemRead(ItemBase):
    id: int
