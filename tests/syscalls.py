"""Commands with a fault at the Nth system call, and whether what they say after it is true.

The fault is a signal, SIGKILL among them, or a connection to the server that is gone: `syscalls.c`,
compiled here and preloaded into the process of `inv`, counts the calls after tasks.py is imported.
What a command says is compared with the database itself, over a connection of its own. What a kill
has left must be what was before or after, or a part that the same command finishes.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import (
    URL,
    Connection,
    MetaData,
    NullPool,
    create_engine,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError

import warm
from dbtasks import Project, fixtures, migrations
from trees import add_revision

CUT = 0
KILL = signal.SIGKILL
CODES = {signal.SIGINT: (130,), signal.SIGTERM: (143,), KILL: (-KILL,), CUT: (4, 5, 6, 7)}
"""The exit codes that a fault may lead to, beside 0 for a command that was done by then."""

ARM = """import os

if "FAULT" in os.environ:
    import ctypes

    kind, at, again, log = os.environ["FAULT"].split(":", 3)
    ctypes.CDLL(None).fault_arm(int(kind), ctypes.c_long(int(at)), int(again), log.encode())

"""

HISTORY = {
    "0002_size": (
        'op.add_column("employee", sa.Column("size", sa.Integer()))\n'
        'op.execute("UPDATE employee SET size = id")\n'
        'op.execute("UPDATE employee SET size = size + 1")',  # twice would be seen
        'with op.batch_alter_table("employee") as batch:\n    batch.drop_column("size")',
    ),
    "0003_place": (
        'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("name", sa.String(50)))\n'
        'op.create_index("ix_place_name", "place", ["name"])\n'
        'op.bulk_insert(sa.table("place", *map(sa.column, ("id", "name"))), '
        '[{"id": 1, "name": "Oslo"}, {"id": 2, "name": "Rome"}])\n'
        'op.execute("INSERT INTO place (id) SELECT count(*) + 1 FROM place")',
        'op.drop_index("ix_place_name", "place")\nop.drop_table("place")',
    ),
    "0004_name": (
        'with op.batch_alter_table("employee") as batch:\n'
        '    batch.alter_column("name", type_=sa.String(120), existing_nullable=False)\n'
        'op.rename_table("place", "spot")\n'
        'op.create_table("last", sa.Column("id", sa.Integer(), primary_key=True))\n'
        'op.execute("INSERT INTO last (id) SELECT count(*) FROM spot")\n'
        'op.drop_table("last")',
        'op.rename_table("spot", "place")\n'
        'with op.batch_alter_table("employee") as batch:\n'
        '    batch.alter_column("name", type_=sa.String(100), existing_nullable=False)',
    ),
}
BASE = "0001_department_employee"
VERSIONS = (None, BASE, *HISTORY)
PATIENCE = 30.0
PEOPLE = 60
BATCH = 10

NOISE = re.compile(
    r"Traceback|Exception ignored|never retrieved|this is a bug|\.py\", line|^Exception in",
    re.MULTILINE,
)
DATABASE_CALLS = frozenset(
    ("fcntl", "pread64", "pwrite64", "fsync", "fdatasync", "ftruncate64", "unlink")
) | frozenset(("poll", "select", "epoll_wait", "connect", "send", "recv", "sendto", "recvfrom"))

Content = Mapping[str, object]
Done = subprocess.CompletedProcess[str]


class NoCompilerError(RuntimeError):
    """No C compiler is installed."""


@cache
def library() -> Path:
    """Compile the library, once for each of its versions; return its path."""
    source = Path(__file__).with_name("syscalls.c")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompilerError("apt-get install gcc libc6-dev")
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    path = Path(tempfile.gettempdir(), f"dbtasks-syscalls-{os.getuid()}-{mark}.so")
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}.so")
        options = ("-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE")
        subprocess.run([compiler, *options, "-o", new, source, "-ldl"], check=True)
        new.replace(path)
    return path


def arm(root: Path, *, first: bool = False) -> None:
    """Let `inv` in a project count from the end of its tasks.py, or from its `first` line."""
    tasks = root / "tasks.py"
    own = tasks.read_text(encoding="utf-8")
    tasks.write_text(ARM + own if first else f"{own}\n{ARM}", encoding="utf-8")


def run(
    root: Path,
    environment: Mapping[str, str],
    *arguments: str,
    kind: int,
    at: int = 0,
    again: int = 0,
) -> tuple[Done, list[str]]:
    """Run `inv` with a fault at a call; 0 is never reached, and only counted up from.

    Returns what the process left, and the names of the calls: that of the fault, or all.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "calls")
        told = {"LD_PRELOAD": str(library()), "FAULT": f"{int(kind)}:{at}:{again}:{log}"}
        done = warm.run(*("invoke", *arguments), cwd=root, env={**environment, **told}, timeout=120)
        calls = log.read_text(encoding="ascii").split() if log.exists() else []
    return done, calls


