"""Fixtures: a million employees loaded and dumped, beside psql, the sqlite3 shell and Django.

Run by hand: `python benchmarks/fixtures.py`, with --only for some of it. All runs on a throw-away
PostgreSQL of the tests, and on files of SQLite. What is compared takes turns in one run, and each
load begins on a fresh copy of the database, with the table empty and the same index and foreign
key; a ratio is the median of the ratios of the turns. A shell is a whole process, dbtasks and
Django are timed inside theirs, without imports. All numbers of rows are checked.
"""

import argparse
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from children import (
    CHECKOUT,
    Usage,
    copy_project,
    make_venv,
    measure,
    run,
    script,
    versions,
    warm_bytecode,
)
from copies import Copies, copies_of, count, empty, fill

from records import make_site

ROWS, DJANGO_ROWS = 1_000_000, 20_000
MOST, LEAST = 10_000_000, 100_000
"""Rows of which the peaks of memory are compared."""

MEMORY = 1.3
HERE = Path(__file__).parent
TITLES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
GROUPS = ("speed", "django-dump", "django-load", "seed", "arrow", "memory")
ORDERED = "SELECT * FROM employee ORDER BY id"


@dataclass(frozen=True)
class Entry:
    """Describe one way to move the rows, and how long it may take: a multiple of another's time.

    `output` is the file that a dump writes; without one it is a load, or a seed.
    """

    title: str
    arguments: tuple[str | Path, ...]
    folder: Path
    beside: str = ""
    target: float = 0.0
    output: Path | None = None
    inside: bool = True


Entries = dict[str, Entry]


@dataclass(frozen=True)
class Place:
    """Say where all of it runs, and on how many rows."""

    kind: str
    python: Path
    project: Path
    files: Path
    copies: Copies
    rows: int

    def inside(self, verb: str, file: Path | int, url: str, *more: str) -> tuple[str | Path, ...]:
        """Return the command line of what is timed inside a process."""
        to = (self.python, HERE / "moves.py", verb, str(file), "--url", url)
        return (*to, "--folder", self.project, *more)

    def load(self, title: str, file: Path, beside: str, target: float, *more: str) -> Entry:
        """Return a load by dbtasks."""
        arguments = self.inside("load", file, self.copies.copy, *more)
        return Entry(title, arguments, self.files, beside, target)

    def dump(self, form: str, beside: str, target: float) -> Entry:
        """Return a dump by dbtasks."""
        output = self.files / f"out.{form}"
        arguments = self.inside("dump", output, self.copies.full, "--format", form)
        title = f"`dumpdata` {TITLES[self.kind]} → {form}"
        return Entry(title, arguments, self.files, beside, target, output)


def main() -> None:
    """Measure what is asked for, and print a table, with what falls short."""
    options = _options()
    print(_describe(options), end="\n\n")
    print("| what | beside | at most | measured | reached? |\n|---|---|---|---|---|")
    with TemporaryDirectory() as name, _server() as server:
        project = copy_project(Path(name) / "project")
        warm_bytecode(options.python, project, HERE)
        compare = partial(_compare, options, Path(name), project, server)
        well = [compare(group) for group in GROUPS[:-1] if group in options.only]
        if "memory" in options.only:
            well.append(_memory(options, Path(name), project, server))
    if not all(well):
        raise SystemExit("something falls short")


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help=f"of all but Django's ({ROWS}, memory {MOST})")
    parser.add_argument("--turns", type=int, default=3, help="turns of each (3)")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=GROUPS, help=",".join(GROUPS)
    )
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="has dbtasks")
    parser.add_argument(
        "--arrow-python", type=Path, help="has dbtasks[arrow]; else --python, if it has pyarrow"
    )
    parser.add_argument("--django-python", type=Path, help="has Django; without it one is made")
    return parser.parse_args()


@contextmanager
def _server() -> Iterator[str]:
    sys.path.append(str(CHECKOUT / "tests"))
    import servers  # type: ignore[import-not-found]  # the tests', of which mypy knows nothing

    server = servers.start("postgresql")
    try:
        yield server.url
    finally:
        server.stop()


def _describe(options: argparse.Namespace) -> str:
    """Return one line on what is measured."""
    ours = versions(options.python, "dbtasks", "sqlalchemy", "psycopg")
    shells = run(["psql", "--version"]).strip(), run(["sqlite3", "--version"]).split()[0]
    size = f"{options.rows or ROWS:,} rows; {options.turns} turns; {os.cpu_count()} CPUs"
    return f"{ours}; {shells[0]}; sqlite3 {shells[1]}; {size}"


def _compare(
    options: argparse.Namespace, folder: Path, project: Path, server: str, group: str
) -> bool:
    """Measure a group on each database, print its rows, and return whether all is reached."""
    well = True
    for kind, url in (("postgresql", server), ("sqlite", "sqlite")):
        files = folder / f"{group}-{kind}"
        files.mkdir()
        rows = DJANGO_ROWS if group == "django-load" else options.rows or ROWS
        with copies_of(url, files) as copies:
            place = Place(kind, options.python, project, files, copies, rows)
            _fill(place)
            entries = WAYS[group](place, options)
            used = _measure(entries, place, options.turns)
        for letter, entry in entries.items():
            if entry.beside:
                well &= _show(entry, entries[entry.beside], used[letter], used[entry.beside])
    return well


