"""Each exit code of docs/errors.md, what provokes it, and what is said of the database then.

`PROVOKED` is the whole list: a code that is documented and not in it fails a test.
"""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from conftest import KINDS, ROOT, Result, clean_environment, fresh_database
from cutting import cutting
from dbtasks import errors
from dbtasks.tasks import edge
from trees import add_revision

Inv = Callable[..., Result]

NOTHING = "state: nothing was changed"


@dataclass
class Scene:
    """The reference project, migrated on SQLite, and `inv` in it."""

    company: Path
    inv: Inv
    request: pytest.FixtureRequest

    @property
    def database(self) -> Path:
        return self.company / "app.db"

    def replace(self, file: str, text: str) -> None:
        (self.company / file).write_text(text, encoding="utf-8")


@pytest.fixture
def scene(company: Path, inv: Inv, inv_process: Inv, request: pytest.FixtureRequest) -> Scene:
    """Return the scene with real processes: their codes are what this is about."""
    assert inv("migrate", "seed").code == 0
    return Scene(company, inv_process, request)


def done(scene: Scene) -> Result:
    return scene.inv("migrate")


def migration_pending(scene: Scene) -> Result:
    add_revision(scene.company, "0002_more", "pass")
    return scene.inv("migrate", "--check")


def no_such_record(scene: Scene) -> Result:
    return scene.inv("get", "--pk", "99")


def bad_value(scene: Scene) -> Result:
    return scene.inv("query", "--where", "id=x")


def code_of_the_project(scene: Scene) -> Result:
    scene.replace("src/company/seeds.py", "def seed(session):\n    1 / 0\n")
    return scene.inv("seed")


def not_confirmed(scene: Scene) -> Result:
    return scene.inv("flush")


def other_count(scene: Scene) -> Result:
    return scene.inv("delete", "--where", "name=Bob", "--expect", "2", "--no-input")


def lock_of_another_run(scene: Scene) -> Result:
    add_revision(scene.company, "0002_more", "pass")
    with sqlite3.connect(scene.database) as other:
        other.execute("BEGIN IMMEDIATE")
        done = scene.inv("migrate", "--wait", "0", "--lock-timeout", "0.1")
    other.close()
    return done


def nobody_answers(scene: Scene) -> Result:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://someone@127.0.0.1:{unused.getsockname()[1]}/shop"
        return scene.inv("query", env={"DATABASE_URL": url})


def stopped_part_way(scene: Scene) -> Result:
    add_revision(
        scene.company,
        "0002_half",
        "with op.get_context().autocommit_block():\n"
        '    op.execute("CREATE TABLE kept (id INTEGER)")\n'
        'op.execute("SELECT nonsense")',
    )
    return scene.inv("migrate")


def reply_to_commit_lost(scene: Scene) -> Result:
    with fresh_database(scene.request, scene.company, "postgresql", KINDS["postgresql"]) as fresh:
        url = make_url(fresh.url)
        with cutting((url.host or "", url.port or 0), when="after", closes=True) as cut:
            through = url.set(host="127.0.0.1", port=cut.port)
            shown = through.render_as_string(hide_password=False)
            return scene.inv("migrate", env={"DATABASE_URL": shown})


def statement_refused(scene: Scene) -> Result:
    return scene.inv("sql", "--statement", "SELECT nonsense")


def unreadable_file(scene: Scene) -> Result:
    return scene.inv("loaddata", "--input", "nowhere.jsonl")


def full_disk(scene: Scene) -> Result:
    with open("/dev/full", "w", encoding="utf-8") as full:
        return start(scene, "query", "--format", "csv", stdout=full)


def bug_of_ours(scene: Scene) -> Result:
    """As if we called something that is not there."""
    tasks = (scene.company / "tasks.py").read_text(encoding="utf-8")
    scene.replace("tasks.py", f"from dbtasks import records\nrecords.query = None\n{tasks}")
    return scene.inv("query")


def interrupted(scene: Scene) -> Result:
    return signalled(scene, signal.SIGINT)


def terminated(scene: Scene) -> Result:
    return signalled(scene, signal.SIGTERM)


def signalled(scene: Scene, number: signal.Signals) -> Result:
    add_revision(
        scene.company, "0002_slow", 'open("started", "w").close()\nimport time; time.sleep(30)'
    )
    process = started(scene, "migrate", stdout=subprocess.DEVNULL)
    while not (scene.company / "started").exists():
        time.sleep(0.05)
    process.send_signal(number)
    return ended(process)


def broken_pipe(scene: Scene) -> Result:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as closed:
        return start(scene, "query", "--format", "csv", stdout=closed)


def started(scene: Scene, *arguments: str, stdout: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=scene.company,
        env=clean_environment(),
        stdout=stdout,  # type: ignore[call-overload]  # what Popen takes
        stderr=subprocess.PIPE,
        text=True,
    )


def start(scene: Scene, *arguments: str, stdout: object) -> Result:
    return ended(started(scene, *arguments, stdout=stdout))


def ended(process: "subprocess.Popen[str]") -> Result:
    _, err = process.communicate(timeout=60)
    return Result(process.returncode, "", err)


PROVOKED: list[tuple[int, Callable[[Scene], Result], str]] = [
    (0, done, ""),
    (1, migration_pending, NOTHING),
    (1, no_such_record, NOTHING),
    (2, bad_value, NOTHING),
    (2, code_of_the_project, "state: rolled back"),
    (3, not_confirmed, NOTHING),
    (3, other_count, "state: rolled back"),
    (4, lock_of_another_run, ""),
    (5, nobody_answers, NOTHING),
    (6, stopped_part_way, "state: 0 of 1 applied, 0002_half stopped part way"),
    (7, reply_to_commit_lost, "state: unknown"),
    (8, statement_refused, NOTHING),
    (9, unreadable_file, NOTHING),
    (9, full_disk, NOTHING),
    (70, bug_of_ours, NOTHING),
    (130, interrupted, "state: rolled back, 0 of 1 applied"),
    (143, terminated, "state: rolled back, 0 of 1 applied"),
    (141, broken_pipe, ""),
]


@pytest.mark.parametrize(
    ("code", "provoke", "state"),
    [pytest.param(*one, id=f"{one[0]} {one[1].__name__}") for one in PROVOKED],
)
def test_exit_code(scene: Scene, code: int, provoke: Callable[[Scene], Result], state: str) -> None:
    done = provoke(scene)
    assert done.code == code, done
    assert "Traceback" not in done.err
    assert state in done.err


def test_all_documented_codes_are_provoked() -> None:
    table = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([\d, ]+) \|", table)
    documented = {int(number) for row in rows for number in row.split(",")}
    assert documented == {code for code, _, _ in PROVOKED}


def test_all_codes_of_the_library_are_documented() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    raised = {one.exit_code for one in classes if issubclass(one, errors.DbtasksError)}
    signals = {edge.INTERRUPTED, edge.TERMINATED, edge.NOBODY_READS}
    assert {0} | raised | signals == {code for code, _, _ in PROVOKED}
