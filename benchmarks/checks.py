"""makemigrations --check beside `alembic check`: 200 tables, made by one revision and by 250.

Run by hand: `python benchmarks/checks.py sqlite postgresql mariadb`. Servers are started for it.
Alembic runs in what `alembic init` makes, on the same revisions and models: `upgrade head` on an
empty database, and `check` on what that has made. Nothing is missing anywhere. All are whole
processes with warm bytecode and take turns in one run; a ratio is the median of those of the turns.
Cold is without anything in the cache. After a change of the models the replayed history is kept
there, which only SQLite has; warm is with the verdict that there are no changes, too. The
statements are counted in a process of their own.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from children import CHECKOUT, Usage, copy_project, measure, run, script, versions, warm_bytecode
from sqlalchemy import make_url

sys.path.append(str(CHECKOUT / "tests"))

import conftest  # type: ignore[import-not-found]  # the tests are not type-checked
import servers  # type: ignore[import-not-found]  # the same

TABLES, MANY = 200, 250
ENTRIES = (
    *("alembic upgrade head", "alembic check"),
    *("--check, cold", "--check, models changed", "--check, warm"),
)

HEAD = """
from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Integer, Numeric, String
from sqlalchemy import Table
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


"""
MODEL = """Table(
    "table{n}", Base.metadata, Column("id", Integer, primary_key=True),
    Column("name", String(50), nullable=False, unique=True),
    Column("size", Numeric(10, 2), server_default="0"), Column("at", DateTime),
    Column("kind", String(10), index=True), Column("up", ForeignKey("table{up}.id")),
    CheckConstraint("size >= 0", name="ck{n}"), {more}
)
"""
CREATE = """    op.create_table(
        "table{n}", sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("size", sa.Numeric(10, 2), server_default="0"), sa.Column("at", sa.DateTime()),
        sa.Column("kind", sa.String(10)), sa.Column("up", sa.Integer()),
        sa.CheckConstraint("size >= 0", name="ck{n}"),
        sa.ForeignKeyConstraint(["up"], ["table{up}.id"]),
        sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("name"),
    )
    op.create_index("ix_table{n}_kind", "table{n}", ["kind"])
"""
REVISION = """import sqlalchemy as sa
from alembic import op

revision = {id!r}
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
{body}

def downgrade() -> None:
    pass
"""
TASKS = """from dbtasks import collection

ns = collection(metadata="company.models:Base")
"""
STOCK = """import os
import sys

sys.path.insert(0, "src")
from company.models import Base

config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"])
target_metadata = Base.metadata"""

COUNT = """
from sqlalchemy import Engine, event
from dbtasks import Project
from dbtasks.migrations.autogenerate import makemigrations
from dbtasks.migrations.autogenerate import trial
from dbtasks.schema import models

sent, taken, take = [], [], trial.take

def counted(*arguments, **keywords):
    before = len(sent)
    snapshot = take(*arguments, **keywords)
    taken.append(len(sent) - before)
    return snapshot

