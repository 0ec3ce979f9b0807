"""Commands that write files, killed at system calls: whether a whole content is left.

Run by hand: `python benchmarks/killed_files.py [--points N] [COMMAND …]`. Each command runs once
for each point, on a copy of a project with SQLite, and gets SIGKILL at a call after tasks.py is
imported: three of four at calls that change files. Then the file or folder must be the old whole
or the new whole, a command that reads it must work, and the same command, run again, must reach
the new content and leave nothing behind. --rebase and squashmigrations change several files:
there, between the first and the last, other commands may refuse (exit 3).
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from children import CHECKOUT, copy_project, environment, versions

sys.path.append(str(CHECKOUT / "tests"))

import file_kills  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing


def main() -> None:
    """Print a line for each command; fail where a kill was not survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="one of the names printed")
    parser.add_argument("--points", type=int, default=60, help="of each command (60)")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "alembic"))
    wrong = 0
    for name in given.commands or file_kills.COMMANDS:
        with TemporaryDirectory() as folder:
            wrong += _survey(Path(folder), name, given.points)
    if wrong:
        raise SystemExit(f"{wrong} points that were not survived")


def _survey(folder: Path, name: str, number: int) -> int:
    start = time.monotonic()
    kills = file_kills.prepare(copy_project(folder / "project"), environment(), name)
    calls = kills.count()
    points = file_kills.spread(calls, number)
    bad = 0
    for at in points:
        faults = kills.faults_at(at)
        bad += bool(faults)
        for one in faults:
            print(f"  {one}", flush=True)
    seconds = time.monotonic() - start
    told = f"{len(points) - bad} of {len(points)} kills survived"
    print(f"{name}: {told} ({len(calls)} calls, {seconds:.0f} s)", flush=True)
    return bad


if __name__ == "__main__":
    main()
