"""migrate, killed with SIGKILL before and after every statement: points survived of points tried.

Run by hand: `python benchmarks/killed.py [sqlite] [postgresql] [mariadb] [--every N]`. Five
revisions are migrated on a fresh database for each point, on throw-away servers of the tests. With
transactional DDL the database must be at a whole revision after the kill, and the next `inv
migrate` reach the newest; with --per-revision too. Without, the journal must be exact but for one
operation that it names, the next `inv migrate` refuse with its name, and `--resume` reach the
newest, with each row written once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from children import CHECKOUT, copy_project, environment, versions
from sqlalchemy import make_url

sys.path.insert(0, str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing
import kills  # type: ignore[import-not-found]  # the same
import servers  # type: ignore[import-not-found]  # the same

RUNS = {
    "sqlite": ((), ("--per-revision",)),
    "postgresql": ((), ("--per-revision",)),
    "mariadb": ((),),
}
WORKERS = os.cpu_count() or 1


def main() -> None:
    """Print a line for each engine and manner; fail where a point was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"{', '.join(RUNS)}; all, unless named"
    )
    parser.add_argument("--every", type=int, default=1, help="take every Nth point only")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "alembic"))
    well = True
    for kind in given.kinds or RUNS:
        with TemporaryDirectory() as folder, _fresh(kind, Path(folder)) as fresh:
            for options in RUNS[kind]:
                well &= _survey(kind, Path(folder), fresh, options, given.every)
    if not well:
        raise SystemExit("not every point was survived")


def _survey(
    kind: str, folder: Path, fresh: Callable[[], object], options: tuple[str, ...], every: int
) -> bool:
    root = copy_project(folder / uuid4().hex)
    survey = kills.Survey(root, environment(), fresh, *options, transactional=kind != "mariadb")
    points = range(1, survey.count() + 1, every)
    with ThreadPoolExecutor(WORKERS) as pool:
        tried = zip(points, pool.map(survey.faults_at, points), strict=True)
        faults = {at: found for at, found in tried if found}
    for at, found in faults.items():
        print(f"  point {at}:", *found, sep="\n    ")
    words = " ".join([kind, *options])
    print(f"{words}: {len(points) - len(faults)} of {len(points)} points survived", flush=True)
    return not faults


@contextmanager
def _fresh(kind: str, folder: Path) -> Iterator[Callable[[], object]]:
    """Return what makes a fresh database, and drops it after."""
    if kind == "sqlite":
        yield partial(_file, folder)
        return
    server = servers.start(kind)
    try:
        yield partial(conftest.new_database, kind, make_url(server.url), conftest.KINDS[kind])
    finally:
        server.stop()


@contextmanager
def _file(folder: Path) -> Iterator[str]:
    path = folder / f"{uuid4().hex}.db"
    yield f"sqlite:///{path}"
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
