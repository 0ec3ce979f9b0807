"""Tables of SQLite at random, rebuilt by each operation of a batch: what is not changed stays.

Run by hand: `python benchmarks/rebuilds.py --examples 2000`. The examples are of each operation.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from children import CHECKOUT
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

sys.path.append(str(CHECKOUT / "tests"))

from sqlite_rebuilds import CHANGES, check  # type: ignore[import-not-found]  # tests are not typed


def run(change: Callable[[Any], None], examples: int, number: int, shown: int) -> int:
    """Make a change of so many tables, print what is wrong, and return how many are."""
    wrong: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def each(data: st.DataObject) -> None:
        try:
            check(data, change)
        except UnsatisfiedAssumption:
            raise
        except Exception as error:  # each is counted
            if wrong.total() < shown:
                print(f"{type(error).__name__}: {error}", *error.__notes__, sep="\n", flush=True)
            wrong[f"{type(error).__name__}: {' '.join(str(error).split())}"[:150]] += 1

    each()
    print(f"{change.__name__}: {wrong.total()} of {examples} wrong", flush=True)
    for told, count in wrong.most_common(5):
        print(f"  {count} times: {told}", flush=True)
    return wrong.total()


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="CHANGE", help="of sqlite_rebuilds.CHANGES")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shown", type=int, default=3, help="failures shown in full")
    options = parser.parse_args()
    changes = [one for one in CHANGES if one.__name__ in (options.names or [one.__name__])]
    counts = [run(one, options.examples, options.seed, options.shown) for one in changes]
    sys.exit(sum(counts) > 0)


if __name__ == "__main__":
    main()
