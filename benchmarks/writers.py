"""Eight of each writing command at once: whether what they leave is as after a series of them.

Run by hand: `python benchmarks/writers.py [sqlite] [postgresql] [mariadb]`, with --rounds, --number
and --only for less. All run on throw-away servers of the tests. The processes of a round wait for
each other with their first connection open. Exit codes and rows are compared with those of the
same commands one after the other: a lock failure (4), or a refusal (8) that a series does not have,
is a fault. Of rollbacks at once one is done, and the others are refused (3), but for one that
began late.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from children import CHECKOUT, copy_project, environment, versions
from sqlalchemy import make_url
from stages import server_of

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing
import rivals  # type: ignore[import-not-found]  # the same


def main() -> None:
    """Print a line for each engine and command; fail where a round had another result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(conftest.KINDS))
    parser.add_argument("--rounds", type=int, default=10, help="of each command (10)")
    parser.add_argument("--number", type=int, default=8, help="of processes at once (8)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*rivals.RIVALS])
    parser.add_argument("--driver", help="as SQLAlchemy has it: postgresql+psycopg2")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "alembic"))
    wrong = sum(_compete(kind, given) for kind in given.kinds or conftest.KINDS)
    if wrong:
        raise SystemExit(f"{wrong} rounds had another result than a series")


def _compete(kind: str, given: argparse.Namespace) -> int:
    wrong = 0
    with server_of(kind) as server, TemporaryDirectory() as name:
        plain, history = (copy_project(Path(name, one)) for one in ("plain", "history"))
        rivals.make_history(history)
        arenas = {
            root: rivals.Arena(root, environment(), given.number) for root in (plain, history)
        }
        for rival in given.only:
            arena = arenas[history if rivals.RIVALS[rival].finds.startswith("h") else plain]
            start = time.monotonic()
            with _databases(kind, server, given.driver) as urls:
                serial = arena.in_series(rival, *urls)
            bad = sum(_play(kind, server, arena, rival, serial, given) for _ in range(given.rounds))
            print(
                f"{kind}, {rival}: {given.rounds - bad} of {given.rounds} rounds as in a series, "
                f"exit codes {serial.codes} ({time.monotonic() - start:.0f} s)",
                flush=True,
            )
            wrong += bad
    return wrong


def _play(
    kind: str,
    server: str,
    arena: "rivals.Arena",
    rival: str,
    serial: "rivals.Left",
    given: argparse.Namespace,
) -> bool:
    with _databases(kind, server, given.driver) as urls:
        left = arena.at_once(rival, *urls)
    done = left.codes.count(0)
    if rivals.RIVALS[rival].once and done > 1:  # another began when the first had ended
        with _databases(kind, server, given.driver) as urls:
            serial = arena.in_series(rival, *urls, done=done)
    faults = left.differs(serial)
    for one in faults:
        print("  " + one.strip().replace("\n", "\n      ")[:1500], flush=True)
    return bool(faults)


@contextmanager
def _databases(kind: str, server: str, driver: str | None) -> Iterator[list[str]]:
    """Make the database that is written to, and another to copy from."""
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            yield [f"sqlite:///{folder}/{name}.db" for name in ("rows", "other")]
        return
    with ExitStack() as stack:
        url = driver or conftest.KINDS[kind]
        there = make_url(server)
        names = [conftest.new_database(kind, there, url) for _ in range(2)]
        yield [stack.enter_context(one) for one in names]


if __name__ == "__main__":
    main()
