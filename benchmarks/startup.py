"""Start-up: the CPU time of whole commands, beside the imports that they cannot do without.

Run by hand: `python benchmarks/startup.py`, with --wheel for dbtasks as users have it. CPU time
is user and system time of the whole process. All commands take turns in one run, so that a busy
moment of the machine falls on each of them; a ratio is the median of the ratios of the turns, as
the machine's speed changes between turns more than within one.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from children import CHECKOUT, copy_project, make_venv, measure, run, script, warm_bytecode

EMPTY_TASKS = '''"""One empty task."""

from invoke import task


@task
def nothing(c):
    """Do nothing."""
'''
VERSIONS = (
    "import sys; from importlib.metadata import version; "
    "print('Python', sys.version.split()[0], *(f'{n} {version(n)}' for n in sys.argv[1:]))"
)


@dataclass(frozen=True)
class Entry:
    """Describe one command, the entry that it is compared with, and how much more it may use."""

    title: str
    arguments: tuple[str | Path, ...]
    folder: Path
    base: str | None = None
    target: float | None = None


def main() -> None:
    """Measure all commands, and print a table."""
    options = _options()
    with TemporaryDirectory() as name:
        folder = Path(name)
        python = make_venv(folder / "wheel", str(CHECKOUT)) if options.wheel else _present()
        django = options.django_python or make_venv(folder / "django", "django")
        entries = {**_our_entries(python, folder), **_django_entries(django, folder)}
        times = _measure(entries, options.runs)
        print(_describe(python, django, options), end="\n\n")
    print(_table(entries, times))


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="runs of each command (10)")
    parser.add_argument(
        "--wheel", action="store_true", help="install this checkout's wheel into a new environment"
    )
    parser.add_argument(
        "--django-python", type=Path, help="a Python that has Django; without it one is made"
    )
    return parser.parse_args()


def _present() -> Path:
    """Return the Python that runs this."""
    return Path(sys.executable)


def _our_entries(python: Path, folder: Path) -> dict[str, Entry]:
    """Prepare the folders of the commands on Invoke, and return the commands by letter."""
    empty, project = folder / "empty", copy_project(folder / "project")
    empty.mkdir()
    (empty / "tasks.py").write_text(EMPTY_TASKS)
    warm_bytecode(python, empty, project)
    inv, alembic = script(python, "inv"), script(python, "alembic")
    run([inv, "migrate", "seed"], project)
    imports = (python, "-c", "import invoke, sqlalchemy.orm")
    return {
        "a": Entry("`inv --list`, one empty task", (inv, "--list"), empty),
        "b": Entry("`inv --list`", (inv, "--list"), project, "a", 1.3),
        "c": Entry("`import invoke, sqlalchemy.orm`", imports, empty),
        "d": Entry("`inv query --name A`", (inv, "query", "--name", "A"), project, "c", 1.15),
        "e": Entry("`inv showmigrations`", (inv, "showmigrations"), project, "g"),
        "h": Entry("`alembic current`", (alembic, "current"), project, "g"),
    }


def _django_entries(python: Path, folder: Path) -> dict[str, Entry]:
    """Make a minimal Django project, migrated, and return its commands by letter."""
    site = folder / "site"
    site.mkdir()
    run([python, "-m", "django", "startproject", "company", site])
    run([python, "manage.py", "migrate"], site)
    run([python, "-m", "compileall", "-q", site])
    return {
        "f": Entry("Django `manage.py help`", (python, "manage.py", "help"), site),
        "g": Entry(
            "Django `manage.py showmigrations`", (python, "manage.py", "showmigrations"), site
        ),
    }


def _measure(entries: dict[str, Entry], runs: int) -> dict[str, list[float]]:
    """Run all commands in turns, and return the CPU times of each in milliseconds."""
    times: dict[str, list[float]] = {letter: [] for letter in entries}
    for turn in range(runs + 1):
        for letter, entry in entries.items():
            used = measure(entry.arguments, entry.folder)
            if turn:  # the first is there to warm up
                times[letter].append(used.cpu_ms)
    return times


def _describe(python: Path, django: Path, options: argparse.Namespace) -> str:
    """Return one line on what was measured."""
    ours = run([python, "-c", VERSIONS, "dbtasks", "invoke", "sqlalchemy", "alembic"]).strip()
    theirs = run([django, "-c", VERSIONS, "django"]).strip()
    kind = "wheel" if options.wheel else "as installed"
    return f"{ours} ({kind}); {theirs}; {options.runs} runs; {os.cpu_count()} CPUs"


def _table(entries: dict[str, Entry], times: dict[str, list[float]]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| | command | CPU ms (min–max) | ratio | target | |", "|---|---|---|---|---|---|"]
    for letter, entry in sorted(entries.items()):
        found = times[letter]
        spread = f"{median(found):.0f} ({min(found):.0f}–{max(found):.0f})"
        cells = [letter, entry.title, spread, *_verdict(entry, times, found)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(
    entry: Entry, times: dict[str, list[float]], found: list[float]
) -> tuple[str, str, str]:
    """Return the ratio to the base, its target, and whether it is met."""
    if entry.base is None:
        return "", "", ""
    ratio = median(mine / base for mine, base in zip(found, times[entry.base], strict=True))
    shown = f"{ratio:.2f} × {entry.base}"
    if entry.target is None:
        return shown, "", ""
    return shown, f"≤ {entry.target}", "met" if ratio <= entry.target else "**falls short**"


if __name__ == "__main__":
    main()
