"""A million rows of every type: dumped, flushed, loaded, and compared row for row."""

import shutil
import sys
from argparse import Namespace
from hashlib import blake2b
from pathlib import Path

from children import CHECKOUT
from sqlalchemy import NullPool, create_engine, text
from stages import Points, Stage, stage

from dbtasks import Project, fixtures

sys.path.append(str(CHECKOUT / "tests" / "fixtures"))

import everything  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing

FORMS = {"d.jsonl": "jsonl", "d": "csv"}
BATCH = 10_000
ORPHANS = "SELECT count(*) FROM employee WHERE dept_id NOT IN (SELECT id FROM department)"
MADE_UP: set[str] = set()
"""Digests of the rows that each engine got with the same seed."""


def comes_back(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Dump, flush and load the tables of every type in each form; each table is a point."""
    with stage(kind, server, folder, options.rows) as here:
        shutil.copy(CHECKOUT / "tests" / "fixtures" / "everything.py", here.root)
        project = Project.configure(
            here.root, metadata="everything:Base", url=here.url, url_variable="UNSET"
        )
        with project:
            with project.migrating(writes=True) as connection, connection.begin():
                everything.make(connection, filled=True)
            _multiply(here)
            models = ["Thing", "Left", "Right", *(["Extra"] if kind == "postgresql" else [])]
            tables = [one.fullname for one in fixtures.find_tables(project, models)]
            before = {name: _digests(here, name) for name in tables}
            for name, form in FORMS.items():
                fixtures.dumpdata(project, models, format_=form, output=folder / name)
                fixtures.flush(project, models)
                gone = all(not _digests(here, one) for one in tables)
                fixtures.loaddata(project, str(folder / name))
                for one in tables:
                    faults = [] if gone else ["flush left rows"]
                    yield f"{form}, {one}", faults + _differences(before[one], _digests(here, one))


def makes_up_the_same(kind: str, server: str, folder: Path, options: Namespace) -> Points:
    """Make up employees twice with one seed; what they refer to is there, and keys are free."""
    with stage(kind, server, folder, options.rows) as here:
        here.make()
        found = []
        for number in (1, 2):
            fixtures.flush(here.project)
            fixtures.generate(here.project, "Employee", here.rows, random_seed=7)
            digests = _digests(here, "employee")
            faults = [] if len(digests) == here.rows else [f"{len(digests)} rows"]
            orphans = _count(here, ORPHANS)
            yield f"run {number}", faults + ([f"{orphans} orphans"] if orphans else [])
            found.append(digests)
        yield "the same", _differences(*found)
        digest = blake2b(b"".join(found[0]), digest_size=8).hexdigest()
        yield f"on every engine {digest}", [] if _same(digest) else ["others are different"]


def _same(digest: str) -> bool:
    """Whether the engines before had the same rows."""
    MADE_UP.add(digest)
    return len(MADE_UP) == 1


def _count(here: Stage, statement: str) -> int:
    engine = create_engine(here.url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text(statement)) or 0


def _multiply(here: Stage) -> None:
    """Double the things until they are enough."""
    columns = ", ".join(one.name for one in everything.Thing.__table__.columns if one.name != "id")
    double = f"INSERT INTO thing (id, {columns}) SELECT id + :there, {columns} FROM thing"
    engine = create_engine(here.url, poolclass=NullPool)
    with engine.begin() as connection:
        while (there := connection.scalar(text("SELECT max(id) FROM thing"))) < here.rows:
            connection.execute(text(double), {"there": there})


def _digests(here: Stage, table: str) -> list[bytes]:
    """Return a digest of each row, as the driver gives it, in the order of the key."""
    engine = create_engine(here.url, poolclass=NullPool)
    key = "a, b" if table == "left_side" else "id"
    with engine.connect().execution_options(yield_per=BATCH) as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {key}")
        return [blake2b(repr(tuple(row)).encode(), digest_size=16).digest() for row in rows]


def _differences(before: list[bytes], after: list[bytes]) -> list[str]:
    if before == after:
        return []
    if len(before) != len(after):
        return [f"{len(after)} rows, and not {len(before)}"]
    first = next(number for number, one in enumerate(before) if after[number] != one)
    return [f"row {first + 1} is another"]
