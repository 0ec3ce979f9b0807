"""A migrate that is killed at one statement after the other, and what each kill has left."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, inspect, text

import warm
from trees import add_revision

KILLED = -9

KILLER = '''"""Kill this process at a point that is told by its number, or by its statement."""

import atexit
import os
import signal

from sqlalchemy import Engine, event

points = 0
armed = False
at = int(os.environ.get("KILL_AT", 0))
when, _, words = os.environ.get("KILL_ON", "").partition(" ")


def pass_point(name, sent):
    global points, armed
    points += 1
    told = words and name == "before" and any(words in one for one in sent if isinstance(one, str))
    if points == at or armed or (told and when == "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    armed = told


def watch(target, name):
    event.listen(Engine, target, lambda *sent: pass_point(name, sent))


for target in ("do_execute", "do_executemany", "do_execute_no_params"):
    watch(target, "before")
watch("after_cursor_execute", "after")
watch("commit", "commit")
atexit.register(lambda: print(f"points: {points}"))
'''
"""A point is before and after each statement, those of locks and journal too, and before COMMIT."""

SWITCH = """import os
import sys

sys.path.insert(0, "src")
if {"KILL_AT", "KILL_ON"} & {*os.environ}:
    import killer

"""

BATCH = 'with op.batch_alter_table("{0}") as batch:\n    batch.{1}'
CHANGES: dict[str, Sequence[str]] = {
    "0001_place": (
        'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("name", sa.String(50), nullable=False), sa.Column("size", sa.Integer()))',
        'op.create_index("ix_place_name", "place", ["name"])',
        "op.execute(\"INSERT INTO place (id, name, size) VALUES (1, 'Oslo', 1), (2, 'Rome', 2)\")",
    ),
    "0002_code": (
        'op.add_column("place", sa.Column("code", sa.Integer()))',
        'op.execute("UPDATE place SET code = size * 10, size = size + 1")',
        'op.execute("UPDATE place SET code = code + size")',
    ),
    "0003_visit": (
        'op.create_table("visit", sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("place_id", sa.Integer()), sa.Column("note", sa.String(20)))',
        'op.bulk_insert(sa.table("visit", *map(sa.column, ("id", "place_id", "note"))), '
        '[{"id": 1, "place_id": 1, "note": "a"}, {"id": 2, "place_id": 2, "note": "b"}])',
        BATCH.format("visit", 'create_foreign_key("fk_visit", "place", ["place_id"], ["id"])'),
    ),
    "0004_name": (
        BATCH.format("place", 'alter_column("name", type_=sa.String(80), nullable=False)'),
        "op.execute(\"INSERT INTO visit (id, place_id, note) SELECT id + 2, id, 'c' FROM place\")",
        BATCH.format(
            "visit",
            'alter_column("note", new_column_name="words", '
            "existing_type=sa.String(20), existing_nullable=True)",
        ),
        'op.execute("DELETE FROM visit WHERE id = 1")',
    ),
    "0005_less": (
        'op.drop_index("ix_place_name", "place")',
        BATCH.format("place", 'drop_column("code")'),
        BATCH.format("visit", 'drop_constraint("fk_visit", type_="foreignkey")'),
        'op.rename_table("visit", "stay")',
        'op.create_table("last", sa.Column("id", sa.Integer(), primary_key=True))',
        'op.execute("INSERT INTO last (id) SELECT COUNT(*) FROM stay")',
        'op.drop_table("last")',
    ),
}
"""Five revisions. Each line is one operation, and a data statement that runs twice is seen."""

TOTAL = sum(len(changes) for changes in CHANGES.values())
BOUNDARIES = [sum(len(one) for one in [*CHANGES.values()][:n]) for n in range(len(CHANGES) + 1)]


@dataclass(frozen=True)
class Left:
    """What a database holds: the newest revision, the journal's open row, and all else."""

    version: str | None
    stopped: Any
    content: object


def plant(root: Path, operations: int = TOTAL) -> None:
    """Replace the revisions of a copy of the reference project by the first of our operations."""
    for path in (root / "migrations" / "versions").glob("*.py"):
        path.unlink()
    after = None
    for revision, changes in CHANGES.items():
        if operations <= 0:
            return
        add_revision(root, revision, "\n".join(changes[:operations]), after=after)
        operations -= len(changes)
        after = revision


def arm(root: Path) -> None:
    """Let every `inv` of the project be killed at the point that KILL_AT tells."""
    (root / "src" / "killer.py").write_text(KILLER, encoding="utf-8")
    tasks = root / "tasks.py"
    tasks.write_text(SWITCH + tasks.read_text(encoding="utf-8"), encoding="utf-8")


