"""Damaged dumps and other files of rows: whether each is refused with a documented exit code.

Run by hand: `python benchmarks/damaged.py [--rounds N] [--begin SEED] [KIND …]`. Each file is
damaged in one place, by its seed, with and without a checksum that is right again, and loaded into
an empty SQLite database. Only the exit codes 2, 3, 8 and 9 of docs/errors.md count, and nothing may
be loaded by a dump whose content is not that of its checksum. Prints the slowest load as well.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from children import CHECKOUT, versions

sys.path.append(str(CHECKOUT / "tests"))

import damages  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing


def main() -> None:
    """Print a line for each kind of file; fail where a load went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(damages.DAMAGES))
    parser.add_argument("--rounds", type=int, default=1000, help="files of each kind (1000)")
    parser.add_argument("--begin", type=int, default=0, help="the first seed (0)")
    given = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "SQLAlchemy", "pyarrow"))
    wrong = 0
    with TemporaryDirectory() as folder, damages.damageable(Path(folder)) as dumps:
        for kind in given.kinds or damages.DAMAGES:
            wrong += _survey(dumps, kind, range(given.begin, given.begin + given.rounds))
    if wrong:
        raise SystemExit(f"{wrong} files at which something was wrong")


def _survey(dumps: damages.Dumps, kind: str, seeds: range) -> int:
    bad, slowest = 0, (0.0, 0)
    for seed in seeds:
        start = time.monotonic()
        faults = dumps.faults_of(kind, seed)
        slowest = max(slowest, (time.monotonic() - start, seed))
        bad += bool(faults)
        for one in faults:
            print(f"  {kind}, seed {seed}: {one}", flush=True)
    good = len(seeds) - bad
    told = f"{good} of {len(seeds)} refused or whole, the slowest in {slowest[0]:.2f} s"
    print(f"{kind}: {told}", flush=True)
    return bad


if __name__ == "__main__":
    main()