def spread(calls: Sequence[str], number: int) -> list[int]:
    """Choose points: most of them where the command speaks to its database, some elsewhere."""
    of_database = [at for at, name in enumerate(calls, 1) if name in DATABASE_CALLS]
    others = [at for at, name in enumerate(calls, 1) if name not in DATABASE_CALLS]
    few = min(len(others), max(number // 4, number - len(of_database)))
    return sorted({*_evenly(of_database, number - few), *_evenly(others, few)})


def _evenly(points: Sequence[int], number: int) -> list[int]:
    number = min(number, len(points))
    return [points[index * len(points) // number] for index in range(number)]


def look(url: str) -> Content:
    """Read all tables of a database but ours: their columns and their rows."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = inspect(connection)
        content = {
            name: (
                [(one["name"], str(one["type"])) for one in found.get_columns(name)],
                Counter(tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))),
            )
            for name in found.get_table_names()
            if not name.startswith("dbtasks_")
        }
    if content.get("alembic_version", ([], True))[1] == Counter():  # as good as none
        del content["alembic_version"]
    return content


@dataclass(frozen=True)
class Command:
    """A command line, what its database is made by, and how far it may have come."""

    arguments: tuple[str, ...]
    prepare: Callable[["Stage"], None]
    partly: Callable[["Stage", str, Content], bool] = lambda stage, state, found: False
    tears: Callable[["Stage"], bool] = lambda stage: False
    """Whether a kill may leave a part that the next run has to finish."""


@dataclass
class Stage:
    """A copy of the reference project, on a database that `set_back` makes again what it was."""

    root: Path
    environment: Mapping[str, str]
    url: str
    name: str
    before: Content = field(default_factory=dict)
    after: Content = field(default_factory=dict)
    set_back: Callable[[], None] = lambda: None
    versions: list[Content] = field(default_factory=list)

    @property
    def command(self) -> Command:
        """Return the command that is tried."""
        return COMMANDS[self.name]

    def project(self) -> Project:
        """Return the project, as its library sees it."""
        return Project.configure(
            self.root,
            metadata="company.models:Base",
            seeds="company.seeds:seed",
            default_model="Employee",
            url=self.url,
            url_variable="UNSET",
        )

    def run(
        self, kind: int, at: int = 0, again: int = 0, *, more: Sequence[str] = ()
    ) -> tuple[Done, list[str]]:
        """Run the command with a fault."""
        environment = {**self.environment, "DATABASE_URL": self.url, "DBTASKS_DATABASE": "default"}
        line = (*self.command.arguments, *more)
        return run(self.root, environment, *line, kind=kind, at=at, again=again)

    def count(self, kind: int) -> list[str]:
        """Return the calls of a run without a fault, and see what it makes of the database."""
        self.set_back()
        done, calls = self.run(kind)
        assert done.returncode == 0, done.stderr
        self.after = look(self.url)
        assert self.after != self.before
        return calls

    def faults_at(self, kind: int, at: int, again: int = 0) -> list[str]:
        """Return what is wrong with what is said after a fault at a call."""
        self.set_back()
        done, calls = self.run(kind, at, again)
        _wait_for_servers(self.url)
        found = look(self.url)
        faults = _faults_of(done, kind)
        if done.returncode == -KILL:
            faults += self._faults_after_kill(found)
        else:
            faults += self._faults_of_state(done, found)
        where = f"at {at} ({calls[0] if calls else 'not reached'})"
        return [f"{where}: {one}\n{done.stderr.strip()}" for one in faults]

    def state_of(self, done: Done) -> str:
        """Return the state that a command says it has left."""
        return (re.findall(r"^state: (.*)$", done.stderr, re.MULTILINE) or [""])[-1]

    def _faults_of_state(self, done: Done, found: Content) -> list[str]:
        state = self.state_of(done)
        if done.returncode == 0 or state == "committed":
            true = found == self.after
        elif state == "nothing was changed" or re.match(r"rolled back(, 0 of \d+ .*)?$", state):
            true = found == self.before
        elif state.startswith("unknown"):
            true = found in (self.before, self.after) or self.command.partly(self, state, found)
        else:
            true = self.command.partly(self, state, found)
        is_ = (
            "before" if found == self.before else "after" if found == self.after else _schema(found)
        )
        return [] if true else [f"exit {done.returncode}, {state!r}, but it is as {is_}"]

    def _faults_after_kill(self, found: Content) -> list[str]:
        """Go on after a kill, and return what is wrong then."""
        torn = found not in (self.before, self.after)
        if found == self.after or (torn and self.name == "rollback"):
            return []  # a rollback would revert others
        if torn and not self.command.tears(self):
            return [f"it is as {_schema(found)}"]
        done, _ = self.run(KILL)
        if done.returncode == 3 and "inv migrate --resume" in done.stderr:
            done, _ = self.run(KILL, more=["--resume"])
        if done.returncode != 0:
            return [f"the next run ends with {done.returncode}: {done.stderr}"]
        left = look(self.url)
        return [] if left == self.after else [f"the next run leaves {left}, and not {self.after}"]

    def read_versions(self) -> None:
        """See which tables and columns the database has after each revision."""
        for version in VERSIONS:
            with closing(self.project()) as project:
                migrations.migrate(project, to=version or "base")
            self.versions.append(_schema(look(self.url)))


def _faults_of(done: Done, kind: int) -> list[str]:
    faults = []
    if done.returncode not in (0, *CODES[kind]):
        faults.append(f"exit {done.returncode}")
    if done.returncode not in (0, -KILL) and "\nstate: " not in done.stderr:
        faults.append("no state")
    if NOISE.search(done.stderr) or NOISE.search(done.stdout):
        faults.append("a traceback")
    return faults


def _wait_for_servers(url: str) -> None:
    """Wait until the server has ended the connections of a process that was killed."""
    others = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database() "
        "AND id <> connection_id()",
    }.get(make_url(url).get_backend_name())
    until = monotonic() + PATIENCE
    with ExitStack() as stack:
        connection = stack.enter_context(_connected(make_url(url))) if others else None
        while connection is not None and connection.exec_driver_sql(others).scalar():
            assert monotonic() < until
            sleep(0.01)


# -- what a database was before --------------------------------------------------------------


@contextmanager
def _saved(url: str) -> Iterator[Callable[[], None]]:
    """Keep what a database holds; give what makes it that again."""
    kept = KEPT[make_url(url).get_backend_name()]
    with kept(url) as restore:
        yield restore


@contextmanager
def _kept_file(url: str) -> Iterator[Callable[[], None]]:
    path = Path(make_url(url).database or "")
    content = path.read_bytes() if path.exists() else None

    def restore() -> None:
        for one in path.parent.glob(f"{path.name}*"):
            one.unlink()
        if content is not None:
            path.write_bytes(content)

    yield restore


@contextmanager
def _kept_template(url: str) -> Iterator[Callable[[], None]]:
    """Make a database of PostgreSQL from another."""
    name = make_url(url).database
    with _connected(make_url(url).set(database="postgres")) as connection:

        def make(new: str, old: str) -> None:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)")
            connection.exec_driver_sql(f"CREATE DATABASE {new} TEMPLATE {old}")

        make(f"{name}_kept", f"{name}")
        try:
            yield lambda: make(f"{name}", f"{name}_kept")
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name}_kept WITH (FORCE)")


@contextmanager
def _kept_rows(url: str) -> Iterator[Callable[[], None]]:
    """Make the tables of MariaDB again, which has no templates."""
    name = make_url(url).database
    with _connected(make_url(url)) as connection:
        made = [
            connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()[1]
            for table in inspect(connection).get_table_names()
        ]
        tables = MetaData()
        tables.reflect(connection)
        rows = {table: connection.execute(table.select()).all() for table in tables.sorted_tables}

    def restore() -> None:
        with _connected(make_url(url).set(database="information_schema")) as connection:
            for (one,) in connection.exec_driver_sql(
                f"SELECT id FROM processlist WHERE db = '{name}'"
            ).all():
                with suppress(DBAPIError):  # it has just ended by itself
                    connection.exec_driver_sql(f"KILL {one}")
            connection.exec_driver_sql(f"DROP DATABASE {name}")
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            connection.exec_driver_sql(f"USE {name}")
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for one in made:
                connection.exec_driver_sql(one)
            for table, held in rows.items():
                if held:
                    connection.execute(table.insert(), [dict(one._mapping) for one in held])

    yield restore


KEPT = {"sqlite": _kept_file, "postgresql": _kept_template, "mysql": _kept_rows}


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


# -- the commands ----------------------------------------------------------------------------


def _at_base(stage: Stage) -> None:
    with closing(stage.project()) as project:
        migrations.migrate(project, to=BASE)


def _at_heads(stage: Stage) -> None:
    _filled(stage)
    with closing(stage.project()) as project:
        migrations.migrate(project)


def _filled(stage: Stage) -> None:
    """Have people in two departments."""
    _at_base(stage)
    with closing(stage.project()) as project, project.connect(writes=True) as connection:
        tables = project.metadata[0].tables
        departments = [{"id": one, "name": f"Department {one}"} for one in (1, 2)]
        people = [
            {"id": one, "name": f"Person {one}", "dept_id": 1 + one % 2}
            for one in range(1, PEOPLE + 1)
        ]
        connection.execute(tables["department"].insert(), departments)
        connection.execute(tables["employee"].insert(), people)


def _with_dump(stage: Stage) -> None:
    """Have empty tables, and the rows in a dump and in another database."""
    _filled(stage)
    with closing(stage.project()) as project:
        fixtures.dumpdata(project, format_="jsonl", output=stage.root / "rows.jsonl")
        fixtures.flush(project)
    other = Stage(stage.root, stage.environment, f"sqlite:///{stage.root / 'other.db'}", stage.name)
    _at_base(other)
    with closing(other.project()) as project:
        fixtures.loaddata(project, str(stage.root / "rows.jsonl"))


def _revisions_done(stage: Stage, state: str, found: Content) -> bool:
    """Whether the database is at the revision that a state tells of, where some are kept."""
    told = re.match(r"(?:rolled back, )?(\d+) of (\d+) (?:applied|reverted)", state)
    if told is None:
        return False
    up = stage.name.startswith("migrate")
    versions = stage.versions if up else stage.versions[::-1]
    done, total = int(told[1]), int(told[2])
    assert total == len(versions) - 1 or not up
    version = versions[done].get("alembic_version")
    if "stopped part way" in state:  # between two: its tables are neither's
        return _schema(found)["alembic_version"] == version
    return _schema(found) == versions[done]


def _is_mariadb(stage: Stage) -> bool:
    return make_url(stage.url).get_backend_name() == "mysql"


def _schema(content: Content) -> Content:
    """Return the columns of the tables, and the version."""
    columns = {name: table[0] for name, table in content.items() if name != "alembic_version"}  # type: ignore[index]
    version = content.get("alembic_version", (None, Counter()))
    return {**columns, "alembic_version": [*version[1]]}  # type: ignore[index]


def _batches_done(stage: Stage, state: str, found: Content) -> bool:
    told = re.match(r"(\d+) records are committed|unknown", state)
    changed = [row for row in found["employee"][1] if row[1] == "New"]  # type: ignore[index]
    possible = (0, BATCH) if state.endswith("unknown") else (0,)
    return told is not None and len(changed) - int(told[1] or 0) in possible


COMMANDS = {
    "migrate": Command(("migrate",), lambda stage: None, _revisions_done, _is_mariadb),
    "migrate --per-revision": Command(
        ("migrate", "--per-revision"), lambda stage: None, _revisions_done, lambda stage: True
    ),
    "rollback": Command(("rollback", "--steps", "3", "-y"), _at_heads, _revisions_done),
    "sql": Command(("sql", "--write", "--statement", "UPDATE employee SET name = 'New'"), _filled),
    "seed": Command(("seed",), _at_base),
    "loaddata": Command(("loaddata", "--input", "rows.jsonl"), _with_dump),
    "copydata": Command(("copydata", "--from", "other", "--to", "default", "-y"), _with_dump),
    "update": Command(
        ("update", "--all", "-s", "name=New", "--batch-size", f"{BATCH}", "-y"),
        _filled,
        _batches_done,
        lambda stage: True,
    ),
}


@contextmanager
def stage(
    root: Path, environment: Mapping[str, str], url: str, name: str, class_: type[Stage] = Stage
) -> Iterator[Stage]:
    """Prepare a copy of the reference project, and an empty database, for a command."""
    after = BASE
    for revision, (upgrade, downgrade) in HISTORY.items():
        add_revision(root, revision, upgrade, downgrade=downgrade, after=after)
        after = revision
    tasks = root / "tasks.py"
    own = tasks.read_text(encoding="utf-8")
    other = f'    databases={{"other": {{"url": "sqlite:///{root / "other.db"}"}}}},\n)'
    tasks.write_text(own.rstrip().removesuffix(")") + other, encoding="utf-8")
    arm(root)
    made = class_(root, environment, url, name)
    made.command.prepare(made)
    made.before = look(url)
    with _saved(url) as restore:
        made.set_back = restore
        if made.command.partly is _revisions_done:
            made.read_versions()
        yield made
