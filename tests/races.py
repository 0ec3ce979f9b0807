"""Processes that migrate one database at the same moment, and what they left of it."""

import compileall
import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData, NullPool, Table, create_engine, inspect, make_url, select, text

import dbtasks
from dbtasks.own_tables import FORMAT
from trees import FIRST, add_revision

PACKAGE = Path(dbtasks.__file__).parent

RUNNERS = 8
PATIENCE = 120.0

MIGRATE = ("-m", "invoke", "migrate")
UPGRADE = ("-m", "alembic", "upgrade", "head")

BARRIER = """
import fcntl
import os
from pathlib import Path

import alembic.command
import alembic.runtime.migration
import dbtasks.migrations
import psycopg
import pymysql
import sqlalchemy.orm
from sqlalchemy import Engine, event

import company.models


@event.listens_for(Engine, "connect", once=True)
def wait(connection, record):
    with open("gate") as gate:
        Path("ready", str(os.getpid())).touch()
        fcntl.flock(gate, fcntl.LOCK_SH)
"""
"""Wait when everything is imported and the first connection is open, until all others do."""

PLAIN = """
import os

from alembic import context
from sqlalchemy import create_engine, pool

from company.models import Base

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
"""What `alembic init` writes, with the URL from the environment."""

NOTE = """op.execute("INSERT INTO applied (revision) VALUES ('{}')")"""
CHANGES = {
    "0001_applied": 'op.create_table("applied", sa.Column("id", sa.Integer(), primary_key=True), '
    'sa.Column("revision", sa.String(50), nullable=False))',
    "0002_place": 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))',
    "0003_street": 'op.add_column("place", sa.Column("street", sa.String(50)))',
    "0004_visit": 'op.create_table("visit", sa.Column("id", sa.Integer(), primary_key=True), '
    'sa.Column("place_id", sa.Integer(), sa.ForeignKey("place.id")))',
    "0005_at": 'op.add_column("visit", sa.Column("at", sa.DateTime()))',
}
"""Five revisions. Each notes in a table that it was applied, so a second time is seen."""

HEAD = list(CHANGES)[-1]
SCHEMA = {
    "applied": {"id", "revision"},
    "place": {"id", "street"},
    "visit": {"id", "place_id", "at"},
}


@dataclass(frozen=True)
class Finish:
    """How a process ended."""

    code: int
    err: str


def plant(root: Path) -> None:
    """Replace the revisions of a copy of the reference project by the five."""
    (root / "migrations" / "versions" / f"{FIRST}.py").unlink()
    after = None
    for revision, change in CHANGES.items():
        add_revision(root, revision, f"{change}\n{NOTE.format(revision)}", after=after)
        after = revision


def make_plain(root: Path) -> None:
    """Give the project an env.py as it is without dbtasks, and no tasks."""
    (root / "migrations" / "env.py").write_text(PLAIN, encoding="utf-8")
    (root / "tasks.py").unlink()


def add_barrier(root: Path) -> None:
    """Let every process of the project wait for the others before its first statement."""
    (root / "src" / "barrier.py").write_text(BARRIER, encoding="utf-8")
    (root / "gate").touch()
    # Invoke runs tasks.py before anything else; plain Alembic runs env.py.
    found = [root / "tasks.py", root / "migrations" / "env.py"]
    first = next(path for path in found if path.exists())
    source = first.read_text(encoding="utf-8")
    path = 'import sys\nsys.path.insert(0, "src")\nimport barrier\n\n'
    first.write_text(path + source, encoding="utf-8")


def patient(url: str) -> str:
    """Return a URL whose connection may take as long as the others need to come to the barrier."""
    there = make_url(url)
    if there.get_backend_name() != "sqlite":
        there = there.update_query_dict({"connect_timeout": f"{PATIENCE:.0f}"})
    return there.render_as_string(hide_password=False)


def make_newer(folder: Path, package: Path = PACKAGE) -> Path:
    """Copy dbtasks into a folder with the next format of our tables; return it for PYTHONPATH."""
    copy = Path(shutil.copytree(package, folder / "dbtasks"))
    path = copy / "own_tables.py"
    source, column = path.read_text(), 'Column("checksum", String(64)),'
    number = f"\nFORMAT = {FORMAT}\n"
    assert (source.count(number), source.count(column)) == (1, 1)
    source = source.replace(number, f"\nFORMAT = {FORMAT + 1}\n")
    path.write_text(source.replace(column, f'{column} Column("note", String(10)),'))
    compileall.compile_dir(folder, quiet=1)
    return folder


def race(
    root: Path,
    command: Sequence[str],
    urls: Sequence[str],
    environment: Mapping[str, str],
    *,
    packages: Sequence[Path] = (),
) -> list[Finish]:
    """Start the runners at once, on the nodes in turn, and return how each ended.

    They take dbtasks from the folders `packages` in turn, if there are any.
    """
    urls = [*map(patient, urls)]
    folders = [{"PYTHONPATH": str(folder)} for folder in packages] or [{}]
    shutil.rmtree(root / "ready", ignore_errors=True)
    (root / "ready").mkdir()
    with ExitStack() as stack:
        with _closed(root / "gate"):
            runners = [
                stack.enter_context(
                    _running(
                        root,
                        command,
                        {
                            **environment,
                            **folders[i % len(folders)],
                            "DATABASE_URL": urls[i % len(urls)],
                        },
                    )
                )
                for i in range(RUNNERS)
            ]
            _gather(root / "ready", runners)
        return [_finish(runner) for runner in runners]


def faults(url: str) -> list[str]:
    """Return what is not as if the five had been applied once each; nothing, if all is well."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = inspect(connection)
        tables = {name for name in found.get_table_names() if not name.startswith("dbtasks_")}
        if missing := {*SCHEMA, "alembic_version"} ^ tables:
            return [f"tables: {sorted(missing)}"]
        columns = {
            table: {column["name"] for column in found.get_columns(table)} for table in SCHEMA
        }
        versions = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
        applied = connection.scalars(text("SELECT revision FROM applied ORDER BY id")).all()
    checks = {
        f"columns: {columns}": columns == SCHEMA,
        f"version: {versions}": versions == [HEAD],
        f"applied: {applied}": sorted(applied) == list(CHANGES),
    }
    return [fault for fault, well in checks.items() if not well]


