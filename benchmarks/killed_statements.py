"""Commands that are killed before and after each statement: whether the next run finishes them.

Run by hand: `python benchmarks/killed_statements.py [sqlite] [postgresql] [mariadb] [galera]`, with
--only for some commands and --every N for each Nth point. Statements of locks and of the journal
count, and so does each COMMIT. After the kill the database must be as before or after, or the same
command, or `migrate --resume`, finish it.
"""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import together
from children import CHECKOUT, copy_project, environment, versions

sys.path.append(str(CHECKOUT / "tests"))

import kills  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing
import syscalls  # type: ignore[import-not-found]  # the same
import warm  # type: ignore[import-not-found]  # the same

KINDS = ("sqlite", "postgresql", "mariadb", "galera")


class Stage(syscalls.Stage):  # type: ignore[misc]  # of which mypy knows nothing
    """A project whose commands are killed at a statement, and not at a system call."""

    def run(
        self, kind: int, at: int = 0, again: int = 0, *, more: Sequence[str] = ()
    ) -> tuple[object, list[str]]:
        """Run the command, killed at a point; the points are counted where it comes to its end."""
        told = {"DATABASE_URL": self.url, "DBTASKS_DATABASE": "default", "KILL_AT": str(at)}
        line = ("invoke", *self.command.arguments, *more)
        done = warm.run(*line, cwd=self.root, env={**self.environment, **told}, timeout=120)
        points = re.findall(r"^points: (\d+)$", done.stdout, re.MULTILINE)
        return done, ["statement"] * int(points[0]) if points else []


def main() -> None:
    """Print a line for each engine and command; fail where a kill was not survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*syscalls.COMMANDS])
    parser.add_argument("--every", type=int, default=1, help="each Nth point only (1)")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "alembic"))
    wrong = 0
    for kind in given.kinds or KINDS:
        with together.server(kind) as servers:
            for name in given.only:
                wrong += _survey(kind, servers, name, given.every)
    if wrong:
        raise SystemExit(f"{wrong} kills that were not survived")


def _survey(kind: str, servers: Sequence[str], name: str, every: int) -> int:
    """Kill a command at its points, and return how many kills were not survived."""
    start, wrong = time.monotonic(), 0
    with TemporaryDirectory() as folder, ExitStack() as stack:
        root = copy_project(Path(folder, "project"))
        kills.arm(root)
        [url, *_] = stack.enter_context(together.database(kind, servers, Path(folder)))
        stage = stack.enter_context(syscalls.stage(root, environment(), url, name, Stage))
        count = len(stage.count(syscalls.KILL))
        points = range(1, count + 1, every)
        for point in points:
            faults = stage.faults_at(syscalls.KILL, point)
            wrong += bool(faults)
            print(*faults, sep="\n", end="\n" if faults else "", flush=True)
    seconds = time.monotonic() - start
    print(
        f"{kind}, {name}: {len(points) - wrong} of {len(points)} kills survived "
        f"({count} points, {seconds:.0f} s)",
        flush=True,
    )
    return wrong


if __name__ == "__main__":
    main()
