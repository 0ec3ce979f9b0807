"""Writing commands that run at once on one database, and the same ones one after the other.

All processes of a round run the same command, so that all serial orders have one result: what they
leave at once has to be that, by exit codes and by rows.
"""

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import MetaData, NullPool, create_engine, inspect, text

import warm
from dbtasks import Project, fixtures, migrations
from races import BARRIER, patient, plant

PATIENCE = 120.0
PEOPLE = 30
DEPARTMENTS = 20

TASKS = """import sys

sys.path.insert(0, "src")
import barrier

from dbtasks import collection

ns = collection(
    metadata="company.models:Base",
    seeds="company.seeds:seed",
    default_model="Employee",
    databases={"other": {"url_variable": "OTHER_DATABASE_URL"}},
)
"""
WAITING = BARRIER.replace("import psycopg\nimport pymysql\n", "").replace(
    "import dbtasks.migrations\n", ""
)


@dataclass(frozen=True)
class Rival:
    """A command, and what it finds: `filled` tables, `empty` ones, or another `history`.

    Where it goes `once`, those that looked before it are refused (3): nobody meant what they would
    revert then. One that looked after it was not at once with it.
    """

    arguments: tuple[str, ...]
    finds: str = "filled"
    once: bool = False


RIVALS = {
    "add": Rival(("add", "-m", "Department", "-s", "name=New"), "empty"),
    "add, one key": Rival(("add", "-m", "Department", "-s", "id=7", "-s", "name=New"), "empty"),
    "add --upsert": Rival(
        ("add", "-m", "Department", "-s", "id=7", "-s", "name=New", "--upsert"), "empty"
    ),
    "update": Rival(("update", "-w", "name=Old", "-s", "name=New", "--expect", "30", "-y")),
    "update --batch-size": Rival(("update", "--all", "-s", "name=New", "--batch-size", "4", "-y")),
    "delete": Rival(("delete", "-w", "name=Old", "--expect", "30", "-y")),
    "sql --write": Rival(
        ("sql", "--write", "--statement", "UPDATE employee SET dept_id = dept_id + 1")
    ),
    "seed": Rival(("seed",), "empty"),
    "seed --replant": Rival(("seed", "--replant", "-y")),
    "seed --count": Rival(
        ("seed", "-m", "Department", "--count", "9", "--random-seed", "7"), "empty"
    ),
    "loaddata": Rival(("loaddata", "--input", "rows.jsonl"), "empty"),
    "loaddata --upsert": Rival(("loaddata", "--input", "rows.jsonl", "--upsert", "-y"), "empty"),
    "loaddata --truncate": Rival(("loaddata", "--input", "rows.jsonl", "--truncate", "-y")),
    "copydata": Rival(("copydata", "--from", "other", "--to", "default", "-y"), "empty"),
    "copydata --truncate": Rival(
        ("copydata", "--from", "other", "--to", "default", "--truncate", "-y")
    ),
    "flush": Rival(("flush", "-y")),
    "migrate": Rival(("migrate",), "history"),
    "rollback": Rival(("rollback", "-y"), "history at its end", once=True),
    "redo": Rival(("redo", "-y"), "empty"),
    "protect": Rival(("protect", "--as", "test"), "empty"),
}


@dataclass(frozen=True)
class Left:
    """What the processes of a round left: their exit codes, the rows, and what they reported."""

    codes: tuple[int, ...]
    rows: Mapping[str, Sequence[str]]
    reports: tuple[str, ...]

    def differs(self, serial: "Left") -> list[str]:
        """Return what is not as after the same commands in a series."""
        faults = []
        if self.codes != serial.codes:
            faults.append(f"exit codes {self.codes}, and {serial.codes} in a series")
        if self.rows != serial.rows:
            faults.append(f"rows {dict(self.rows)}, and {dict(serial.rows)} in a series")
        return [*faults, *self.reports] if faults else []


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """Return threads that stay: each keeps a warm Python."""
    return ThreadPoolExecutor(number)


