"""Eight at once: how many of the processes that migrate an empty database together fail.

Run by hand: `python benchmarks/together.py`, with --rounds and --only sqlite,galera for less. It
starts servers of its own. In each round eight processes wait, with all modules imported and their
first connection open, and go on at the same moment, on three nodes in turn where there are three:
plain `alembic upgrade head` with an env.py as `alembic init` writes it, then `inv migrate`
on another empty database. After a round the database must have each of the five revisions once.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from children import CHECKOUT, copy_project, environment, run
from sqlalchemy import make_url

sys.path.insert(0, str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests are not type-checked
import races  # type: ignore[import-not-found]  # the same
import servers  # type: ignore[import-not-found]  # the same

TITLES = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "galera": "MariaDB Galera, three nodes",
    "pgbouncer": "PostgreSQL behind PgBouncer",
}
PARTS = {
    "sqlite": (),
    "postgresql": ("postgresql",),
    "mariadb": ("mariadb",),
    "galera": ("galera",),
    "pgbouncer": ("postgresql", "pgbouncer"),
}
"""The servers of each kind, in the order in which they start."""

SHOWN = 160


@dataclass
class Score:
    """Count what became of one command on one kind of database."""

    runs: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    right: int = 0

    @property
    def failures(self) -> str:
        """Return how many processes failed, of all."""
        return f"{self.errors.total()} of {self.runs}"

    @property
    def whole(self) -> str:
        """Return in how many rounds the database was as it has to be on every node."""
        return f"{self.right} of {self.rounds}"


def main() -> None:
    """Run all rounds, and print a table and the errors."""
    options = parser(__doc__).parse_args()
    print(describe(), end="\n\n")
    print("| | `alembic upgrade head`: failed | right | `inv migrate`: failed | right |")
    print("|---|---|---|---|---|", flush=True)
    errors = []
    with TemporaryDirectory() as name:
        projects = {races.UPGRADE: Path(name, "plain"), races.MIGRATE: Path(name, "inv")}
        for command, root in projects.items():
            _make_project(root, plain=command == races.UPGRADE)
        for kind in options.only:
            scores = _compete(kind, projects, options.rounds)
            print(_line(kind, scores), flush=True)
            errors += [
                f"{TITLES[kind]}, {command}, {count} times: {error}"
                for command, score in scores.items()
                for error, count in score.errors.most_common()
            ]
    print("", *errors, sep="\n")


def _compete(kind: str, projects: Mapping[Sequence[str], Path], rounds: int) -> dict[str, Score]:
    """Run the rounds on one kind of database, the commands in turns."""
    scores = {" ".join(command[1:]): Score() for command in projects}
    with server(kind) as urls:
        for _ in range(rounds):
            for (command, root), score in zip(projects.items(), scores.values(), strict=True):
                with database(kind, urls, root) as nodes:
                    _play(root, command, nodes, score)
    return scores


def parser(title: str | None) -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(description=(title or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds on each of them (10)")
    parser.add_argument(
        "--only", type=_kinds, default=tuple(TITLES), help=f"some of {','.join(TITLES)}"
    )
    return parser


def _kinds(value: str) -> tuple[str, ...]:
    """Return the kinds that a list names."""
    kinds = tuple(value.split(","))
    for kind in kinds:
        if kind not in TITLES:
            raise argparse.ArgumentTypeError(f"{kind!r} is none of {', '.join(TITLES)}")
    return kinds


def _make_project(folder: Path, *, plain: bool) -> None:
    """Make a project of five revisions, whose processes wait for each other."""
    root = copy_project(folder)
    races.plant(root)
    if plain:
        races.make_plain(root)
    races.add_barrier(root)
    run([sys.executable, "-m", "compileall", "-q", root])


@contextmanager
def server(kind: str) -> Iterator[Sequence[str]]:
    """Start a server, and return its URLs: one a node, or the pooler's and that behind it."""
    with ExitStack() as stack:
        urls: list[str] = []
        for part in PARTS[kind]:
            started = servers.start(part, behind=urls[0] if urls else None)
            stack.callback(started.stop)
            urls = [*started.urls, *urls]
        yield urls


@contextmanager
def database(kind: str, urls: Sequence[str], folder: Path) -> Iterator[Sequence[str]]:
    """Make an empty database, and return its URLs, one a node."""
    if kind == "sqlite":
        with TemporaryDirectory(dir=folder) as name:
            yield [f"sqlite:///{name}/test.db"]
    elif kind == "galera":
        with conftest.new_cluster_database(urls) as nodes:
            yield nodes
    else:
        what = PARTS[kind][0]
        with conftest.new_database(what, make_url(urls[-1]), conftest.KINDS[what]) as url:
            yield [conftest.same_database(url, urls[0])]


def _play(root: Path, command: Sequence[str], nodes: Sequence[str], score: Score) -> None:
    """Let the processes migrate at once, and count."""
    finished = races.race(root, command, nodes, environment())
    score.runs += len(finished)
    score.errors.update(_reason(one.err) for one in finished if one.code)
    score.rounds += 1
    score.right += not any(races.faults(node) for node in nodes)


def _reason(output: str) -> str:
    """Return the line that says what went wrong: ours, or the last of the exceptions."""
    lines = [line for line in output.splitlines() if re.match(r"error: |[\w.]+Error\b", line)]
    return (lines or output.splitlines() or ["nothing"])[-1][:SHOWN]


def _line(kind: str, scores: Mapping[str, Score]) -> str:
    """Return a line of the table."""
    cells = [part for score in scores.values() for part in (score.failures, score.whole)]
    return f"| {' | '.join([TITLES[kind], *cells])} |"


def describe() -> str:
    """Return one line on what was measured."""
    names = ("dbtasks", "sqlalchemy", "alembic")
    found = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{found}; {races.RUNNERS} processes at once; {os.cpu_count()} CPUs"


if __name__ == "__main__":
    main()
