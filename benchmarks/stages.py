"""Where the fault rounds of fixtures play: a project on a fresh database, its rows, and a dump."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from children import CHECKOUT, copy_project, environment
from sqlalchemy import NullPool, create_engine, make_url, text

from dbtasks import Project, fixtures
from dbtasks.errors import DbtasksError

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing
import servers  # type: ignore[import-not-found]  # the same

TABLES = ("department", "employee")
Content = dict[str, list[tuple[Any, ...]]]
Points = Iterator[tuple[str, list[str]]]
"""Points that were tried, and what went wrong at each."""

DAMAGED = (2, 3, 8, 9)
"""The exit codes of a load from a file that is not as it was written."""

Done = subprocess.CompletedProcess[str]


@dataclass
class Stage:
    """A copy of the reference project on a database of one kind."""

    kind: str
    root: Path
    url: str
    rows: int

    @cached_property
    def project(self) -> Project:
        """Return the project, as its library sees it."""
        return Project.configure(
            self.root,
            metadata="company.models:Base",
            url=self.url,
            url_variable="UNSET",
            default_model="Employee",
        )

    def make(self) -> None:
        """Make the tables."""
        with self.project.migrating(writes=True) as connection, connection.begin():
            self.project.metadata[0].create_all(connection)

    def fill(self, first: int = 1) -> None:
        """Add two departments, and employees with the ids from `first`."""
        tables = self.project.metadata[0].tables
        with self.project.connect(writes=True) as connection:
            if first == 1:
                names = [{"id": one, "name": f"Départment {one}"} for one in (1, 2)]
                connection.execute(tables["department"].insert(), names)
            people = [
                {"id": one, "name": f"{one} " + "n" * 80, "dept_id": 1 + one % 2}
                for one in range(first, self.rows + 1)
            ]
            connection.execute(tables["employee"].insert(), people)

    def dump(self, path: Path, form: str = "jsonl") -> Path:
        """Write a dump, and return its path."""
        fixtures.dumpdata(self.project, format_=form, output=path)
        return path

    def empty(self) -> None:
        """Take all rows away."""
        fixtures.flush(self.project)

    def load(self, path: Path, **options: Any) -> int:
        """Load a file, and return the exit code that it would be."""
        try:
            fixtures.loaddata(self.project, str(path), **options)
        except DbtasksError as error:
            return error.exit_code
        return 0

    def content(self) -> Content:
        """Return all rows, by a connection that is not dbtasks'."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as connection:
            return {
                name: [
                    tuple(row)
                    for row in connection.execute(text(f"SELECT * FROM {name} ORDER BY id"))
                ]
                for name in TABLES
            }

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line of `inv`."""
        return [sys.executable, "-m", "invoke", *map(str, arguments)]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment in which `inv` finds the database."""
        return environment({"DATABASE_URL": self.url, **more})

    def inv(self, *arguments: str | Path, **more: str) -> Done:
        """Run `inv` to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def faults_left(here: Stage, whole: Content, code: int, allowed: tuple[int, ...]) -> list[str]:
    """Return what is wrong with what a load has left, and with its exit code."""
    found = here.content()
    faults = [] if code in allowed else [f"exit code {code}, and not of {allowed}"]
    if code == 0 and found != whole:
        faults.append("it says that all is well, and the rows are not what they were")
    if found != whole and any(found.values()):
        faults.append(f"a part is there: { {name: len(rows) for name, rows in found.items()} }")
    return faults


@contextmanager
def server_of(kind: str) -> Iterator[str]:
    """Return the URL of a throw-away server; SQLite has none."""
    if kind == "sqlite":
        yield ""
        return
    server = servers.start(kind)
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def stage(
    kind: str, server: str, folder: Path, rows: int, *, file_in: Path | None = None
) -> Iterator[Stage]:
    """Make a project on a fresh database, and drop it at the end."""
    with ExitStack() as stack:
        root = copy_project(folder / uuid4().hex)
        if kind == "sqlite":
            url = f"sqlite:///{(file_in or root) / 'rows.db'}"
        else:
            made = conftest.new_database(kind, make_url(server), conftest.KINDS[kind])
            url = stack.enter_context(made)
        made_here = Stage(kind, root, url, rows)
        stack.callback(made_here.project.close)
        yield made_here


def files_of(dump: Path) -> Sequence[tuple[str, bytes]]:
    """Return a dump's file, or the files of its folder."""
    return sorted((one.name, one.read_bytes()) for one in (dump, *dump.glob("*")) if one.is_file())
