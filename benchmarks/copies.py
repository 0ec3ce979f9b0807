"""A database full of employees, and fresh copies of it: each change begins on the same pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

FULL, COPY = "dbtasks_benchmark_full", "dbtasks_benchmark_copy"

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
        self.server = make_url(url)
        self.full, self.copy = (self._url(name) for name in (FULL, COPY))

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
        url = self.server
        parts = {"USER": url.username, "PASSWORD": url.password, "HOST": url.host, "PORT": url.port}
        given = {name: part for name, part in parts.items() if part is not None}
        return {"ENGINE": "django.db.backends.postgresql", "NAME": FULL, **given}

    def _url(self, name: str) -> str:
        return self.server.set(database=name).render_as_string(hide_password=False)

    def _run(self, *statements: str) -> None:
        driver = self.server.set(drivername="postgresql+psycopg")
        engine = create_engine(driver, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


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
    found = make_url(url)
    if found.drivername == "postgresql":
        found = found.set(drivername="postgresql+psycopg")
    engine = create_engine(found)
    with engine.begin() as connection:
        connection.execute(text(DEPARTMENTS))
        connection.execute(text(EMPLOYEES.format(rows=rows)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
