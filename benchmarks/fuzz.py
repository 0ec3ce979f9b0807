"""Command lines at random, on each kind of database: how many go wrong, and how.

Run by hand: `python benchmarks/fuzz.py --examples 5000 --only sqlite,postgresql,mariadb`. It starts
servers of its own. Each command line works but for one value that is drawn anew, options that are
added, or a word too many; `inv` or `dbtasks` reads it. Wrong is a traceback, an exit code
that is not documented, or a database that has changed where `state:` says that it has not, or
where the command only reads.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from children import CHECKOUT, copy_project, environment
from hypothesis import HealthCheck, Phase, given, seed, settings
from sqlalchemy import make_url

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests are not type-checked
import servers  # type: ignore[import-not-found]  # the same
from command_lines import COMMANDS, Case, Fuzz, cases  # type: ignore[import-not-found]  # the same

SLOW = 20.0
"""Seconds after which a command line is shown as slow."""


class Campaign:
    """Run a number of command lines on one kind of database, and keep what goes wrong."""

    def __init__(self, fuzz: Fuzz) -> None:
        self.fuzz = fuzz
        self.faults: dict[str, list[tuple[Case, list[str]]]] = defaultdict(list)
        self.codes: Counter[int] = Counter()
        self.slow: list[tuple[float, Case]] = []

    def run(self, examples: int, number: int) -> None:
        """Run so many command lines; the same number makes up the same ones."""

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases(tuple(COMMANDS)))
        def each(case: "Case") -> None:
            began = monotonic()
            faults = self.fuzz.faults(case)
            self.codes[self.fuzz.code] += 1
            if monotonic() - began > SLOW:
                self.slow.append((monotonic() - began, case))
            if faults:
                print(f"{case}: {'; '.join(map(ascii, faults))}", flush=True)
                self.faults[f"{case.line[0]}: {faults[0]}"].append((case, faults))

        each()

    def show(self, kind: str) -> None:
        """Print how many there were, and of which kinds."""
        wrong = sum(map(len, self.faults.values()))
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items()))
        print(f"\n{kind}: {self.fuzz.lines} command lines, {wrong} wrong; exit codes {codes}")
        for name, found in sorted(self.faults.items()):
            print(f"  {name}, {len(found)} times")
        for seconds, case in self.slow:
            print(f"  {seconds:.0f} s: {case}")
        sys.stdout.flush()


@contextmanager
def fuzzes(kind: str) -> Iterator[Fuzz]:
    """Yield a project on a fresh database of a kind."""
    with ExitStack() as stack:
        root = copy_project(Path(stack.enter_context(TemporaryDirectory())) / "project")
        if kind == "sqlite":
            yield Fuzz(root, environment(), *(f"sqlite:///{root}/{one}.db" for one in ("app", "b")))
            return
        server = servers.start(kind)
        stack.callback(server.stop)
        urls = (
            stack.enter_context(
                conftest.new_database(kind, make_url(server.url), conftest.KINDS[kind])
            )
            for _ in range(2)
        )
        yield Fuzz(root, environment(), *urls, clear=lambda url: conftest.clear(kind, url))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--only", default=",".join(conftest.KINDS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = 0
    for kind in options.only.split(","):
        with fuzzes(kind) as fuzz:
            campaign = Campaign(fuzz)
            campaign.run(options.examples, options.seed)
            campaign.show(kind)
            wrong += len(campaign.faults)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
