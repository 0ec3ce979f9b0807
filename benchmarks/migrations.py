"""Migrations: a thousand revisions applied to a new SQLite file, and nothing left to apply.

Run by hand: `python benchmarks/migrations.py`, and with `--folder /dev/shm`, where no ratio rests
on a disk. `alembic upgrade head` runs in what `alembic init` makes, and in the project of
`inv migrate` through our env.py, on the same revisions; Django's `migrate` on migrations that make
the same tables, in a project of that one app. All are whole processes with warm bytecode and take
turns in one run; a ratio is the median of the ratios of the turns. The number of tables is checked
after every run.
"""

import argparse
import os
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from children import Usage, copy_project, make_venv, measure, run, script, versions, warm_bytecode

MANY, FEW = 1_000, 5
STOCK, THROUGH_OURS, MEMORY, NOTHING = 0.75, 1.2, 1.2, 0.65
DATABASE = "app.db"
URL = "sqlalchemy.url = "
DJANGO_SETTINGS = f"""
INSTALLED_APPS = ["staff"]
DATABASES["default"]["NAME"] = BASE_DIR / "{DATABASE}"
"""

REVISION = '''"""Create table {number}

Revision ID: {id}
Revises: {before}
Create Date: 2026-01-01 12:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


revision: str = {id!r}
down_revision: Union[str, Sequence[str], None] = {before!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table(
        "staff_table{number}",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("staff_table{number}")
'''

DJANGO_MIGRATION = """from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [{before}]

    operations = [
        migrations.CreateModel(
            name="Table{number}",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("size", models.IntegerField(null=True)),
                ("made_at", models.DateTimeField()),
            ],
        ),
    ]
"""

DJANGO_MODEL = """

class Table{number}(models.Model):
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100)
    size = models.IntegerField(null=True)
    made_at = models.DateTimeField()
"""


MEASURES: Mapping[str, Callable[[Usage], float]] = {
    "time": lambda used: used.seconds,
    "CPU": lambda used: used.cpu_ms,
    "memory": lambda used: used.peak_mb,
}


@dataclass(frozen=True)
class Project:
    """Describe what a command runs in, on how many revisions."""

    title: str
    arguments: tuple[str | Path, ...]
    folder: Path
    revisions: int

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.folder / DATABASE