def faults_of_versions(finished: Sequence[Finish], url: str) -> list[str]:
    """Return what is wrong after a race of this version, and the next as every second process.

    All of the next succeed. Those of this one may have come too late, and are refused.
    Where this version has applied all before the next looks, the next leaves the format alone.
    """
    told = f"have format {FORMAT + 1}, and this version of dbtasks knows formats up to {FORMAT}"
    wrong = [
        f"process {number} of two versions: {one.code}, {one.err}"
        for number, one in enumerate(finished)
        if one.code and (number % 2 or one.code != 3 or told not in one.err)
    ]
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        schema = "dbtasks" if engine.dialect.name == "postgresql" else None
        columns = inspect(connection).get_columns("dbtasks_format", schema=schema)
        table = Table("dbtasks_migration", MetaData(schema=schema), autoload_with=connection)
        rows = connection.execute(select(table.c.revision, table.c.state).order_by(table.c.id))
        journal = [tuple(row) for row in rows]
    upgraded = f"format_{FORMAT + 1}" in {column["name"] for column in columns}
    if upgraded != ("note" in table.columns):
        wrong.append(f"format: {columns}, {table.columns.keys()}")
    if journal != [(revision, "applied") for revision in CHANGES]:
        wrong.append(f"journal: {journal}")
    return wrong + faults(url)


@contextmanager
def _closed(gate: Path) -> Iterator[None]:
    """Hold the lock that all wait for; the system lets them go at once, also if we are killed."""
    with gate.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _running(
    root: Path, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _gather(ready: Path, runners: Sequence["subprocess.Popen[str]"]) -> None:
    """Wait until all runners stand at the barrier."""
    deadline = time.monotonic() + PATIENCE
    while len(list(ready.iterdir())) < len(runners):
        for runner in runners:
            if runner.poll() is not None:
                raise RuntimeError(f"ended before the start: {_finish(runner)}")
        if time.monotonic() > deadline:
            raise RuntimeError("not all came to the start")
        time.sleep(0.01)


def _finish(runner: "subprocess.Popen[str]") -> Finish:
    _, err = runner.communicate(timeout=PATIENCE)
    return Finish(runner.returncode, err)