def _fill(place: Place) -> None:
    """Fill the database, and write the files that are loaded."""
    measure([script(place.python, "inv"), "migrate"], place.project, _url(place.copies.full))
    fill(place.copies.full, place.rows)
    place.copies.renew()
    measure(place.inside("dump", place.files / "rows.jsonl", place.copies.full), place.files)
    folder = place.files / "rows"
    measure(place.inside("dump", folder, place.copies.full, "--format", "csv"), place.files)
    with (folder / "employee.csv").open("rb") as one, (place.files / "rows.csv").open("wb") as two:
        one.readline()  # the header
        shutil.copyfileobj(one, two)


def _url(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url}


def _shell(place: Place, script_: str, url: str) -> tuple[str | Path, ...]:
    """Return the command line of the database's own shell."""
    if place.kind == "postgresql":
        return ("psql", "-q", "-X", "-c", script_, url.replace("+psycopg", "", 1))
    foreign_keys = "PRAGMA foreign_keys=ON"  # dbtasks has them on: like with like
    file = url.removeprefix("sqlite:///")
    return ("sqlite3", "-bail", "-batch", "-csv", file, foreign_keys, script_)


def _shell_load(place: Place) -> Entry:
    """Return how the shell loads the rows from CSV."""
    file = place.files / "rows.csv"
    scripts = {
        "postgresql": ("`psql \\copy … from` csv", f"\\copy employee from '{file}' csv"),
        "sqlite": ("sqlite3 `.import`", f".import {file} employee"),
    }
    title, words = scripts[place.kind]
    return Entry(title, _shell(place, words, place.copies.copy), place.files, inside=False)


def _shell_dump(place: Place) -> Entry:
    """Return how psql writes the rows as CSV, in the order of their key as dbtasks does."""
    output = place.files / "out"
    words = _shell(place, f"\\copy ({ORDERED}) to '{output}' csv", place.copies.full)
    return Entry("`psql \\copy … to` csv", words, place.files, output=output, inside=False)


def _speed(place: Place, options: argparse.Namespace) -> Entries:
    """Return the loads and dumps of all rows, and the shell's."""
    file, title = place.files / "rows.jsonl", f"`loaddata` jsonl → {TITLES[place.kind]}"
    if place.kind == "sqlite":
        return {"a": _shell_load(place), "b": place.load(title, file, "a", 1.5)}
    return {
        "a": _shell_load(place),
        "b": place.load(title, file, "a", 1.15),
        "c": place.load(f"{title}, `--fast`", file, "a", 0.35, "--fast"),
        "d": _shell_dump(place),
        "e": place.dump("csv", "d", 2.0),
        "f": place.dump("jsonl", "d", 3.0),
    }


def _beside_django(place: Place, options: argparse.Namespace) -> Entries:
    """Return Django's dump, and ours."""
    python = _django(place, options)
    output = place.files / "django.jsonl"
    title = f"`dumpdata` jsonl, {TITLES[place.kind]}, {place.rows:,} rows"
    arguments = (python, HERE / "moves.py", "dump", output)
    return {
        "a": Entry("Django's `dumpdata`", arguments, place.files / "site", output=output),
        "b": replace(place.dump("jsonl", "a", 1 / 15), title=title),
    }


def _beside_djangos_load(place: Place, options: argparse.Namespace) -> Entries:
    """Return Django's load of fewer rows, and ours."""
    python = _django(place, options)
    file, site = place.files / "django.jsonl", place.files / "site"
    measure((python, HERE / "moves.py", "dump", file), site)
    arguments = (python, HERE / "moves.py", "load", file, "--database", "copy")
    title = f"`loaddata` jsonl → {TITLES[place.kind]}, {place.rows:,} rows"
    return {
        "a": Entry("Django's `loaddata`", arguments, site),
        "b": place.load(title, place.files / "rows.jsonl", "a", 1 / 50),
    }


def _django(place: Place, options: argparse.Namespace) -> Path:
    """Make a project of Django on both databases, and return the Python that runs it."""
    python: Path = options.django_python or place.project.parent / "django" / "bin" / "python"
    if not python.exists():
        make_venv(python.parent.parent, "django", "psycopg[binary]")
    site = place.files / "site"
    make_site(python, site, place.copies)
    with (site / "company" / "settings.py").open("a") as settings:
        copy = place.copies.copy.removeprefix("sqlite:///")
        name = copy if place.kind == "sqlite" else copy.rpartition("/")[2]
        settings.write(f"DATABASES['copy'] = DATABASES['default'] | {{'NAME': {name!r}}}\n")
    return python


def _seeding(place: Place, options: argparse.Namespace) -> Entries:
    """Return what generates rows, and the shell's load of as many from a file."""
    has = "from dbtasks import fixtures; print(hasattr(fixtures, 'generate'))"
    if run([place.python, "-c", has]).strip() != "True":
        return {}
    arguments = place.inside("seed", place.rows, place.copies.copy)
    title = f"`seed --count` → {TITLES[place.kind]}"
    return {"a": _shell_load(place), "b": Entry(title, arguments, place.files, "a", 2.0)}


