"""What a database has, object by object, in the words in which the database itself tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PRIMARY_KEY, UNIQUE, FOREIGN_KEY, CHECK = "primary key", "unique", "foreign key", "check"
EXCLUDE, INDEX = "exclude", "index"
SCHEMA, TYPE, DOMAIN, SEQUENCE = "schema", "type", "domain", "sequence"
TABLE, COLUMN, VIEW, TRIGGER, FUNCTION = "table", "column", "view", "trigger", "function"

CONSTRAINTS = frozenset((PRIMARY_KEY, UNIQUE, FOREIGN_KEY, CHECK, EXCLUDE))
OF_TABLES = CONSTRAINTS | {COLUMN, INDEX, TRIGGER}
"""The kinds of objects that come and go with a table."""

UNNAMED = "\0"
"""How the name of an object begins that the database keeps without one."""


class Place(NamedTuple):
    """Name a table; its schema is None where that is the connection's own."""

    schema: str | None
    table: str


class Key(NamedTuple):
    """Name an object of a database: `name` is empty for a table, `table` for what has none."""

    kind: str
    schema: str | None
    table: str
    name: str = ""

    @property
    def place(self) -> Place:
        """Return the table that it belongs to, or that it is."""
        return Place(self.schema, self.table)

    @property
    def is_named(self) -> bool:
        """Whether the database knows a name of it."""
        return not self.name.startswith(UNNAMED)

    def __str__(self) -> str:
        parts = (self.schema, self.table, self.name if self.is_named else "")
        return f"{self.kind} {'.'.join(filter(None, parts))}".rstrip()


class Reference(NamedTuple):
    """Name the table that a foreign key refers to, and its columns there."""

    place: Place
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Definition:
    """Hold what an object is, attribute by attribute; with equal attributes two are the same.

    `uses` are the columns of its own table that it is about; `columns` the same in their order,
    where a plain list says all of it. `sql` makes a check, an index or a whole object again, and
    `parts` has what else makes it: of a column its default, say, as the database writes it.
    """

    attributes: Mapping[str, str] = field(default_factory=dict)
    uses: frozenset[str] = frozenset()
    columns: tuple[str, ...] | None = None
    sql: str = ""
    refers: Reference | None = None
    parts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Hold what an object was, and what it is to be; None where it is not there.

    With two different keys it is the same object under another name.
    """

    old: Key | None
    new: Key | None
    before: Definition | None
    after: Definition | None

    @property
    def key(self) -> Key:
        """Return its name, the new one where it has two."""
        key = self.new or self.old
        assert key is not None
        return key

    @property
    def attributes(self) -> frozenset[str]:
        """Return which of its attributes differ."""
        before, after = (
            definition.attributes if definition else {} for definition in (self.before, self.after)
        )
        names = {*before, *after}
        return frozenset(name for name in names if before.get(name) != after.get(name))

    def __str__(self) -> str:
        if self.old is None:
            return f"add {self.new}"
        if self.new is None:
            return f"drop {self.old}"
        if self.old != self.new:
            return f"rename {self.old} to {self.new.name}"
        return f"change {self.new}: {', '.join(sorted(self.attributes))}"


def given(**attributes: str | None) -> dict[str, str]:
    """Return the attributes that an object has, without those that are empty."""
    return {name: value for name, value in attributes.items() if value}
