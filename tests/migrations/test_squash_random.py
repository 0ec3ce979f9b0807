"""squashmigrations: random histories leave the same after it, or are refused with a reason.

`DBTASKS_TEST_HISTORIES=100` runs as many for each kind of database.
"""

import os
from pathlib import Path
from random import Random

import pytest

from dbtasks import Project, migrations
from dbtasks.errors import Refused
from dbtasks.migrations.editing.squash_contents import Contents, take
from dbtasks.migrations.execution.replay import replay
from trees import FIRST, add_revision, revisions

COUNT = int(os.environ.get("DBTASKS_TEST_HISTORIES", "2"))

KEY = 'sa.Column("id", sa.Integer(), primary_key=True)'
TYPES = {
    "text": ("sa.String(20)", "sa.String(40)"),
    "number": ("sa.Integer()", "sa.BigInteger()"),
}


class Author:
    """Write operations that run one after the other on every database."""

    def __init__(self, chance: Random, *, rows: bool) -> None:
        self.chance = chance
        self.tables: dict[str, dict[str, str]] = {"department": {}}
        self.indexes: dict[str, tuple[str, str]] = {}
        self.uniques: dict[str, tuple[str, str]] = {}
        self.writers = [
            *(self.create, self.add, self.add, self.retype, self.rename, self.rename, self.drop),
            *(self.index, self.unindex, self.rename_table, self.drop_table, self.default),
            *(self.constrain, self.refer),
            *((self.insert, self.insert, self.update) if rows else ()),
        ]

    def write(self) -> str:
        """Return what a revision does."""
        calls = (self.chance.choice(self.writers)() for _ in range(self.chance.randint(1, 5)))
        return "\n".join(call for call in calls if call) or "pass"

    def table(self) -> str:
        return self.chance.choice([*self.tables])

    def column(self, table: str, *, free: bool = False) -> str | None:
        used = {*self.indexes.values(), *self.uniques.values()}
        names = [name for name in self.tables[table] if not free or (table, name) not in used]
        names = [name for name in names if not (free and name.startswith("ref"))]
        return self.chance.choice(names) if names else None

    def type(self) -> str:
        return self.chance.choice([*TYPES["text"], *TYPES["number"]])

    def create(self) -> str | None:
        name = self.chance.choice("tuvw")
        if name in self.tables:
            return None
        names = self.chance.sample("abcd", self.chance.randint(0, 3))
        self.tables[name] = {column: self.type() for column in names}
        added = "".join(
            f', sa.Column("{column}", {type_})' for column, type_ in self.tables[name].items()
        )
        return f'op.create_table("{name}", {KEY}{added})'

    def add(self) -> str | None:
        table, name, type_ = self.table(), self.chance.choice("abcdefg"), self.type()
        if name in self.tables[table]:
            return None
        self.tables[table][name] = type_
        default = self.chance.choice(("", "", ', server_default="7"'))
        required = bool(default) and self.chance.random() < 0.5
        # The rows are the department's; its columns may lose their default.
        null = ", nullable=False" if required and table != "department" else ""
        return f'op.add_column("{table}", sa.Column("{name}", {type_}{default}{null}))'

    def alter(self, table: str, column: str, change: str) -> str:
        type_ = self.tables[table][column]
        return self.batch(table, f'alter_column("{column}", existing_type={type_}, {change})')

    def retype(self) -> str | None:
        table = self.table()
        column = self.column(table, free=True)
        if column is None:
            return None
        small = {pair[0]: pair[1] for pair in TYPES.values()}
        if self.tables[table][column] not in small:
            return None
        new = small[self.tables[table][column]]
        call = self.alter(table, column, f"type_={new}")
        self.tables[table][column] = new
        return call

    def default(self) -> str | None:
        table = self.table()
        column = self.column(table, free=True)
        if column is None:
            return None
        value = self.chance.choice(("None", '"9"'))
        return self.alter(table, column, f"server_default={value}")

    def rename(self) -> str | None:
        table, new = self.table(), self.chance.choice("abcdefg")
        column = self.column(table, free=True)
        if column is None or new in self.tables[table]:
            return None
        call = self.alter(table, column, f'new_column_name="{new}"')
        columns = self.tables[table]
        self.tables[table] = {new if key == column else key: columns[key] for key in columns}
        return call

    def drop(self) -> str | None:
        table = self.table()
        column = self.column(table, free=True)
        if column is None:
            return None
        del self.tables[table][column]
        return self.batch(table, f'drop_column("{column}")')

    def index(self) -> str | None:
        table, name = self.table(), f"ix_{self.chance.randint(1, 4)}"
        column = self.column(table)
        if name in self.indexes or column is None:
            return None
        self.indexes[name] = table, column
        return f'op.create_index("{name}", "{table}", ["{column}"])'

    def unindex(self) -> str | None:
        if not self.indexes:
            return None
        name = self.chance.choice([*self.indexes])
        table, column = self.indexes[name]
        if column.startswith("ref"):
            return None
        del self.indexes[name]
        return f'op.drop_index("{name}", table_name="{table}")'

    def constrain(self) -> str | None:
        table = self.table()
        column, name = self.column(table, free=True), f"uq_{self.chance.randint(1, 4)}"
        if column is None or name in self.uniques or table == "department":
            return None
        self.uniques[name] = table, column
        return self.batch(table, f'create_unique_constraint("{name}", ["{column}"])')

    def refer(self) -> str | None:
        table, name = self.table(), f"ref_{self.chance.randint(1, 4)}"
        if any(name in columns for columns in self.tables.values()):
            return None
        self.tables[table][name] = "sa.Integer()"
        column = f'add_column(sa.Column("{name}", sa.Integer()))'
        key = f'create_foreign_key("fk_{name}", "department", ["{name}"], ["id"])'
        return f"{self.batch(table, column)}\n    batch_op.{key}"

    def rename_table(self) -> str | None:
        old, new = self.table(), self.chance.choice("tuvw")
        if old == "department" or new in self.tables:
            return None
        self.tables[new] = self.tables.pop(old)
        for places in (self.indexes, self.uniques):
            for name, (table, column) in places.items():
                places[name] = new if table == old else table, column
        return f'op.rename_table("{old}", "{new}")'

    def drop_table(self) -> str | None:
        name = self.table()
        if name == "department" or self.chance.random() < 0.5:
            return None
        del self.tables[name]
        for places in (self.indexes, self.uniques):
            for key in [key for key, (table, _) in places.items() if table == name]:
                del places[key]
        return f'op.drop_table("{name}")'

    def insert(self) -> str:
        name = self.chance.choice(("A", "B", "it''s"))
        return f"op.execute(\"INSERT INTO department (name) VALUES ('{name}')\")"

    def update(self) -> str | None:
        column = self.column("department", free=True)
        return column and f'op.execute("UPDATE department SET {column} = id")'

    def batch(self, table: str, call: str) -> str:
        return f'with op.batch_alter_table("{table}") as batch_op:\n    batch_op.{call}'


def left(project: Project) -> Contents:
    """Return what the history leaves in an empty database."""
    with project.scratch() as scratch:
        replay(scratch)
        with scratch.connect() as connection:
            return take(scratch.backend, connection)


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("first", ["base", "0002"])
def test_a_random_history(seed: int, first: str, company: Path, project: Project) -> None:
    chance = Random(f"{seed} {first}")
    author = Author(chance, rows=first == "base")
    after = FIRST
    for number in range(2, chance.randint(5, 9)):
        revision = f"{number:04}_step"
        add_revision(company, revision, author.write(), after=after)
        after = revision
    before, files = left(project), revisions(company)
    try:
        squashed = migrations.squashmigrations(project, first=first, last=after)
    except Refused as refused:
        assert "nothing of the range can be squashed: 0" in refused.message
        assert first != "base"
        return
    serve = project.backend.keys_need_indexes
    assert before.difference(left(project), indexes_serve=serve) is None
    assert len(revisions(company)) < len(files)
    assert not squashed.kept or first != "base", squashed.kept
