"""Two states of the models and the rows in between: what a case of a change is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALL = ("sqlite", "postgresql", "mariadb")
SERVERS = ("postgresql", "mariadb")


@dataclass(frozen=True)
class Case:
    """Two states of the models, the rows in between, and what is to be seen of the change."""

    name: str
    before: str
    after: str
    rows: Sequence[str] = ()
    on: Sequence[str] = ALL
    defaults: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    lost: Sequence[str] = ()  # tables whose rows are gone after the way back
    code: Sequence[str] = ()  # what stands in the revision
    convention: bool = False  # whether the models name constraints by one
    batch: bool | None = None  # whether it makes the table anew on SQLite


PARENT = 'table("parent", key(), sa.Column("name", sa.String(20), nullable=False){more})\n'
CHILD = (
    'table("child", key(), sa.Column("parent_id",'
    ' sa.ForeignKey("parent.id", ondelete="CASCADE"), nullable=False))\n'
)
ROWS = (
    "INSERT INTO parent (id, name) VALUES (1, 'Ann'), (2, 'Bob')",
    "INSERT INTO child (id, parent_id) VALUES (1, 1), (2, 1), (3, 2)",
)


def parent(more: str = "", /) -> str:
    """Return a parent with further columns and constraints, and its children."""
    return PARENT.format(more=f", {more}" if more else "") + CHILD


def on_parent(name: str, before: str, after: str, **more: Any) -> Case:
    return Case(name, parent(before), parent(after), **{"rows": ROWS, **more})
