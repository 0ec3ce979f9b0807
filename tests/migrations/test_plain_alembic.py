"""Plain Alembic beside dbtasks on one history and one database: in every order they agree."""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine, inspect, text

from conftest import Database
from dbtasks import Project, migrations
from dbtasks.errors import DbtasksError, Refused
from trees import add_revision

IDS = ("0001_one", "0002_two", "0003_three")
TABLES = {identifier: f"t{number}" for number, identifier in enumerate(IDS, 1)}
ORDERS = {"sqlite": (3, 280), "postgresql": (2, 72), "mariadb": (2, 72)}
"""How many operations an order has at most, and how many orders differ."""


@dataclass(frozen=True)
class State:
    """What the files and the database have: `at` is the number of applied revisions."""

    ids: tuple[str, ...] = IDS
    at: int = 1
    tables: frozenset[str] = frozenset({"t1"})

    def moved(self, by: int) -> "State | None":
        """Return the state after one revision more or less; None where there is none."""
        if not 0 <= self.at + by <= len(self.ids):
            return None
        step = self.ids[self.at if by > 0 else self.at - 1]
        table = {TABLES[step]} if step in TABLES else set()
        tables = self.tables | table if by > 0 else self.tables - table
        return replace(self, at=self.at + by, tables=tables)


class Pair:
    """One project, as Alembic and as dbtasks see it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.versions = root / "migrations" / "versions"
        self.engine = create_engine(url, poolclass=NullPool)

    @property
    def config(self) -> Config:
        config = Config(str(self.root / "alembic.ini"), stdout=io.StringIO())
        config.set_main_option("sqlalchemy.url", self.url.replace("%", "%%"))
        return config

    @contextlib.contextmanager
    def project(self) -> Iterator[Project]:
        options = {"metadata": "company.models:Base", "url": self.url}
        with Project.configure(self.root, **options) as project:
            yield project

    def put(self, state: State) -> None:
        """Bring files and database to a state."""
        for path in self.versions.glob("*.py"):
            if path.stem not in IDS:
                path.unlink()
        for before, identifier in zip(state.ids[2:], state.ids[3:], strict=False):
            add_revision(self.root, identifier, after=before)
        with self.engine.begin() as connection:
            for table in TABLES.values():
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
            for table in state.tables:
                connection.execute(text(f"CREATE TABLE {table} (id INTEGER)"))
            connection.execute(text("DELETE FROM alembic_version"))
            if state.at:
                row = {"at": state.ids[state.at - 1]}
                connection.execute(text("INSERT INTO alembic_version VALUES (:at)"), row)

    def check(self, state: State, order: Sequence[str]) -> None:
        """Compare the database, and what dbtasks says of it, with a state."""
        with self.engine.connect() as connection:
            tables = {name for name in inspect(connection).get_table_names() if name[0] == "t"}
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
            assert [*version] == [*state.ids[state.at - 1 : state.at]] * (state.at > 0), order
        assert tables == state.tables, order
        with self.project() as project:
            entries = migrations.showmigrations(project)
            applied = [entry.revision.id for entry in entries if entry.applied]
            assert applied == [*state.ids[: state.at]], order
            with pytest.raises(Refused, match="did not stop part way"):
                migrations.resolve(project, revision=IDS[0], applied=True)


def by_alembic(work: Callable[..., object], *arguments: str) -> Callable[[Pair], None]:
    def run(pair: Pair) -> None:
        work(pair.config, *arguments)

    return run


def by_dbtasks(work: Callable[..., object], **options: object) -> Callable[[Pair], None]:
    def run(pair: Pair) -> None:
        with pair.project() as project:
            work(project, **options)

    return run


def writes(pair: Pair) -> None:
    number = len([*pair.versions.glob("*.py")]) + 1
    with contextlib.redirect_stdout(io.StringIO()):
        command.revision(pair.config, f"more{number}", rev_id=f"{number:04}_more{number}")


def makes(pair: Pair) -> None:
    number = len([*pair.versions.glob("*.py")]) + 1
    with pair.project() as project:
        migrations.makemigrations(project, name=f"more{number}", empty=True)


def longer(state: State) -> State:
    number = len(state.ids) + 1
    return replace(state, ids=(*state.ids, f"{number:04}_more{number}"))


STAMPED = IDS[1]
Operation = tuple[Callable[[Pair], None], Callable[[State], State | None]]
OPERATIONS: Mapping[str, Operation] = {
    "alembic upgrade +1": (by_alembic(command.upgrade, "+1"), lambda state: state.moved(1)),
    "alembic downgrade -1": (by_alembic(command.downgrade, "-1"), lambda state: state.moved(-1)),
    "alembic stamp": (by_alembic(command.stamp, STAMPED), lambda state: replace(state, at=2)),
    "alembic revision": (writes, longer),
    "inv migrate --to +1": (by_dbtasks(migrations.migrate, to="+1"), lambda one: one.moved(1)),
    "inv rollback": (by_dbtasks(migrations.rollback), lambda state: state.moved(-1)),
    "inv migrate --fake": (
        by_dbtasks(migrations.migrate, to=STAMPED, fake=True),
        lambda state: replace(state, at=2),
    ),
    "inv makemigrations": (makes, longer),
}


Known = set[tuple[Sequence[str], State, str]]


def walk(pair: Pair, state: State, order: tuple[str, ...], length: int, known: Known) -> None:
    """Run each operation after an order, and what follows it.

    What a state and the operation before it have led to is known, however it was come by.
    """
    for name, (operate, expected) in OPERATIONS.items():
        after = expected(state)
        if (order[-1:], state, name) not in known:
            known.add((order[-1:], state, name))
            pair.put(state)
            if after is None:
                with contextlib.suppress(CommandError, DbtasksError):
                    operate(pair)
            else:
                operate(pair)
            pair.check(after or state, (*order, name))
        if len(order) + 1 < length:
            walk(pair, after or state, (*order, name), length, known)


def test_every_order_of_both(company: Path, database: Database) -> None:
    shutil.rmtree(company / "migrations" / "versions")
    (company / "migrations" / "versions").mkdir()
    for before, identifier in zip((None, *IDS), IDS, strict=False):
        table = TABLES[identifier]
        add_revision(
            company,
            identifier,
            f'op.execute("CREATE TABLE IF NOT EXISTS {table} (id INTEGER)")',
            downgrade=f'op.execute("DROP TABLE IF EXISTS {table}")',
            after=before,
        )
    pair = Pair(company, database.url)
    with pair.project() as project:
        migrations.migrate(project, to=IDS[0])
    length, number = ORDERS[database.kind]
    known: Known = set()
    walk(pair, State(), (), length, known)
    assert len(known) == number
    pair.engine.dispose()
