"""Memory: the peak of `inv query` over ten thousand and over a million employees.

Run by hand: `python benchmarks/memory.py`, with --url for an empty database on PostgreSQL or
MariaDB. What streams needs as much for many records as for few. The number of lines is checked.
With --large 200 the peaks of dumpdata, loaddata and their kin over values of 200 MB instead.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from children import Usage, copy_project, measure, script, warm_bytecode
from large import CASES, MB, report

FEW, MANY = 10_000, 1_000_000
TARGET = 1.3
DEPARTMENTS = 10
BATCH = 10_000

# The formats, and the lines that each writes besides one a record.
FORMATS = {"jsonl": 0, "csv": 1}

Result = TypeVar("Result")


def main() -> None:
    """Fill a database twice, measure each format on both, and print a table."""
    options = _options()
    if options.large:
        with TemporaryDirectory() as name:
            url = options.url or f"sqlite:///{Path(name) / 'app.db'}"
            well = report(url, Path(name), options.large * MB, options.cases)
        if not well:
            raise SystemExit("something falls short")
        return
    with TemporaryDirectory() as name:
        folder = copy_project(Path(name))
        url = options.url or f"sqlite:///{folder / 'app.db'}"
        if tables := _apart(_tables, url, folder):
            raise SystemExit(f"the database is not empty: it has {', '.join(tables)}")
        warm_bytecode(Path(sys.executable), folder)
        _inv(url, folder, "migrate")
        try:
            _apart(_fill, url, folder, 1, FEW)
            few = _measure(url, folder, FEW)
            _apart(_fill, url, folder, FEW + 1, options.rows)
            many = _measure(url, folder, options.rows)
        finally:
            with suppress(SystemExit):  # what stopped the benchmark is what should be seen
                _inv(url, folder, "migrate", "--to", "base", "--no-input")
    print(_table(url.partition(":")[0], options.rows, few, many))


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", help="an empty database, as in DATABASE_URL (a SQLite file)")
    parser.add_argument("--rows", type=int, default=MANY, help=f"the many employees ({MANY})")
    parser.add_argument("--large", type=int, help="MB of the large values to move instead")
    parser.add_argument(
        "--cases",
        type=lambda text: text.split(","),
        default=CASES,
        help=f"of --large: {','.join(CASES)}",
    )
    return parser.parse_args()


def _apart(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own, so that this one stays small.

    A child starts as a copy of its parent, whose memory counts as the child's peak.
    """
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _tables(url: str, folder: Path) -> list[str]:
    """Return the tables of a database, without Alembic's own."""
    from sqlalchemy import inspect

    from dbtasks import Project

    project = Project.configure(folder, database="default", url=url, url_variable="UNSET")
    with project.migrating(writes=False) as connection:
        return [name for name in inspect(connection).get_table_names() if name != "alembic_version"]


def _fill(url: str, folder: Path, first: int, last: int) -> None:
    """Add employees with the ids from first to last, and their departments, in one transaction."""
    from dbtasks import Project

    project = Project.configure(folder, database="default", url=url, url_variable="UNSET")
    mark = "?" if project.backend.url.get_backend_name() == "sqlite" else "%s"
    departments = [(number, f"Department {number}") for number in range(1, DEPARTMENTS + 1)]
    with project.connect(writes=True) as connection:
        if first == 1:
            connection.exec_driver_sql(
                f"INSERT INTO department (id, name) VALUES ({mark}, {mark})", departments
            )
        insert = f"INSERT INTO employee (id, name, dept_id) VALUES ({mark}, {mark}, {mark})"
        for start in range(first, last + 1, BATCH):
            ids = range(start, min(start + BATCH, last + 1))
            rows = [(number, f"Employee {number:08}", number % DEPARTMENTS + 1) for number in ids]
            connection.exec_driver_sql(insert, rows)


def _measure(url: str, folder: Path, rows: int) -> dict[str, Usage]:
    """Return what a query for all employees uses, by format."""
    used = {}
    for name, more in FORMATS.items():
        used[name] = _inv(url, folder, "query", "--format", name)
        if used[name].lines != rows + more:
            raise SystemExit(f"{name}: {used[name].lines} lines, {rows + more} were expected")
    return used


def _inv(url: str, folder: Path, *arguments: str) -> Usage:
    """Run a command on the database, and return what it used."""
    line: list[str | Path] = [script(Path(sys.executable), "inv"), *arguments]
    return measure(line, folder, {"DATABASE_URL": url})


def _table(database: str, rows: int, few: dict[str, Usage], many: dict[str, Usage]) -> str:
    """Return the results as a Markdown table."""
    heads = f"peak MB, {FEW:,} rows | peak MB, {rows:,} rows"
    lines = [
        f"| {database} | {heads} | ratio | target | lines | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in FORMATS:
        ratio = many[name].peak_mb / few[name].peak_mb
        verdict = "met" if ratio <= TARGET else "**falls short**"
        peaks = f"{few[name].peak_mb:.1f} | {many[name].peak_mb:.1f}"
        lines.append(
            f"| `inv query --format {name}` | {peaks} | {ratio:.2f} | ≤ {TARGET} "
            f"| {many[name].lines:,} | {verdict} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