def run(
    root: Path, url: str, environment: Mapping[str, str], *options: str, at: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `inv migrate`, killed at a point; 0 is never reached, and only counted up from."""
    told = {} if at is None else {"KILL_AT": str(at)}
    return warm.run(
        *("invoke", "migrate", *options),
        cwd=root,
        env={**environment, "DATABASE_URL": url, **told},
        timeout=120,
    )


def kill_on(root: Path, url: str, environment: Mapping[str, str], when: str, words: str) -> None:
    """Run `inv migrate`, killed before or after the statement that has these words."""
    told = {**environment, "KILL_ON": f"{when} {words}"}
    done = run(root, url, told)
    assert done.returncode == KILLED, done.stderr


def points_of(done: "subprocess.CompletedProcess[str]") -> int:
    """Return how many points a run had that was not killed."""
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("points: ")[2])


def look(url: str) -> Left:
    """Read what a database holds."""
    with _connected(url) as connection:
        found = inspect(connection)
        tables = set(found.get_table_names())
        content = {
            name: _table(connection, name)
            for name in sorted(tables)
            if not name.startswith(("dbtasks_", "alembic_"))
        }
        versions = (
            connection.scalars(text("SELECT version_num FROM alembic_version")).all()
            if "alembic_version" in tables
            else []
        )
        return Left(versions[0] if versions else None, _stopped(connection), content)


class Survey:
    """Kill a migrate at its points, on a fresh database each, and say what has gone wrong after.

    `root` is a copy of the reference project, which is given our revisions.
    """

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        fresh: Callable[[], AbstractContextManager[str]],
        *options: str,
        transactional: bool,
    ) -> None:
        self.root = root
        self.environment = environment
        self.fresh = fresh
        self.options = options
        self.transactional = transactional
        self.stages: dict[int, object] = {0: {}}
        self.staging = Lock()
        self.template = root.with_name(f"{root.name} of stages")
        shutil.copytree(root, self.template)
        plant(root)
        arm(root)

    def count(self) -> int:
        """Return how many points there are, by a run that none of them kills."""
        with self.fresh() as url:
            done = run(self.root, url, self.environment, *self.options, at=0)
            self.stages[TOTAL] = look(url).content
            return points_of(done)

    def faults_at(self, point: int) -> list[str]:
        """Kill at a point, go on, and return what has gone wrong; nothing, if all is well."""
        with self.fresh() as url:
            done = run(self.root, url, self.environment, *self.options, at=point)
            if done.returncode != KILLED:
                return [f"it was not killed, but ended with {done.returncode}: {done.stderr}"]
            return self._faults_after(url)

    def stage(self, operations: int) -> object:
        """Return what a database holds after a number of operations, by a run of no more."""
        with self.staging:
            if operations not in self.stages:
                plant(self.template, operations)
                with self.fresh() as url:
                    done = run(self.template, url, self.environment)
                    assert done.returncode == 0, done.stderr
                    self.stages[operations] = look(url).content
        return self.stages[operations]

    def _faults_after(self, url: str) -> list[str]:
        left = look(url)
        faults = self._faults_of(left)
        again = run(self.root, url, self.environment)
        if left.stopped is not None:
            faults += _faults_of_refusal(again, left.stopped)
            again = run(self.root, url, self.environment, "--resume")
        if again.returncode != 0:
            faults.append(f"the next run ended with {again.returncode}: {again.stderr}")
        if look(url) != Left([*CHANGES][-1], None, self.stage(TOTAL)):
            faults.append(f"in the end it holds {look(url)}")
        return faults

    def _faults_of(self, left: Left) -> list[str]:
        """Return where the journal is wrong: but for one operation that it names, it is exact."""
        number = [None, *CHANGES].index(left.version)
        possible = [BOUNDARIES[number]]
        if left.stopped is not None:
            revision, done, what = left.stopped
            if self.transactional or revision != [*CHANGES][number]:
                return [f"the journal has {left.stopped}, the version is {left.version}"]
            possible = [BOUNDARIES[number] + done]
            if what is not None:
                possible.append(possible[0] + 1)
        if left.content not in [self.stage(one) for one in possible]:
            return [f"after operation {possible} it holds {left.content}"]
        whole = (None, [*CHANGES][-1])
        if self.transactional and not self.options and left.version not in whole:
            return [f"it is at {left.version}"]
        return []


def _faults_of_refusal(again: "subprocess.CompletedProcess[str]", stopped: Any) -> list[str]:
    revision, done, what = stopped
    of = len(CHANGES[revision])
    place = f"at operation {done + 1} of {of}" if done < of else "after its last operation"
    words = [f"{revision} stopped {place}", "inv migrate --resume"]
    if what is not None:
        words.append(f"({what})")
    missing = [one for one in words if one not in again.stderr]
    if again.returncode != 3 or missing:
        return [f"not refused as it should be, but {again.returncode}: {again.stderr}"]
    return []


def _stopped(connection: Connection) -> Any:
    schema = "dbtasks" if connection.dialect.name == "postgresql" else None
    if not inspect(connection).has_table("dbtasks_migration", schema=schema):
        return None
    table = f"{schema}.dbtasks_migration" if schema else "dbtasks_migration"
    row = connection.execute(
        text(
            f"SELECT revision, done, what FROM {table} "
            "WHERE state IN ('running', 'failed') AND (done > 0 OR what IS NOT NULL)"
        )
    ).one_or_none()
    return None if row is None else tuple(row)


def _table(connection: Connection, name: str) -> object:
    found = inspect(connection)
    columns = [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)]
    indexes = sorted((str(i["name"]), i["column_names"]) for i in found.get_indexes(name))
    keys = [(k["name"], k["referred_table"]) for k in found.get_foreign_keys(name)]
    rows = connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY id").all()
    return columns, indexes, keys, [tuple(row) for row in rows]


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