@dataclass(frozen=True)
class Entry:
    """Describe a command to measure: on a new database, or with nothing left to apply.

    `targets` has, for the letters of others, the most that it may take as a multiple of theirs.
    """

    project: Project
    fresh: bool
    targets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return what stands in the table."""
        what = "" if self.fresh else ", nothing to apply"
        return f"{self.project.title}, {self.project.revisions:,} revisions{what}"


def main() -> None:
    """Make the projects, measure all, and print a table."""
    options = _options()
    with TemporaryDirectory(dir=options.folder) as name:
        django = options.django_python or make_venv(Path(name) / "django", "django")
        entries = _entries(Path(name), options, django)
        used = _measure(entries, options.runs)
        print(_describe(options, django), end="\n\n")
    print(_table(entries, used))


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--revisions", type=int, default=MANY, help=f"revisions ({MANY})")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--only", help="the letters of those to measure")
    parser.add_argument("--folder", type=Path, help="where all is made (the temporary folder)")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="has dbtasks")
    parser.add_argument(
        "--django-python", type=Path, help="a Python that has Django; without it one is made"
    )
    return parser.parse_args()


def _entries(folder: Path, options: argparse.Namespace, django: Path) -> dict[str, Entry]:
    """Make the projects with all applied, and return what is measured by letter."""
    many = _projects(folder / "many", options.python, django, options.revisions)
    few = _projects(folder / "few", options.python, django, FEW)
    full = {"a": {"CPU": STOCK, "memory": MEMORY}, "b": {"CPU": THROUGH_OURS, "memory": MEMORY}}
    found = {
        "a": Entry(many[0], True),
        "b": Entry(many[1], True),
        "c": Entry(many[2], True),
        "d": Entry(many[3], True, {**full, "c": {}}),
        "e": Entry(many[0], False),
        "f": Entry(many[2], False),
        "g": Entry(many[3], False, {"e": {"time": NOTHING}, "f": {}}),
        "h": Entry(few[0], False),
        "i": Entry(few[2], False),
        "j": Entry(few[3], False, {"h": {}, "i": {}}),
    }
    return {letter: found[letter] for letter in options.only or found}


def _projects(folder: Path, python: Path, django: Path, revisions: int) -> tuple[Project, ...]:
    """Make the same project three times, each with its database at the newest revision.

    The last of them is returned for Alembic's command line too.
    """
    alembic = script(python, "alembic"), "upgrade", "head"
    theirs = django, "manage.py", "migrate"
    ours = script(python, "inv"), "migrate"
    made = (
        Project("`alembic upgrade head`", alembic, folder / "alembic", revisions),
        Project("the same through our env.py", alembic, folder / "ours", revisions),
        Project("Django `migrate`", theirs, folder / "django", revisions),
        Project("`inv migrate`", ours, folder / "ours", revisions),
    )
    _make_alembic(made[0])
    _make_django(made[2])
    _make_ours(made[3])
    warm_bytecode(python, made[0].folder, made[3].folder)
    run([django, "-m", "compileall", "-q", made[2].folder])
    for project in made:
        run(project.arguments, project.folder)
    return made


def _make_alembic(project: Project) -> None:
    """Make what `alembic init` makes, with a URL."""
    project.folder.mkdir(parents=True)
    run([project.arguments[0], "init", "migrations"], project.folder)
    ini = project.folder / "alembic.ini"
    before, _, after = ini.read_text().partition(URL)
    ini.write_text(f"{before}{URL}sqlite:///{DATABASE}\n{after.partition(chr(10))[2]}")
    _write_revisions(project)


def _make_ours(project: Project) -> None:
    """Make the reference project, with other revisions."""
    copy_project(project.folder)
    for path in (project.folder / "migrations" / "versions").glob("*.py"):
        path.unlink()
    _write_revisions(project)


def _write_revisions(project: Project) -> None:
    folder = project.folder / "migrations" / "versions"
    for number in range(1, project.revisions + 1):
        before = _name(number - 1) if number > 1 else None
        text = REVISION.format(number=number, id=_name(number), before=before)
        (folder / f"{_name(number)}.py").write_text(text)


def _make_django(project: Project) -> None:
    """Make a project of one app, with its models and migrations."""
    app = project.folder / "staff"
    (app / "migrations").mkdir(parents=True)
    run([project.arguments[0], "-m", "django", "startproject", "company", project.folder])
    with (project.folder / "company" / "settings.py").open("a") as settings:
        settings.write(DJANGO_SETTINGS)
    (project.folder / "company" / "urls.py").write_text("urlpatterns = []\n")
    (app / "__init__.py").touch()
    (app / "migrations" / "__init__.py").touch()
    numbers = range(1, project.revisions + 1)
    models = "".join(DJANGO_MODEL.format(number=number) for number in numbers)
    (app / "models.py").write_text(f"from django.db import models\n{models}")
    for number in numbers:
        before = f'("staff", "{_name(number - 1)}")' if number > 1 else ""
        text = DJANGO_MIGRATION.format(number=number, before=before)
        (app / "migrations" / f"{_name(number)}.py").write_text(text)


def _name(number: int) -> str:
    return f"{number:04}_table{number}"


def _measure(entries: dict[str, Entry], runs: int) -> dict[str, list[Usage]]:
    """Run all in turns, and return what each used."""
    used: dict[str, list[Usage]] = {letter: [] for letter in entries}
    for _ in range(runs):
        for letter, entry in entries.items():
            used[letter].append(_run(entry))
            print(letter, f"{used[letter][-1].seconds:.2f}", end=" ", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return used


def _run(entry: Entry) -> Usage:
    """Run one entry once, and check the tables that it leaves."""
    project = entry.project
    if entry.fresh:
        project.database.unlink()
    used = measure(project.arguments, project.folder)
    number = _count_tables(project.database)
    if number != project.revisions:
        raise SystemExit(f"{entry.title}: made {number} tables")
    return used


def _count_tables(path: Path) -> int:
    count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'staff_table%'"
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(count).fetchone()[0])


def _describe(options: argparse.Namespace, django: Path) -> str:
    """Return one line on what was measured."""
    ours = versions(options.python, "dbtasks", "sqlalchemy", "alembic")
    theirs = versions(django, "django")
    where = f" in {options.folder}" if options.folder else ""
    return f"SQLite{where}; {ours}; {theirs}; {options.runs} runs; {os.cpu_count()} CPUs"


def _table(entries: dict[str, Entry], used: dict[str, list[Usage]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| | what | seconds (min–max) | CPU s | peak MB | ratio (target) | |",
        "|---|---|---|---|---|---|---|",
    ]
    for letter, entry in sorted(entries.items()):
        found = [one.seconds for one in used[letter]]
        spread = f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})"
        cpu = f"{median(one.cpu_ms for one in used[letter]) / 1000:.2f}"
        peak = f"{median(one.peak_mb for one in used[letter]):.0f}"
        cells = [letter, entry.title, spread, cpu, peak, *_verdict(letter, entry, used)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(letter: str, entry: Entry, used: dict[str, list[Usage]]) -> tuple[str, str]:
    """Return the ratios to other entries with their targets, and whether these are met."""
    shown, kept = [], []
    for base, targets in entry.targets.items():
        pairs = list(zip(used[letter], used.get(base, ()), strict=False))
        ratios = []
        for name, of in MEASURES.items() if pairs else ():
            ratio = median(of(mine) / of(other) for mine, other in pairs)
            most = f" (≤ {targets[name]})" if name in targets else ""
            ratios.append(f"{name} {ratio:.2f}{most}")
            kept += [ratio <= targets[name]] if name in targets else []
        shown += [f"{', '.join(ratios)} × {base}"] if pairs else []
    return "; ".join(shown), ("met" if all(kept) else "**falls short**") if kept else ""


if __name__ == "__main__":
    main()
