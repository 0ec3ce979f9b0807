"""Records: a million employees read, and three in ten changed, beside what else can do it.

Run by hand: `python benchmarks/records.py`, with --url for a PostgreSQL server or `sqlite`. What is
compared takes turns in one run, each change on a fresh copy of the database; a ratio is the
median of the ratios of the turns. `inv query` and its kin are whole processes, written to a pipe
that is read; changes are compared inside a process too, without imports. All numbers of records
are checked. CPU is that of the process, without the server; it tells more than the time where
the machine is busy.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from changes import SET, WHERE
from children import Usage, copy_project, make_venv, measure, run, script, warm_bytecode
from copies import Copies, copies_of, fill

SERVER = "postgresql://postgres@127.0.0.1/postgres"
ROWS = 1_000_000
BATCH = 10_000
HERE = Path(__file__).parent

DJANGO_MODELS = """
from django.db import models


class Department(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        managed = False
        db_table = "department"


class Employee(models.Model):
    name = models.CharField(max_length=100)
    dept = models.ForeignKey(Department, models.CASCADE)

    class Meta:
        managed = False
        db_table = "employee"
"""
VERSIONS = (
    "import sys; from importlib.metadata import version; "
    "print('Python', sys.version.split()[0], *(f'{n} {version(n)}' for n in sys.argv[1:]))"
)


@dataclass(frozen=True)
class Entry:
    """Describe one way to do a thing, how many records it must say, and what it is held to.

    `targets` has the most that it may take, as a multiple of another entry; None for any.
    """

    title: str
    arguments: tuple[str | Path, ...]
    folder: Path
    records: int
    targets: tuple[tuple[str, float | None], ...] = ()
    changes: bool = False
    inside: bool = False


@dataclass(frozen=True)
class Place:
    """Say where all of it runs."""

    python: Path
    django: Path
    project: Path
    site: Path
    copies: Copies
    rows: int

    @property
    def few(self) -> int:
        """Return the number of records that are changed."""
        return self.rows // 10 * 3


def main() -> None:
    """Make the databases, measure all, and print a table."""
    options = _options()
    with TemporaryDirectory() as name, copies_of(options.url, Path(name)) as copies:
        place = _prepare(Path(name), copies, options)
        entries = {**_reading(place), **_changing(place, "update"), **_changing(place, "delete")}
        if options.only:
            entries = {letter: entries[letter] for letter in options.only}
        used = _measure(entries, place, options.runs)
        print(_describe(place, options), end="\n\n")
    print(_table(entries, used))


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default=SERVER, help=f"a PostgreSQL server, or sqlite ({SERVER})")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"employees, by tens ({ROWS})")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--only", help="the letters of those to measure")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="has dbtasks")
    parser.add_argument(
        "--django-python", type=Path, help="a Python that has Django; without it one is made"
    )
    return parser.parse_args()


def _prepare(folder: Path, copies: Copies, options: argparse.Namespace) -> Place:
    """Fill the database, and make the projects that read it."""
    django = options.django_python or make_venv(folder / "django", "django", "psycopg[binary]")
    project, site = copy_project(folder / "project"), folder / "site"
    warm_bytecode(options.python, project, HERE)
    place = Place(options.python, django, project, site, copies, options.rows)
    inv = script(options.python, "inv")
    measure([inv, "migrate"], project, {"DATABASE_URL": copies.full})
    fill(copies.full, options.rows)
    make_site(django, site, copies)
    return place


def make_site(python: Path, site: Path, copies: Copies) -> None:
    """Make a Django project with unmanaged models of the same tables."""
    staff = site / "staff"
    staff.mkdir(parents=True)
    run([python, "-m", "django", "startproject", "company", site])
    (staff / "__init__.py").touch()
    (staff / "models.py").write_text(DJANGO_MODELS)
    with (site / "company" / "settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS += ['staff']\n")
        settings.write(f"DATABASES = {{'default': {copies.django!r}}}\n")
    run([python, "-m", "compileall", "-q", site])


def _reading(place: Place) -> dict[str, Entry]:
    """Return the ways to read all records, by letter."""
    dump = (place.django, "manage.py", "dumpdata", "staff.Employee", "--format", "jsonl")
    found = {"a": Entry("Django `dumpdata --format jsonl`", dump, place.site, place.rows)}
    for theirs, ours, format_ in ("b", "c", "jsonl"), ("d", "e", "csv"):
        plain = (place.python, HERE / "plain.py", format_, place.copies.full)
        query = (script(place.python, "inv"), "query", "--format", format_)
        lines = place.rows + (format_ == "csv")
        targets = (("a", 0.5), (theirs, 1.1))
        found[theirs] = Entry(f"SQLAlchemy Core, {format_}", plain, place.project, lines)
        found[ours] = Entry(f"`inv query --format {format_}`", query, place.project, lines, targets)
    return found


def _changing(place: Place, verb: str) -> dict[str, Entry]:
    """Return the ways to change some records, by letter."""
    a, b, c, d = "fghi" if verb == "update" else "jklm"
    batches = 1.2 if verb == "update" else 3.0
    inside = (place.python, HERE / "changes.py", verb, place.copies.copy)
    ours = (*inside, "--folder", place.project)
    setting = ("-s", SET) if verb == "update" else ()
    whole = (script(place.python, "inv"), verb, "-w", WHERE, *setting, "--no-input")
    size = ("--batch-size", str(BATCH))

    def entry(
        title: str,
        arguments: Sequence[str | Path],
        *targets: tuple[str, float | None],
        inside: bool = True,
    ) -> Entry:
        return Entry(
            title,
            tuple(arguments),
            place.project,
            place.few,
            targets,
            changes=True,
            inside=inside,
        )

    return {
        a: entry(f"{verb} of {place.few:,}: the driver", inside),
        b: entry(f"`records.{verb}`", ours, (a, 1.1)),
        c: entry(f"`records.{verb}`, batches of {BATCH:,}", (*ours, *size), (a, batches)),
        d: entry(f"`inv {verb}`, whole process", whole, (a, None), inside=False),
    }


def _measure(entries: dict[str, Entry], place: Place, runs: int) -> dict[str, list[Usage]]:
    """Run all in turns, and return what each used."""
    used: dict[str, list[Usage]] = {letter: [] for letter in entries}
    for _ in range(runs):
        for letter, entry in entries.items():
            if entry.changes:
                place.copies.renew()
            used[letter].append(_run(entry, place))
            print(letter, f"{used[letter][-1].seconds:.2f}", end=" ", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return used


def _run(entry: Entry, place: Place) -> Usage:
    """Run one entry once, and check how many records it read or changed."""
    url = place.copies.copy if entry.changes else place.copies.full
    used = measure(entry.arguments, entry.folder, {"DATABASE_URL": url})
    words = used.end.split()
    number = words[0] if entry.changes else str(used.lines)
    if number != str(entry.records):
        raise SystemExit(f"{entry.title}: {number} records, {entry.records} were expected")
    return replace(used, seconds=float(words[1])) if entry.inside else used


def _describe(place: Place, options: argparse.Namespace) -> str:
    """Return one line on what was measured."""
    ours = run([place.python, "-c", VERSIONS, "dbtasks", "sqlalchemy"]).strip()
    theirs = run([place.django, "-c", VERSIONS, "django"]).strip()
    database = "SQLite" if options.url == "sqlite" else "PostgreSQL"
    size = f"{place.rows:,} rows; {options.runs} runs; {os.cpu_count()} CPUs"
    return f"{database}; {ours}; {theirs}; {size}"


def _table(entries: dict[str, Entry], used: dict[str, list[Usage]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| | what | seconds (min–max) | CPU s | first row ms | peak MB | ratio (target) | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for letter, entry in sorted(entries.items()):
        found = [one.seconds for one in used[letter]]
        spread = f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})"
        cpu = f"{median(one.cpu_ms for one in used[letter]) / 1000:.2f}"
        first = "" if entry.changes else f"{median(one.first_ms for one in used[letter]):.0f}"
        peak = f"{median(one.peak_mb for one in used[letter]):.0f}"
        cells = [letter, entry.title, spread, cpu, first, peak, *_verdict(letter, entry, used)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(letter: str, entry: Entry, used: dict[str, list[Usage]]) -> tuple[str, str]:
    """Return the ratios to other entries with their targets, and whether these are met."""
    shown, kept = [], []
    for base, target in entry.targets:
        if base not in used:
            continue
        pairs = zip(used[letter], used[base], strict=True)
        ratio = median(mine.seconds / other.seconds for mine, other in pairs)
        shown.append(f"{ratio:.2f} × {base}" + (f" (≤ {target})" if target else ""))
        kept += [ratio <= target] if target else []
    return ", ".join(shown), ("met" if all(kept) else "**falls short**") if kept else ""


if __name__ == "__main__":
    main()