def _with_arrow(place: Place, options: argparse.Namespace) -> Entries:
    """Return the loads and dumps that are faster with the extra `arrow`."""
    if options.arrow_python is None and not find_spec("pyarrow"):
        return {}
    place = replace(place, python=options.arrow_python or place.python)
    if place.kind == "sqlite":
        title = "`loaddata` jsonl → SQLite, with `arrow`"
        ours = place.load(title, place.files / "rows.jsonl", "a", 1.0)
        return {"a": _shell_load(place), "b": ours}
    entries = {"a": _shell_dump(place)}
    for form, target in (("csv", 1.1), ("jsonl", 1.3), ("parquet", 1.3)):
        ours = place.dump(form, "a", target)
        entries[form] = replace(ours, title=f"{ours.title}, with `arrow`")
    return entries


WAYS: dict[str, Callable[[Place, argparse.Namespace], Entries]] = {
    "speed": _speed,
    "django-dump": _beside_django,
    "django-load": _beside_djangos_load,
    "seed": _seeding,
    "arrow": _with_arrow,
}


def _measure(entries: Entries, place: Place, turns: int) -> dict[str, list[Usage]]:
    """Run all in turns, and return what each used."""
    used: dict[str, list[Usage]] = {letter: [] for letter in entries}
    for _ in range(turns):
        for letter, entry in entries.items():
            used[letter].append(_run(entry, place))
            took = f"{entry.title}: {used[letter][-1].seconds:.2f}"
            print(took, file=sys.stderr, flush=True)
    return used


def _run(entry: Entry, place: Place) -> Usage:
    """Run one entry once, and check how many rows it moved."""
    if entry.output is None:
        place.copies.renew()
        empty(place.copies.copy)
    elif not entry.output.is_dir():
        entry.output.unlink(missing_ok=True)
    used = measure(entry.arguments, entry.folder)
    if entry.output is None:
        number = count(place.copies.copy)
    elif entry.inside:
        number = int(used.end.split()[0])
    else:
        with entry.output.open("rb") as lines:
            number = sum(1 for _ in lines)
    if number != place.rows:
        raise SystemExit(f"{entry.title}: {number} rows, {place.rows} were expected")
    return replace(used, seconds=float(used.end.split()[1])) if entry.inside else used


def _show(entry: Entry, base: Entry, used: Sequence[Usage], other: Sequence[Usage]) -> bool:
    """Print an entry's row of the table, and return whether it reaches its target."""
    ratio = median(a.seconds / b.seconds for a, b in zip(used, other, strict=True))
    if entry.target < 0.1:
        target, shown = f"{1 / entry.target:.0f} times faster", f"{1 / ratio:.0f} times faster"
    else:
        target, shown = f"{entry.target:.2f} times", f"{ratio:.2f} times"
    return _print_row(entry.title, base.title, target, shown, reached=ratio <= entry.target)


def _print_row(title: str, base: str, target: str, shown: str, *, reached: bool) -> bool:
    verdict = "yes" if reached else "**no**"
    print(f"| {title} | {base} | {target} | {shown} | {verdict} |", flush=True)
    return reached


def _memory(options: argparse.Namespace, folder: Path, project: Path, server: str) -> bool:
    """Compare the peaks of memory of few and of many rows, print them, and say if all is well."""
    well, most = True, options.rows or MOST
    for kind, url in (("postgresql", server), ("sqlite", "sqlite")):
        peaks: list[dict[str, float]] = []
        for rows in (LEAST, most):
            files = folder / f"memory-{kind}-{rows}"
            files.mkdir()
            with copies_of(url, files) as copies:
                peaks.append(_peaks(Place(kind, options.python, project, files, copies, rows)))
        for verb, few in peaks[0].items():
            ratio = peaks[1][verb] / few
            well &= _print_row(
                f"peak memory of `{verb}`, {TITLES[kind]}, {most:,} rows",
                f"{LEAST:,} rows, {few:.0f} MB",
                f"{MEMORY} times",
                f"{ratio:.2f} times",
                reached=ratio <= MEMORY,
            )
    return well


def _peaks(place: Place) -> dict[str, float]:
    """Return the peaks in megabytes of a dump and of a load."""
    measure([script(place.python, "inv"), "migrate"], place.project, _url(place.copies.full))
    fill(place.copies.full, place.rows)
    dumped = place.dump("jsonl", "", 0)
    written = measure(dumped.arguments, place.files)
    empty(place.copies.full)
    assert dumped.output is not None
    loaded = measure(place.inside("load", dumped.output, place.copies.full), place.files)
    if count(place.copies.full) != place.rows:
        raise SystemExit("not all rows were loaded")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if min(written.peak_mb, loaded.peak_mb) <= own:
        raise SystemExit(f"this process has {own:.0f} MB, which count as its children's")
    return {"dumpdata": written.peak_mb, "loaddata": loaded.peak_mb}


if __name__ == "__main__":
    main()
