"""Commands that are interrupted, killed or cut off at a system call: whether what they say is true.

Run by hand: `python benchmarks/interrupted.py [sqlite] [postgresql] [mariadb] [galera]`, with
--points and --only for less. Each command runs on throw-away servers of the tests, once for each
point: SIGINT and SIGTERM at a call after tasks.py is imported, SIGKILL, and a connection to the
server that is gone at a call. The exit code must be one of those that docs/errors.md has for it,
the state what an independent connection sees, and no traceback may be shown. After SIGKILL the
database must be as before or after, or the same command, or `migrate --resume`, finish it.
`--again N` sends a second signal N calls later.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import together
from children import CHECKOUT, copy_project, environment, versions
from sqlalchemy import make_url

sys.path.append(str(CHECKOUT / "tests"))

import syscalls  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing

KINDS = ("sqlite", "postgresql", "mariadb", "galera")
FAULTS = {
    "INT": signal.SIGINT,
    "TERM": signal.SIGTERM,
    "KILL": syscalls.KILL,
    "CUT": syscalls.CUT,
}


def main() -> None:
    """Print a line for each engine, fault and command; fail where anything said was not true."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--points", type=int, default=200, help="of each engine and fault (200)")
    parser.add_argument("--at", type=int, nargs="*", help="these points only, as it prints them")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=[*FAULTS])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*syscalls.COMMANDS])
    parser.add_argument("--driver", help="as SQLAlchemy has it: postgresql+psycopg2")
    parser.add_argument("--again", type=int, default=0, help="send a second signal so much later")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "alembic"))
    wrong = 0
    for kind in given.kinds or KINDS:
        with together.server(kind) as servers:
            for name in given.only:
                wrong += _survey(kind, servers, name, given)
    if wrong:
        raise SystemExit(f"{wrong} points at which something was wrong")


def _survey(kind: str, servers: Sequence[str], name: str, given: argparse.Namespace) -> int:
    """Try a command at its share of the points, and return at how many something was wrong."""
    each = -(-given.points // len(given.only))
    wrong = 0
    with TemporaryDirectory() as folder, _stage(kind, servers, Path(folder), name, given) as stage:
        for fault in given.faults:
            if kind == "sqlite" and fault == "CUT":
                continue
            start = time.monotonic()
            calls = stage.count(FAULTS[fault])
            points = given.at or syscalls.spread(calls, each)
            bad = sum(_tell(stage.faults_at(FAULTS[fault], at, given.again)) for at in points)
            seconds = time.monotonic() - start
            print(
                f"{kind}, {name}, {fault}: {len(points) - bad} of {len(points)} points true "
                f"({len(calls)} calls, {seconds:.0f} s)",
                flush=True,
            )
            wrong += bad
    return wrong


def _tell(faults: list[str]) -> bool:
    for one in faults:
        print("  " + one.replace("\n", "\n      "), flush=True)
    return bool(faults)


@contextmanager
def _stage(
    kind: str, servers: Sequence[str], folder: Path, name: str, given: argparse.Namespace
) -> "Iterator[syscalls.Stage]":
    with ExitStack() as stack:
        root = copy_project(folder / uuid4().hex)
        [url, *_] = stack.enter_context(together.database(kind, servers, folder))
        if given.driver:
            url = make_url(url).set(drivername=given.driver).render_as_string(hide_password=False)
        yield stack.enter_context(syscalls.stage(root, environment(), url, name))


if __name__ == "__main__":
    main()
