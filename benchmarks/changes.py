"""One update or delete of employees inside a process, timed: the bare statement, or dbtasks'.

`records.py` starts it. It prints the number of records and the seconds, without the imports and
without connecting.
"""

import argparse
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

WHERE, SET = "dept_id=3", "name=x"
COUNT = "SELECT count(*) FROM employee"
BARE = {
    "update": "UPDATE employee SET name = 'x' WHERE dept_id = 3",
    "delete": "DELETE FROM employee WHERE dept_id = 3",
}


def main() -> None:
    """Read the command line, make the change, and print the number of records and the seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=BARE)
    parser.add_argument("url")
    parser.add_argument("--folder", help="the project; without it the statement is bare")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()
    change = _by_dbtasks(options) if options.folder else _bare(options)
    start = perf_counter()
    number = change()
    seconds = perf_counter() - start
    sys.stdout.write(f"{number} {seconds}\n")


def _bare(options: argparse.Namespace) -> Callable[[], int]:
    """Return what sends the statement through the driver, and commits."""
    connection = _connect(options.url)
    cursor = connection.cursor()
    cursor.execute(COUNT)
    cursor.fetchall()
    connection.rollback()

    def change() -> int:
        cursor.execute(BARE[options.verb])
        connection.commit()
        return int(cursor.rowcount)

    return change


def _connect(url: str) -> Any:
    if url.startswith("sqlite"):
        import sqlite3

        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA foreign_keys=ON")  # dbtasks has them on: like with like
        return connection
    import psycopg

    return psycopg.connect(url.replace("+psycopg", "", 1))


def _by_dbtasks(options: argparse.Namespace) -> Callable[[], int]:
    """Return what calls the library, on a project that is connected."""
    from dbtasks import Project, records

    project = Project.configure(
        options.folder,
        database="default",
        url=options.url,
        url_variable="UNSET",
        metadata="company.models:Base",
        default_model="Employee",
    )
    records.query(project).count()
    size = options.batch_size
    if options.verb == "delete":
        return lambda: records.delete(project, where=[WHERE], batch_size=size).matched
    return lambda: records.update(project, where=[WHERE], values=[SET], batch_size=size).matched


if __name__ == "__main__":
    main()
