"""Many tables: the first revision of a project, its run and its check, on default settings.

Run by hand: `python benchmarks/many_tables.py --tables 1000 3000 --kinds sqlite postgresql`. It
starts servers of its own. Each table has a key, an index and a foreign key with an index.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from children import CHECKOUT, copy_project, environment, script
from sqlalchemy import make_url

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests are not type-checked
import servers  # type: ignore[import-not-found]  # the same

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


for number in range({tables}):
    sa.Table(
        f"t{{number}}",
        Base.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), index=True),
        sa.Column("parent_id", sa.ForeignKey(f"t{{number // 2}}.id"), index=True),
    )
"""
COMMANDS = (("makemigrations",), ("migrate",), ("makemigrations", "--check"))


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'app.db'}"
        return
    server = servers.start(kind)
    try:
        with conftest.new_database(kind, make_url(server.url), conftest.KINDS[kind]) as url:
            yield url
    finally:
        server.stop()


def show(kind: str, tables: int) -> None:
    """Run the commands one after the other, and print the time, the exit code and the last line."""
    with TemporaryDirectory() as temporary:
        root = copy_project(Path(temporary) / "project")
        for revision in (root / "migrations" / "versions").glob("*.py"):
            revision.unlink()
        (root / "src" / "company" / "models.py").write_text(MODELS.format(tables=tables))
        with database(kind, root) as url:
            for command in COMMANDS:
                start = perf_counter()
                done = subprocess.run(
                    [script(Path(sys.executable), "inv"), *command],
                    cwd=root,
                    env=environment({"DATABASE_URL": url}),
                    capture_output=True,
                    text=True,
                )
                seconds = perf_counter() - start
                last = f"{done.stderr}{done.stdout}".strip().splitlines()[-1:]
                line = " ".join(command)
                print(f"{kind} {tables} {line}: exit {done.returncode}, {seconds:.1f} s, {last}")


def main() -> None:
    """Measure the numbers of tables and the kinds of databases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, nargs="+", default=[1000, 3000, 10000])
    parser.add_argument("--kinds", nargs="+", choices=conftest.KINDS, default=[*conftest.KINDS])
    options = parser.parse_args()
    for tables in options.tables:
        for kind in options.kinds:
            show(kind, tables)


if __name__ == "__main__":
    main()
