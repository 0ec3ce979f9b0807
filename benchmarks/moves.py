"""Rows moved in or out of a database inside a process, timed: by dbtasks, or by Django.

`fixtures.py` starts it. It prints the number of rows and the seconds, without the imports and
without the first connection.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

SEED = 7


def main() -> None:
    """Read the command line, move the rows, and print their number and the seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("load", "dump", "seed"))
    parser.add_argument("file", type=Path, help="for seed: the number of rows")
    parser.add_argument("--url", help="without it: Django, by the settings of this folder")
    parser.add_argument("--folder", default=".", help="the project")
    parser.add_argument("--database", default="default", help="Django's")
    parser.add_argument("--format", default="jsonl")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    move = _by_dbtasks(options) if options.url else _by_django(options)
    start = perf_counter()
    number = move()
    seconds = perf_counter() - start
    sys.stdout.write(f"{number} {seconds}\n")


def _by_dbtasks(options: argparse.Namespace) -> Callable[[], int]:
    """Return what calls the library, on a project that has been connected."""
    from dbtasks import Project, fixtures

    project = Project.configure(
        options.folder,
        database="default",
        url=options.url,
        url_variable="UNSET",
        metadata="company.models:Base",
    )
    fixtures.find_tables(project)
    if options.format == "parquet":
        for one in ("csv", "compute", "parquet"):
            import_module(f"pyarrow.{one}")
    with project.connect():
        pass
    if options.verb == "load":
        return lambda: sum(
            one.rows for one in fixtures.loaddata(project, str(options.file), fast=options.fast)
        )
    if options.verb == "dump":
        return lambda: (
            fixtures.dumpdata(
                project, ["Employee"], format_=options.format, output=options.file
            ).rows
        )
    return lambda: _seed(project, int(str(options.file)))


def _seed(project: Any, rows: int) -> int:
    from dbtasks import fixtures

    generate: Any = getattr(fixtures, "generate")  # noqa: B009 - not every version has it
    generate(project, "Employee", rows, random_seed=SEED)
    return rows


def _by_django(options: argparse.Namespace) -> Callable[[], int]:
    """Return what calls Django's command, with its settings and models loaded."""
    import os

    import django  # type: ignore[import-not-found]  # it is in an environment of its own
    from django.core.management import call_command  # type: ignore[import-not-found]  # the same
    from django.db import connections  # type: ignore[import-not-found]  # the same

    sys.path.insert(0, os.getcwd())
    os.environ["DJANGO_SETTINGS_MODULE"] = "company.settings"
    django.setup()
    connections[options.database].ensure_connection()

    def move() -> int:
        quiet = {"database": options.database, "verbosity": 0}
        if options.verb == "load":
            call_command("loaddata", str(options.file), **quiet)
        else:
            form = {"format": "jsonl", "output": str(options.file)}
            call_command("dumpdata", "staff.Employee", **form, **quiet)
        return int(options.file.read_bytes().count(b"\n"))

    return move


if __name__ == "__main__":
    main()