class Arena:
    """A copy of the reference project, for rounds of so many processes."""

    def __init__(self, root: Path, environment: Mapping[str, str], number: int) -> None:
        self.root = root
        self.environment = environment
        self.number = number
        self.pool = _threads(number)
        (root / "tasks.py").write_text(TASKS, encoding="utf-8")
        (root / "src" / "barrier.py").write_text(WAITING, encoding="utf-8")
        (root / "gate").touch()

    def at_once(self, name: str, url: str, other: str) -> Left:
        """Let the processes go on at the same moment, with their first connection open."""
        self._prepare(name, url, other)
        with (self.root / "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            runs = [self.pool.submit(self._run, name, url, other) for _ in range(self.number)]
            until = monotonic() + PATIENCE
            while len(os.listdir(self.root / "ready")) < self.number and monotonic() < until:
                if any(one.done() for one in runs):  # it did not come so far
                    break
                sleep(0.01)
        return self._left(url, [one.result() for one in runs])

    def in_series(self, name: str, url: str, other: str, *, done: int = 1) -> Left:
        """Run the processes one after the other; of what goes once, as many as were `done`."""
        self._prepare(name, url, other)
        number = done if RIVALS[name].once else self.number
        runs = [self._run(name, url, other) for _ in range(number)]
        return self._left(url, runs + [(3, "")] * (self.number - number))

    def empty(self, url: str) -> None:
        """Drop all tables, for another round in the same database."""
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            found = MetaData()
            found.reflect(connection)
            found.drop_all(connection)
            if engine.dialect.name == "postgresql":
                connection.execute(text("DROP SCHEMA IF EXISTS dbtasks CASCADE"))

    def _run(self, name: str, url: str, other: str) -> tuple[int, str]:
        urls = {
            "DATABASE_URL": patient(url),
            "OTHER_DATABASE_URL": other,
            "DBTASKS_DATABASE": "default",
        }
        environment = {**self.environment, **urls, "DBTASKS_ENV": "test"}
        command = ("invoke", *RIVALS[name].arguments)
        done = warm.run(*command, cwd=self.root, env=environment, timeout=PATIENCE)
        return done.returncode, done.stderr

    def _left(self, url: str, runs: Sequence[tuple[int, str]]) -> Left:
        codes = tuple(sorted(code for code, _ in runs))
        return Left(codes, content(url), tuple(report for code, report in runs if code))

    def _prepare(self, name: str, url: str, other: str) -> None:
        """Make the tables and their rows, in databases that are empty."""
        shutil.rmtree(self.root / "ready", ignore_errors=True)
        (self.root / "ready").mkdir()
        finds = RIVALS[name].finds
        with self._project(url) as project:
            if not finds.startswith("history"):
                migrations.migrate(project)
                if finds == "filled":
                    fill(project)
            elif finds != "history":
                migrations.migrate(project)
        if "data" in name:
            with self._project(other) as project:
                migrations.migrate(project)
                fill(project, "Copied")
                fixtures.dumpdata(project, output=self.root / "rows.jsonl")

    def _project(self, url: str) -> Project:
        return Project.configure(
            self.root, url=url, url_variable="UNSET", metadata="company.models:Base"
        )


def make_history(root: Path) -> None:
    """Give a project five revisions in place of its tables."""
    plant(root)


def fill(project: Project, name: str = "Old") -> None:
    """Add the rows that the commands change."""
    with project.connect(writes=True) as connection:
        for number in range(1, DEPARTMENTS + 1):
            row = {"id": number, "name": f"{name} {number}"}
            connection.execute(text("INSERT INTO department VALUES (:id, :name)"), row)
        for number in range(1, PEOPLE + 1):
            row = {"id": number, "name": name}
            connection.execute(text("INSERT INTO employee VALUES (:id, :name, 1)"), row)


def content(url: str) -> dict[str, list[str]]:
    """Return the rows of all tables but our own, as texts in their order; `applied` by revision."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        quote = connection.dialect.identifier_preparer.quote
        names = [
            name for name in inspect(connection).get_table_names() if not name.startswith("dbtasks")
        ]
        return {
            name: sorted(
                str(tuple(row)) for row in connection.execute(text(f"SELECT * FROM {quote(name)}"))
            )
            for name in sorted(names)
        }
