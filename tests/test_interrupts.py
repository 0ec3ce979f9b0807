"""Interrupts and lost connections: the first error wins, and what is said afterwards is true."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

import syscalls
from conftest import KINDS, Database, Result, clean_environment, new_database
from dbtasks.interrupts import ending, held

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
POINTS = {"sqlite": 12, "postgresql": 4, "mariadb": 4}
STOP = "import os, signal\nos.kill(os.getpid(), signal.{})\n"


@pytest.fixture
def compiled() -> Path:
    """Return the library that causes the faults."""
    try:
        return syscalls.library()
    except syscalls.NoCompilerError as error:
        pytest.skip(f"no C compiler: {error}")


def stop(name: str) -> Callable[[], None]:
    def step() -> None:
        signal.raise_signal(getattr(signal, name))

    return step


def fail(error: BaseException) -> Callable[[], None]:
    def step() -> None:
        raise error

    return step


# -- the clean-up ----------------------------------------------------------------------------


@pytest.mark.parametrize("late", [OSError("late"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("first", [ValueError("first"), KeyboardInterrupt()])
def test_first_error_wins(first: BaseException, late: BaseException) -> None:
    done: list[str] = []
    with (
        pytest.raises(type(first)) as raised,
        ending(fail(late), lambda: done.append("all the same")),
    ):
        raise first
    assert raised.value is first
    assert done == ["all the same"]
    assert "while cleaning up" in first.__notes__[-1]


def test_error_of_a_step_is_raised_after_the_other_steps() -> None:
    done: list[str] = []
    with (
        pytest.raises(OSError, match="late"),
        ending(fail(OSError("late")), lambda: done.append("")),
    ):
        pass
    assert done
    with ending(fail(OSError("late")), ignoring=(OSError,)):
        pass


def test_signal_is_held_back_until_the_end() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same, sent on by what started us
        done.append("committed")
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -- every command, at points of its calls ---------------------------------------------------


@pytest.mark.parametrize("name", syscalls.COMMANDS)
def test_interrupted_anywhere_says_what_is_true(
    name: str, company: Path, database: Database, compiled: Path
) -> None:
    with syscalls.stage(company, clean_environment(), database.url, name) as stage:
        points = syscalls.spread(stage.count(signal.SIGINT), POINTS[database.kind])
        faults = [
            fault
            for number, at in enumerate(points)
            for fault in stage.faults_at(SIGNALS[number % 2], at)
        ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", syscalls.COMMANDS)
def test_second_interrupt_changes_nothing(name: str, company: Path, compiled: Path) -> None:
    url = f"sqlite:///{company / 'rows.db'}"
    with syscalls.stage(company, clean_environment(), url, name) as stage:
        points = syscalls.spread(stage.count(signal.SIGINT), 4)
        faults = [
            fault for at in points for fault in stage.faults_at(signal.SIGINT, at, 1 + at % 9)
        ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize("name", ["migrate", "rollback", "sql", "seed", "update"])
def test_lost_anywhere_says_what_is_true(
    kind: str, name: str, company: Path, compiled: Path, request: pytest.FixtureRequest
) -> None:
    server = make_url(request.getfixturevalue(f"{kind}_server"))
    with (
        new_database(kind, server, KINDS[kind]) as url,
        syscalls.stage(company, clean_environment(), url, name) as stage,
    ):
        points = syscalls.spread(stage.count(syscalls.CUT), 3)
        faults = [fault for at in points for fault in stage.faults_at(syscalls.CUT, at)]
    assert not faults, "\n".join(faults)


# -- around the commands ---------------------------------------------------------------------


@pytest.fixture
def run(company: Path) -> Callable[..., Result]:
    """Return a function that runs `inv` in a process that has started for itself."""

    def inv(*arguments: str) -> Result:
        command = [sys.executable, "-m", "invoke", *arguments]
        environment = clean_environment() | {"DATABASE_URL": f"sqlite:///{company / 'a.db'}"}
        done = subprocess.run(
            command, cwd=company, env=environment, capture_output=True, text=True, timeout=60
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return inv


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("file", "before"),
    [
        ("tasks.py", "ns = "),
        ("src/company/models.py", "class Base"),
        ("src/company/seeds.py", "def"),
    ],
)
def test_interrupted_while_modules_are_imported(
    number: signal.Signals,
    file: str,
    before: str,
    company: Path,
    run: Callable[..., Result],
) -> None:
    assert run("migrate").code == 0
    path = company / file
    own = path.read_text(encoding="utf-8")
    path.write_text(own.replace(before, STOP.format(number.name) + before, 1), encoding="utf-8")
    done = run("seed")
    assert done.code == CODES[number], done.err
    assert done.err.endswith("error: interrupted\nstate: nothing was changed\n")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted_between_two_commands(
    number: signal.Signals, company: Path, run: Callable[..., Result]
) -> None:
    tasks = company / "tasks.py"
    own = tasks.read_text(encoding="utf-8")
    tasks.write_text(
        f"from invoke import task\n{own}\n\n@task\ndef stop(c):\n    import os, signal\n"
        f"    os.kill(os.getpid(), signal.{number.name})\n\n\nns.add_task(stop)\n",
        encoding="utf-8",
    )
    done = run("migrate", "stop", "seed")
    assert done.code == CODES[number], done.err
    assert done.err.endswith("state: nothing was changed; done before: migrate\n")
    assert "Traceback" not in done.err


SEEDS = {
    "a function that SQLite calls": """
    raw = session.connection().connection.driver_connection
    raw.create_function("stop", 0, lambda: os.kill(os.getpid(), signal.SIGINT) or 1)
    session.execute(text("SELECT stop()"))
    """,
    "a finalizer": """
    class Gone:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            len("")
    Gone()
    time.sleep(30)
    """,
    "an error in the way out": """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    finally:
        session.connection().connection.driver_connection.close()
    """,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_interrupt_is_not_lost(seed: str, company: Path, run: Callable[..., Result]) -> None:
    assert run("migrate").code == 0
    imports = "import os, signal, time\nfrom sqlalchemy import text\n"
    (company / "src" / "company" / "seeds.py").write_text(
        f"{imports}\n\ndef seed(session):{SEEDS[seed]}", encoding="utf-8"
    )
    done = run("seed")
    assert done.code == 130, done.err
    assert done.err.endswith("error: interrupted\nstate: rolled back\n")
    assert "Traceback" not in done.err


def test_later_signal_ends_what_hangs(company: Path, run: Callable[..., Any]) -> None:
    assert run("migrate").code == 0
    (company / "src" / "company" / "seeds.py").write_text(
        "import time\n\n\ndef seed(session):\n    session.connection()\n    try:\n"
        "        print('begun', flush=True)\n        time.sleep(60)\n    finally:\n"
        "        time.sleep(60)\n",
        encoding="utf-8",
    )
    environment = clean_environment() | {"DATABASE_URL": f"sqlite:///{company / 'a.db'}"}
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", "seed"],
        cwd=company,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        time.sleep(1.2)  # what comes sooner counts as the same
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.endswith("error: interrupted\nstate: rolled back\n")


def test_no_traceback_while_an_error_is_reported(company: Path, compiled: Path) -> None:
    """Interrupt each of the last calls of a command that fails."""
    url = f"sqlite:///{company / 'rows.db'}"
    with syscalls.stage(company, clean_environment(), url, "seed"):
        environment = clean_environment() | {"DATABASE_URL": url, "DBTASKS_DATABASE": "default"}
        failing = ("get", "--pk", "999")
        done, calls = syscalls.run(company, environment, *failing, kind=signal.SIGINT)
        assert done.returncode == 1
        for at in range(len(calls) - 7, len(calls) + 1):
            done, _ = syscalls.run(company, environment, *failing, kind=signal.SIGINT, at=at)
            assert done.returncode in (1, 130), (at, done.stderr)
            assert "\nstate: nothing was changed" in done.stderr
            assert not syscalls.NOISE.search(done.stderr)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_statement_of_sqlite_is_cancelled(number: signal.Signals, company: Path) -> None:
    """SQLite computes without coming back to Python, which alone handles signals."""
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", "sql", "--statement", ENDLESS],
        cwd=company,
        env=clean_environment() | {"DATABASE_URL": "sqlite://"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(3)  # it is in the statement
        process.send_signal(number)
        try:
            err = process.communicate(timeout=20)[1]
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert err.endswith("error: interrupted\nstate: nothing was changed\n"), err
    assert "Traceback" not in err
