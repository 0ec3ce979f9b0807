"""squashmigrations, killed between any two of its files: no history runs that has a gap."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

import warm
from conftest import Result, clean_environment
from kills import KILLED
from trees import ADD, DROP, FIRST, add_revision, revisions

Inv = Callable[..., Result]

KILLER = '''"""Kill this process before it changes a file of the revisions once more than told."""

import os
import signal
import sys

left = int(os.environ.get("KILL_AT", 0))


def watch(event, about):
    global left
    written = event in ("os.rename", "os.remove") or (event == "open" and "w" in (about[1] or ""))
    if written and f"{os.sep}versions{os.sep}" in str(about[0]) and str(about[0])[-4:] != ".pyc":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if left:
    sys.addaudithook(watch)

'''

SQUASH = ("squashmigrations", "--from", "0008_motto", "--to", "0005_row")
ROW = "op.execute(\"INSERT INTO department (name) VALUES ('{}')\")"


@pytest.fixture
def history(company: Path) -> Path:
    """Return a project whose revisions bring rows, and whose `inv` can be killed.

    The files do not sort as the history runs.
    """
    after = FIRST
    for revision in ("0008_motto", "0003_code", "0004_floor", "0005_row"):
        column = revision[5:]
        add_revision(
            company,
            revision,
            ADD.format("department", f"{column}_") + "\n" + ROW.format(column),
            downgrade=f"op.execute(\"DELETE FROM department WHERE name = '{column}'\")\n"
            + DROP.format("department", f"{column}_"),
            after=after,
        )
        after = revision
    ini = company / "alembic.ini"
    ini.write_text(ini.read_text().replace("%%(rev)s", "%%(rev)s-%%(slug)s"))
    tasks = company / "tasks.py"
    tasks.write_text(KILLER + tasks.read_text())
    return company


def killed(history: Path, inv_process: Inv, *points: int) -> Iterator[tuple[int, Path]]:
    """Yield a copy of the project for each point at which its squash was killed."""
    for point in points or range(1, 99):
        root = history.with_name(f"killed {point}")
        shutil.copytree(history, root)
        done = inv_process(*SQUASH, "--name", "all", cwd=root, env={"KILL_AT": str(point)})
        if done.code == 0:
            return
        assert done.code == KILLED, done
        yield point, root


def content(database: Path) -> object:
    """Return the columns and rows that a migrate has brought, or None."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        if not inspect(connection).has_table("department"):
            return None
        columns = [one["name"] for one in inspect(connection).get_columns("department")]
        rows = connection.scalars(text("SELECT name FROM department ORDER BY id")).all()
    engine.dispose()
    return columns, rows


def migrated(inv: Inv, root: Path) -> tuple[Result, object]:
    """Migrate a database that is new, and return what it has then."""
    database = root / "new.db"
    database.unlink(missing_ok=True)
    done = inv("migrate", cwd=root, env={"DATABASE_URL": f"sqlite:///{database}"})
    return done, content(database)


def plain(root: Path) -> tuple[int, object]:
    """Do the same with Alembic alone."""
    database = root / "plain.db"
    env = clean_environment() | {"DATABASE_URL": f"sqlite:///{database}"}
    done = warm.run("alembic", "upgrade", "heads", cwd=root, env=env, timeout=60)
    return done.returncode, content(database)


def test_killed_at_every_file(history: Path, inv: Inv, inv_process: Inv) -> None:
    whole = migrated(inv, history)[1]
    points = 0
    for point, root in killed(history, inv_process):
        points = point
        done, found = migrated(inv, root)
        code, by_alembic = plain(root)
        if done.code == 0:
            assert (found, by_alembic) == (whole, whole), (point, done)
            inv(*SQUASH, cwd=root)  # where it is done, there is nothing to squash
        else:
            assert (done.code, found) == (3, None), (point, done)
            assert (code != 0, by_alembic) == (True, None)
            again = re.search("begin again: inv (.*)", done.err)
            assert again, done
            assert inv(*again[1].split(), cwd=root).code == 0
        assert [one[:5] for one in revisions(root)] == [FIRST[:5], "0005_"]
        assert migrated(inv, root)[1] == whole
    assert points > len(SQUASH)


def test_files_that_are_put_back_by_hand(history: Path, inv: Inv, inv_process: Inv) -> None:
    whole, before = migrated(inv, history)[1], revisions(history)
    shown = ((root, inv("showmigrations", cwd=root)) for _, root in killed(history, inv_process))
    root = next(root for root, done in shown if "come to its end: 0003_code.py" in done.err)
    for command in (("showmigrations",), ("makemigrations", "--check"), ("migrate",)):
        refused = inv(*command, cwd=root)
        assert refused.code == 3, refused
        assert "come to its end: 0003_code.py.squashed, " in refused.err
    assert "if none runs any more: rename them back, without .squashed at the end" in refused.err
    for path in (root / "migrations" / "versions").glob("*.squashed"):
        path.rename(path.with_suffix(""))
    assert migrated(inv, root)[1] == whole
    add_revision(root, "0006_last", after="0005_row")
    assert inv("makemigrations", "--empty", "--name", "more", cwd=root).code == 0
    assert len(revisions(root)) == len(before) + 2


def test_a_file_that_is_gone(history: Path, inv: Inv) -> None:
    (history / "migrations" / "versions" / "0003_code.py").unlink()
    for command in ("migrate", "showmigrations", "makemigrations"):
        refused = inv(command, cwd=history)
        assert refused.code == 3, refused
        assert "there is no file of 0003_code, which 0004_floor comes after" in refused.err
