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
    written = event in ("os.rename", "os.remove") or (
        event == "open" and isinstance(about[2], int) and about[2] & os.O_CREAT
    )
    if written and f"{os.sep}migrations{os.sep}" in str(about[0]) and ".pyc" not in str(about[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if left:
    sys.addaudithook(watch)

'''

SQUASH = ("squashmigrations", "--from", "0008_motto", "--to", "0005_row")


@pytest.fixture
def history(company: Path) -> Path:
    """Return a project with several revisions, whose `inv` can be killed.

    The files do not sort as the history runs.
    """
    after = FIRST
    for revision in ("0008_motto", "0003_code", "0004_floor", "0005_row"):
        column = revision[5:]
        add_revision(
            company,
            revision,
            ADD.format("department", f"{column}_"),
            downgrade=DROP.format("department", f"{column}_"),
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
    points = refused = 0
    for point, root in killed(history, inv_process):
        points = point
        done, found = migrated(inv, root)
        code, by_alembic = plain(root)
        if done.code == 0:
            assert (found, by_alembic) == (whole, whole), (point, done)
            inv(*SQUASH, "--name", "all", cwd=root)
        else:
            assert (done.code, found) == (3, None), (point, done)
            assert (code, by_alembic) == (0, whole) or (code != 0 and by_alembic is None), point
            refused += code != 0
            if again := re.search("finish it: inv (.*)", done.err):
                assert again[1] == " ".join(SQUASH), done
            finished = inv(*SQUASH, "--name", "all", cwd=root)
            assert finished.code == 0, finished
        assert revisions(root) == [f"{FIRST}.py", "0005_row-all.py"], point
        assert migrated(inv, root)[1] == whole
        assert not [*root.glob("migrations/**/.*")]
    assert points > len(SQUASH)
    assert refused > 2


def test_another_command_does_not_finish_it(history: Path, inv: Inv, inv_process: Inv) -> None:
    _, root = next(killed(history, inv_process, 6))
    for command in (
        ("showmigrations",),
        ("makemigrations", "--empty"),
        ("makemigrations", "--rebase", "0008_motto"),
        ("squashmigrations", "--from", "0003_code", "--to", "0005_row"),
    ):
        refused = inv(*command, cwd=root)
        assert refused.code == 3, refused
        assert f"hint: finish it: inv {' '.join(SQUASH)}\n" in refused.err
    path = root / "migrations" / "versions" / "0005_row.py"
    before = path.read_text()
    path.write_text(f"{before}# mine\n")
    refused = inv(*SQUASH, cwd=root)
    assert (refused.code, f"{path} is another than it was then" in refused.err) == (3, True)
    path.write_text(before)
    assert inv(*SQUASH, cwd=root).code == 0


def test_files_that_an_earlier_dbtasks_put_aside(history: Path, inv: Inv) -> None:
    whole = migrated(inv, history)[1]
    versions = history / "migrations" / "versions"
    for path in (versions / "0003_code.py", versions / "0008_motto.py"):
        path.rename(f"{path}.squashed")
    for command in (("showmigrations",), ("makemigrations", "--check"), ("migrate",)):
        refused = inv(*command, cwd=history)
        assert refused.code == 3, refused
        assert ": 0003_code.py.squashed, 0008_motto.py.squashed\n" in refused.err
        assert "hint: rename them back, without .squashed at the end" in refused.err
    for path in versions.glob("*.squashed"):
        path.rename(path.with_suffix(""))
    assert migrated(inv, history)[1] == whole


def test_a_file_that_is_gone(history: Path, inv: Inv) -> None:
    (history / "migrations" / "versions" / "0003_code.py").unlink()
    for command in ("migrate", "showmigrations", "makemigrations"):
        refused = inv(command, cwd=history)
        assert refused.code == 3, refused
        assert "there is no file of 0003_code, which 0004_floor comes after" in refused.err
