"""Models at random, on each kind of database: whether makemigrations leads from one to the next.

Run by hand: `python benchmarks/schemas.py --examples 2000 sqlite postgresql`. It starts servers of
its own. Of each pair of models a first and a second revision are made and applied; the database has
to be what `create_all` makes of the models each time, after a rollback what it was before, and
`--check` clean.
"""

import argparse
import sys
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from children import CHECKOUT, copy_project
from hypothesis import HealthCheck, Phase, given, seed, settings
from sqlalchemy import make_url
from sqlalchemy.exc import SAWarning

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests are not type-checked
import servers  # type: ignore[import-not-found]  # the same
from random_schemas import check, pairs  # type: ignore[import-not-found]  # the same
from worlds import World  # type: ignore[import-not-found]  # the same


@contextmanager
def worlds(kind: str) -> Iterator[Callable[[], World]]:
    """Yield what makes an empty project on an empty database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        root = copy_project(folder / "project")
        if kind == "sqlite":
            file = folder / "app.db"
            database = conftest.Database(kind, f"sqlite:///{file}")
        else:
            server = servers.start(kind)
            stack.callback(server.stop)
            made = conftest.new_database(kind, make_url(server.url), conftest.KINDS[kind])
            database = conftest.Database(kind, stack.enter_context(made))

        def fresh() -> World:
            if kind == "sqlite":
                file.unlink(missing_ok=True)
            else:
                conftest.clear(kind, database.url)
            return World(root, database)

        yield fresh


def run(kind: str, examples: int, number: int) -> int:
    """Check so many pairs, print what is wrong, and return how many are."""
    wrong: dict[str, list[tuple[str, str]]] = defaultdict(list)
    checked = 0
    with worlds(kind) as fresh:

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(pairs(kind))
        def each(pair: tuple[str, str]) -> None:
            nonlocal checked
            checked += 1
            if checked % 100 == 0:
                print(f"{kind}: {checked} checked", file=sys.stderr, flush=True)
            try:
                check(fresh(), *pair)
            except Exception as error:  # each is counted
                where = traceback.extract_tb(error.__traceback__)[-1]
                told = f"{type(error).__name__} in {where.name}: {' '.join(str(error).split())}"
                wrong[told[:200]].append(pair)
                print(f"{told[:600]}\n{pair[0]}--\n{pair[1]}", flush=True)

        each()
    count = sum(map(len, wrong.values()))
    print(f"\n{kind}: {checked - count} of {checked} pairs of models right")
    for told, found in sorted(wrong.items(), key=lambda item: -len(item[1])):
        print(f"  {len(found)} times: {told}")
    return count


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="sqlite, postgresql, mariadb")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", SAWarning)
    sys.exit(sum(run(kind, options.examples, options.seed) for kind in options.kinds) > 0)


if __name__ == "__main__":
    main()
