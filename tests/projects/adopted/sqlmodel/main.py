from fastapi import FastAPI
from models import Item, ItemRead

app = FastAPI()


@app.get("/items")
def items() -> list[ItemRead]:
    return [ItemRead(id=1, name=Item(name="a").name)]
