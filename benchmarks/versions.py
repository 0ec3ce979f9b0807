"""Two versions at once: eight processes migrate, half of them with the next format of our tables.

Run by hand: `python benchmarks/versions.py`, with --rounds and --only sqlite,galera for less. It
starts servers of its own. The next version is a copy of this one with another number and a column
more. Every second round begins with a database that this version has made, the others with an
empty one. With --before FOLDER, which has the package `dbtasks` of an earlier commit
(`git archive COMMIT src/dbtasks`), that is the other version.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import together
from children import CHECKOUT, copy_project, environment, run

sys.path.insert(0, str(CHECKOUT / "tests"))

import races  # type: ignore[import-not-found]  # the tests are not type-checked


def main() -> None:
    """Run all rounds, and print a table and what was wrong."""
    parser = together.parser(__doc__)
    parser.add_argument("--before", type=Path, help="the folder of an earlier version")
    options = parser.parse_args()
    print(together.describe(), end="\n\n")
    print("| | processes | refused as older | wrong |")
    print("|---|---|---|---|", flush=True)
    wrong: list[str] = []
    with TemporaryDirectory() as name:
        root = copy_project(Path(name, "project"))
        races.plant(root)
        this = races.PACKAGE.parent
        if options.before:
            older, newer = _copy(options.before, Path(name, "before")), this
        else:
            older, newer = this, races.make_newer(Path(name, "newer"))
        run([sys.executable, "-m", "compileall", "-q", root, older])
        for kind in options.only:
            with together.server(kind) as urls:
                wrong += _play(kind, urls, root, (older, newer), options)
    print("", *wrong, sep="\n")


def _copy(package: Path, folder: Path) -> Path:
    """Copy a version without the entry points of this one, whose modules it does not have."""
    shutil.copytree(package, folder)
    metadata = folder / "dbtasks-0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: dbtasks\nVersion: 0\n")
    return folder


def _play(
    kind: str,
    urls: Sequence[str],
    root: Path,
    versions: tuple[Path, Path],
    options: argparse.Namespace,
) -> list[str]:
    """Run the rounds on one kind of database, print a line, and return what was wrong."""
    wrong, refused, count = [], 0, 0
    plain = (root / "tasks.py").read_text()
    for number in range(options.rounds):
        (root / "tasks.py").write_text(plain)
        with together.database(kind, urls, root) as nodes:
            if number % 2:
                _begin(root, nodes[0], versions[0])
            races.add_barrier(root)
            finished = races.race(root, races.MIGRATE, nodes, environment(), packages=versions)
            count += len(finished)
            refused += sum(one.code == 3 for one in finished)
            for node in nodes:
                if options.before:
                    wrong += races.faults(node)
                else:
                    wrong += races.faults_of_versions(finished, node)
            if options.before:
                wrong += [one.err for one in finished if one.code]
    print(f"| {together.TITLES[kind]} | {count} | {refused} | {len(wrong)} |", flush=True)
    return wrong


def _begin(root: Path, url: str, package: Path) -> None:
    """Apply the first revision, by the older version."""
    told = environment({"DATABASE_URL": url, "PYTHONPATH": str(package)})
    line = [sys.executable, *races.MIGRATE, "--to", "0001_applied"]
    subprocess.run(line, cwd=root, env=told, check=True, capture_output=True)


if __name__ == "__main__":
    main()