trial.take = models.take = counted
event.listen(Engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
def check():
    project = Project.configure(".", metadata="company.models:Base")
    assert not makemigrations.find_missing(project, from_database=False, on_note=print).changes

check()
sent.clear()
taken.clear()
check()
print(f"{max(taken)} statements for a snapshot, {len(sent)} in all")
"""


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a URL, and what empties its database."""
    if kind == "sqlite":
        file = folder / "app.db"
        yield f"sqlite:///{file}", lambda: file.unlink(missing_ok=True)
        return
    with ExitStack() as stack:
        server = servers.start(kind)
        stack.callback(server.stop)
        made = conftest.new_database(kind, make_url(server.url), conftest.KINDS[kind])
        url = stack.enter_context(made)
        yield url, lambda: conftest.clear(kind, url)


def make_projects(folder: Path, revisions: int) -> tuple[Path, Path]:
    """Make the same project for dbtasks and for Alembic alone."""
    ours, stock = copy_project(folder / "ours"), folder / "stock"
    stock.mkdir()
    (ours / "tasks.py").write_text(TASKS)
    (ours / "src" / "company" / "seeds.py").unlink()
    run([script(Path(sys.executable), "alembic"), "init", "migrations"], stock)
    environment = stock / "migrations" / "env.py"
    environment.write_text(environment.read_text().replace("target_metadata = None", STOCK))
    for project in (ours, stock):
        _write(project, revisions)
    warm_bytecode(Path(sys.executable), ours, stock)
    return ours, stock


def _write(project: Path, revisions: int) -> None:
    """Write models, and the revisions that make their tables, and then columns one by one."""
    bodies = [CREATE.format(n=n, up=max(n - 1, 0)) for n in range(TABLES)]
    if revisions == 1:
        bodies = ["".join(bodies)]
    else:
        step = TABLES * 2 // revisions + 1
        bodies = ["".join(bodies[start : start + step]) for start in range(0, TABLES, step)]
    added = [f"more{n}" for n in range(revisions - len(bodies))]
    bodies += [
        f'    op.add_column("table{n % TABLES}", sa.Column("{name}", sa.Integer()))\n'
        for n, name in enumerate(added)
    ]
    folder = project / "migrations" / "versions"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.py"):
        path.unlink()
    for n, body in enumerate(bodies):
        text = REVISION.format(id=f"{n:04}", before=f"{n - 1:04}" if n else None, body=body)
        (folder / f"{n:04}_step.py").write_text(text)
    models = project / "src" / "company"
    models.mkdir(parents=True, exist_ok=True)
    (models / "__init__.py").write_text("")
    tables = (
        MODEL.format(
            n=n,
            up=max(n - 1, 0),
            more=", ".join(f'Column("{name}", Integer)' for name in added[n::TABLES]),
        )
        for n in range(TABLES)
    )
    (models / "models.py").write_text(HEAD + "".join(tables))


def survey(kind: str, revisions: int, turns: int) -> None:
    """Measure one engine and number of revisions, and print a line for each command."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        url, empty = stack.enter_context(databases(kind, folder))
        ours, stock = make_projects(folder, revisions)
        python, cache = Path(sys.executable), folder / "cache"
        extra = {"DATABASE_URL": url, "XDG_CACHE_HOME": str(cache)}
        alembic, inv = script(python, "alembic"), script(python, "inv")
        check = (inv, "makemigrations", "--check")
        used: list[list[Usage]] = [[] for _ in ENTRIES]
        for _ in range(turns):
            empty()
            used[0].append(measure((alembic, "upgrade", "head"), stock, extra))
            used[1].append(measure((alembic, "check"), stock, extra))
            for number, forgotten in ((2, "*.*"), (3, "*.equal"), (4, "")):
                for kept in cache.rglob(forgotten) if forgotten else ():
                    kept.unlink()
                used[number].append(measure(check, ours, extra))
        told = measure((python, "-c", COUNT), ours, {**extra, "PYTHONPATH": "src"})
        print(f"\n{kind}, {TABLES} tables, {revisions} revisions: {told.end.strip()}")
        print(_table(used), flush=True)


def _table(used: Sequence[Sequence[Usage]]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| | seconds | CPU s | peak MB | of both of Alembic's | CPU of its check |"]
    lines.append("|---|---|---|---|---|---|")
    both = [first.seconds + second.seconds for first, second in zip(*used[:2], strict=True)]
    for title, own in zip(ENTRIES, used, strict=True):
        wall = median(one.seconds / base for one, base in zip(own, both, strict=True))
        cpu = median(one.cpu_ms / base.cpu_ms for one, base in zip(own, used[1], strict=True))
        numbers = (
            f"{median(one.seconds for one in own):.2f}",
            f"{median(one.cpu_ms for one in own) / 1000:.2f}",
            f"{max(one.peak_mb for one in own):.0f}",
            f"{wall:.2f} ×",
            f"{cpu:.2f} ×",
        )
        lines.append(f"| {' | '.join((title, *numbers))} |")
    return "\n".join(lines)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="sqlite, postgresql, mariadb")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    print(versions(Path(sys.executable), "dbtasks", "sqlalchemy", "alembic"))
    for kind in options.kinds or conftest.KINDS:
        for revisions in (1, MANY):
            survey(kind, revisions, options.turns)


if __name__ == "__main__":
    main()
