"""Tables of SQLite at random, rebuilt by each operation of Alembic's batch."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, Operations
from hypothesis import reject
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool

from dbtasks.engines import backend_for
from dbtasks.engines.base.definitions import COLUMN, INDEX, PRIMARY_KEY, TABLE, UNNAMED
from dbtasks.engines.sqlite import schema  # noqa: F401  # it takes its place where it is imported
from dbtasks.errors import Refused
from sqlite_tables import TABLE as PARENT
from sqlite_tables import Draw

NAME = "t x"
VALUES = ["NULL", "1", "2", "3", "'a'", "'A '", "'007'", "1.5", "x'41'", "id"]
INDEXES = [
    'CREATE INDEX "i 1" ON "t x" (plain DESC)',
    'CREATE INDEX i2 ON "t x" (plain COLLATE NOCASE, abs(plain) DESC) WHERE plain <> 3',
    'CREATE UNIQUE INDEX [i3] ON [t x] (lower("plain"), plain) -- as others write it',
]
BESIDE = [
    'CREATE VIEW seen AS SELECT plain AS p FROM "t x"',
    "CREATE VIEW twice AS SELECT p FROM seen",
    'CREATE TRIGGER gone AFTER DELETE ON "t x" BEGIN DELETE FROM parent WHERE id = OLD.plain; END',
    'CREATE TRIGGER parents AFTER DELETE ON parent BEGIN UPDATE "t x" SET plain = 1; END',
    'CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES "t x" (plain))',
]

Definitions = Counter[tuple[str, str, str | None, tuple[tuple[str, str], ...]]]
"""The kind, the table, the name and the attributes of all that a database has."""


@dataclass
class State:
    """Hold all that a rebuild has to keep."""

    definitions: Definitions
    statements: dict[str, str]
    rows: list[tuple[Any, ...]]
    orphans: list[tuple[Any, ...]]
    columns: list[str]

    def of(self, kind: str) -> Definitions:
        """Return what the table has of a kind."""
        own = {item: count for item, count in self.definitions.items() if item[:2] == (kind, NAME)}
        return Counter(own)


class Rebuilds:
    """Have a table at random in a database of its own."""

    def __init__(self, data: st.DataObject, connection: sa.Connection) -> None:
        self.data, self.connection = data, connection
        self.backend = backend_for("sqlite://", "the test", Path.cwd())
        self.operations = Operations(MigrationContext.configure(connection))
        draw = Draw(data)
        self._run(PARENT)
        try:
            self._run(draw.statement().replace("CREATE TEMP", "CREATE"))
        except OperationalError:  # a default that a NOT NULL column cannot have, and the like
            reject()
        chosen = data.draw(st.lists(st.sampled_from([*INDEXES, *BESIDE]), unique=True))
        if BESIDE[0] not in chosen:  # or a view would be of one that is not there
            chosen = [statement for statement in chosen if statement != BESIDE[1]]
        for statement in sorted(chosen, key=[*INDEXES, *BESIDE].index):
            with suppress(OperationalError):  # an index on a virtual column's 1
                self._run(statement)
        self._fill()
        asked = "SELECT group_concat(sql, char(10)) FROM sqlite_master"
        self.created = str(connection.exec_driver_sql(asked).scalar())

    def _run(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

    def _fill(self) -> None:
        self._run("INSERT INTO parent (id, a, b) VALUES (1, 1, 1), (2, 'x', 'y')")
        names = [name for name, hidden in self._xinfo() if not hidden]
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        for _ in range(3):
            row = ", ".join(self.data.draw(st.sampled_from(VALUES[:-1])) for _ in names)
            with suppress(DBAPIError):
                self._run(f'INSERT INTO "t x" ({quoted}) VALUES ({row})')

    def _xinfo(self) -> list[tuple[str, int]]:
        asked = "SELECT name, hidden FROM pragma_table_xinfo('t x')"
        return [(str(name), int(hidden)) for name, hidden in self.connection.exec_driver_sql(asked)]

    def state(self) -> State:
        asked = "SELECT name, sql FROM sqlite_master WHERE name <> 't x' ORDER BY name"
        statements = {name: str(sql) for name, sql in self.connection.exec_driver_sql(asked)}
        rows = self.connection.exec_driver_sql('SELECT * FROM "t x"')
        columns = [*rows.keys()]
        kept = sorted(map(tuple, rows), key=repr)
        with suppress(OperationalError):  # without rowid, or a column is called so
            keyed = self.connection.exec_driver_sql('SELECT _rowid_, * FROM "t x" ORDER BY 1')
            kept = [*map(tuple, keyed)]
        orphans = self._orphans()
        # What a snapshot is made of: it keeps one of two constraints that share a name.
        definitions: Definitions = Counter(
            (
                key.kind,
                key.table,
                None if key.name.startswith(UNNAMED) else key.name,
                (*sorted(definition.attributes.items()),),
            )
            for key, definition in self.backend.definitions(self.connection)
        )
        return State(definitions, statements, kept, orphans, columns)

    def _orphans(self) -> list[tuple[Any, ...]]:
        try:
            return [*map(tuple, self.connection.exec_driver_sql("PRAGMA foreign_key_check"))]
        except OperationalError:  # what it refers to has no such key
            return []

    @contextmanager
    def batch(self, **options: Any) -> Iterator[BatchOperations]:
        with self.operations.batch_alter_table(NAME, **options) as batch:
            yield batch

    def column(self) -> str:
        """Return a column that is not computed."""
        names = [name for name, hidden in self._xinfo() if not hidden]
        return str(self.data.draw(st.sampled_from(names)))


def _same(old: State, new: State) -> None:
    assert new == old


def rebuilt(case: Rebuilds) -> None:
    """A rebuild without a change keeps all."""
    before = case.state()
    with case.batch(recreate="always"):
        pass
    _same(before, case.state())


def added_and_dropped(case: Rebuilds) -> None:
    """A column comes, anywhere, and goes: with a rebuild each time."""
    before = case.state()
    beside = case.data.draw(st.sampled_from([{}, {"insert_before": 1}, {"insert_after": 1}]))
    place = {word: case.column() for word in beside}
    new = sa.Column("new col", sa.Text(collation="NOCASE"), server_default="it's")
    with case.batch(recreate="always") as batch:
        batch.add_column(new, **place)
        batch.alter_column("new col", nullable=False, existing_type=sa.Text())
    after = case.state()
    added = after.definitions - before.definitions
    assert [item[:3] for item in added] == [(COLUMN, NAME, "new col")]
    assert before.definitions - after.definitions == Counter()
    assert [name for name in after.columns if name != "new col"] == before.columns
    with case.batch() as batch:
        batch.drop_column("new col")
    _same(before, case.state())


def renamed(case: Rebuilds) -> None:
    """A column gets another name, wherever it is named, and the old one again."""
    before, name = case.state(), case.column()
    with case.batch(recreate=case.data.draw(st.sampled_from(["auto", "always"]))) as batch:
        batch.alter_column(name, new_column_name='odd "name')
    after = case.state()
    assert [row[1:] for row in after.rows] == [row[1:] for row in before.rows]
    assert len(after.definitions) == len(before.definitions)
    with case.batch(recreate="always") as batch:
        batch.alter_column('odd "name', new_column_name=name)
    again = case.state()
    assert (again.definitions, again.rows) == (before.definitions, before.rows)


def altered(case: Rebuilds) -> None:
    """A column gets a default, and loses what it has; the rest stays."""
    before, name = case.state(), case.column()
    with case.batch() as batch:
        batch.alter_column(name, server_default=sa.text("(1 + 1)"))
    after = case.state()
    assert {item[:3] for item in after.definitions - before.definitions} <= {(COLUMN, NAME, name)}
    assert after.rows == before.rows
    with case.batch() as batch:
        batch.alter_column(name, server_default=None, nullable=True)
    last = case.state()
    (own,) = [item for item in last.of(COLUMN) if item[2] == name]
    assert not {"default", "conflict"} & {*dict(own[3])}
    assert dict(own[3])["null"] == "yes"
    assert _but_columns(last) == _but_columns(before)


def _but_columns(state: State) -> Definitions:
    return state.definitions - state.of(COLUMN)


def retyped(case: Rebuilds) -> None:
    """A column gets another type; what is not about its type stays."""
    before, name = case.state(), case.column()
    kind = case.data.draw(st.sampled_from([sa.Text(), sa.LargeBinary(), sa.Integer()]))
    with case.batch() as batch:
        batch.alter_column(name, type_=kind)
    after = case.state()
    assert {item[:3] for item in after.definitions - before.definitions} <= {(COLUMN, NAME, name)}
    assert {item[0] for item in before.definitions - after.definitions} <= {COLUMN, "check"}


def constrained(case: Rebuilds) -> None:
    """Constraints and an index come and go."""
    before, name = case.state(), case.column()
    with case.batch() as batch:
        batch.create_check_constraint("new check", "1 <> 2")
        batch.create_foreign_key("new key", "parent", [name], ["id"])
        batch.create_unique_constraint("new unique", [name, "plain"] if name != "plain" else [name])
        batch.create_index("new index", [name])
    after = case.state()
    added = after.definitions - before.definitions
    assert {item[2] for item in added} == {"new check", "new key", "new unique", "new index"}
    assert before.definitions - after.definitions == Counter()
    with case.batch() as batch:
        batch.drop_index("new index")
        batch.drop_constraint("new unique", type_="unique")
        batch.drop_constraint("new key", type_="foreignkey")
        batch.drop_constraint("new check")
    _same(before, case.state())


def named(case: Rebuilds) -> None:
    """A naming convention names what had no name, and nothing else."""
    before = case.state()
    convention = {
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
    with case.batch(recreate="always", naming_convention=convention):
        pass
    after = case.state()
    assert _unnamed(after) == _unnamed(before)
    assert after.rows == before.rows


def _unnamed(state: State) -> Counter[object]:
    return Counter((item[0], item[3]) for item in state.definitions.elements())


def keyed(case: Rebuilds) -> None:
    """Another primary key, in the place of the one that there is."""
    before, name = case.state(), case.column()
    with case.batch() as batch:
        batch.create_primary_key("new key", [name])
    after = case.state()
    ((_, _, _, attributes),) = after.of(PRIMARY_KEY)
    assert dict(attributes)["columns"].strip('"').lower() in (name.lower(), name.replace('"', '""'))
    assert after.definitions - after.of(PRIMARY_KEY) == before.definitions - before.of(PRIMARY_KEY)
    assert len(after.rows) == len(before.rows)


def dropped(case: Rebuilds) -> None:
    """A column goes, and only what is about it goes with it."""
    before, name = case.state(), case.column()
    with case.batch() as batch:
        batch.drop_column(name)
    after = case.state()
    assert after.definitions - before.definitions - after.of(PRIMARY_KEY) == Counter()
    assert after.columns == [column for column in before.columns if column != name]
    lost = before.definitions - after.definitions
    assert {item[0] for item in lost} <= {COLUMN, PRIMARY_KEY, INDEX, "unique", "check", KEY}


KEY = "foreign key"


def optioned(case: Rebuilds) -> None:
    """A table becomes STRICT or WITHOUT ROWID, or AUTOINCREMENT, and is no more so."""
    before = case.state()
    (own,) = before.of(TABLE)
    options = {
        "sqlite_strict": "strict" not in dict(own[3]),
        "sqlite_with_rowid": "rowid" in dict(own[3]),
    }
    option = case.data.draw(st.sampled_from([*options]))
    with case.batch(recreate="always", table_kwargs={option: options[option]}):
        pass
    after = case.state()
    assert {item[0] for item in after.definitions - before.definitions} == {TABLE}
    with case.batch(recreate="always", table_kwargs={option: not options[option]}):
        pass
    last = case.state()
    assert last.definitions == before.definitions


def reordered(case: Rebuilds) -> None:
    """The columns get another order."""
    before = case.state()
    order = case.data.draw(st.permutations(before.columns))
    with case.batch(recreate="always", partial_reordering=[order]):
        pass
    after = case.state()
    assert [name for name in after.columns if name in order] == order
    assert after.definitions == before.definitions


CHANGES: Sequence[Callable[[Rebuilds], None]] = (
    *(rebuilt, added_and_dropped, renamed, altered, retyped, constrained, named, keyed, dropped),
    *(optioned, reordered),
)

MAY_FAIL = {retyped, keyed, dropped, optioned}
"""What SQLite may not take: other rows, STRICT with other types, a table of computed columns."""


def check(data: st.DataObject, change: Callable[[Rebuilds], None]) -> None:
    """Make a table at random, and a change of it."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            case = Rebuilds(data, connection)
            try:
                change(case)
            except (DBAPIError, Refused) as error:
                if change in MAY_FAIL:
                    reject()
                error.add_note(case.created)
                raise
            except AssertionError as error:
                error.add_note(case.created)
                raise
    finally:
        engine.dispose()
