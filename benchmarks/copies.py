"""A database full of employees, and fresh copies of it: each change begins on the same pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

FULL, COPY = (f"dbtasks_benchmark_{os.getpid()}_{name}" for name in ("full", "copy"))

DEPARTMENTS = """
    WITH RECURSIVE numbers(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < 10)
    INSERT INTO department (id, name) SELECT id, 'Department ' || id FROM numbers
"""
EMPLOYEES = """
    WITH RECURSIVE numbers(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM numbers WHERE id < {rows})
    INSERT INTO employee (id, name, dept_id)
    SELECT id, 'Employee ' || (10000000 + id), CASE WHEN id % 10 < 3 THEN 3 ELSE 1 + id % 10 END
    FROM numbers
"""
"""Three in ten are in the department with the key 3."""


class ServerCopies:
    """Copy a database of PostgreSQL as the template of another."""

    def __init__(self, url: str) -> None:
        self.server = urlsplit(url)._replace(scheme="postgresql+psycopg")
        self.full, self.copy = (
            self.server._replace(path=f"/{name}").geturl() for name in (FULL, COPY)
        )

    def create(self) -> None:
        """Make the empty database that is going to be full."""
        self._run(f"CREATE DATABASE {FULL}")

    def renew(self) -> None:
        """Replace the copy."""
        self._run(
            f"DROP DATABASE IF EXISTS {COPY}",
            f"CREATE DATABASE {COPY} TEMPLATE {FULL} STRATEGY FILE_COPY",
            "CHECKPOINT",
        )

    def remove(self) -> None:
        """Drop both."""
        self._run(*(f"DROP DATABASE IF EXISTS {name}" for name in (COPY, FULL)))

    @property
    def django(self) -> dict[str, object]:
        """Return Django's settings for the full one."""
        parts = {
            "USER": unquote(self.server.username or ""),
            "PASSWORD": unquote(self.server.password or ""),
            "HOST": self.server.hostname or "",
            "PORT": str(self.server.port or ""),
        }
        return {"ENGINE": "django.db.backends.postgresql", "NAME": FULL, **parts}

    def _run(self, *statements: str) -> None:
        _apart(self.server.geturl(), *statements)


class FileCopies:
    """Copy a file of SQLite."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / f"{FULL}.db", folder / f"{COPY}.db"
        self.full, self.copy = (f"sqlite:///{file}" for file in self.files)

    def create(self) -> None:
        """Leave it to the first migration to make the file."""

    def renew(self) -> None:
        """Replace the copy."""
        shutil.copyfile(*self.files)

    def remove(self) -> None:
        """Remove both."""
        for file in self.files:
            file.unlink(missing_ok=True)

    @property
    def django(self) -> dict[str, object]:
        """Return Django's settings for the full one."""
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.files[0])}


Copies = ServerCopies | FileCopies


@contextmanager
def copies_of(url: str, folder: Path) -> Iterator[Copies]:
    """Return the databases of a benchmark, and remove them at the end.

    `url` is `sqlite`, or any database of the PostgreSQL server where they are made.
    """
    copies = FileCopies(folder) if url == "sqlite" else ServerCopies(url)
    copies.create()
    try:
        yield copies
    finally:
        copies.remove()


def fill(url: str, rows: int) -> None:
    """Add the departments and the employees to a migrated database, and let it settle."""
    _apart(url, DEPARTMENTS, EMPLOYEES.format(rows=rows), "VACUUM", "ANALYZE")


def empty(url: str) -> None:
    """Take the employees away from a database, also from the disk, and let it settle."""
    if url.startswith("sqlite"):
        _apart(url, "DELETE FROM employee", "VACUUM")
    else:
        _apart(url, "TRUNCATE employee", "CHECKPOINT")


def count(url: str) -> int:
    """Return how many employees there are."""
    with get_context("spawn").Pool(1) as pool:
        return int(pool.apply(_count, (url,)))


def _apart(*arguments: str) -> None:
    """Execute statements in a process of its own, so that this one stays small.

    A child starts as a copy of its parent, whose memory counts as the child's peak.
    """
    with get_context("spawn").Pool(1) as pool:
        pool.apply(_execute, arguments)


def _execute(url: str, *statements: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _count(url: str) -> int:
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM employee")) or 0)
