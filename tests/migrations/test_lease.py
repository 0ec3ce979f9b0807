"""The lease of migrate: a holder that is gone is waited for, one that wakes up does no more."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from conftest import Result, clean_environment
from dbtasks.engines import backend_for
from races import CHANGES, NOTE, faults, plant
from trees import add_revision

PATIENCE = 60.0

BEAT, LIFE = 3.0, 15.0
"""How often a lease is renewed, and how long it lives without: what the documentation says."""

SLOW = "0002_place"
"""The revision that sleeps, when its process is told to."""

NAP = """import os, pathlib, time
pathlib.Path("napping").touch()
time.sleep(float(os.environ.get("NAP", "0")))
"""


@dataclass(frozen=True)
class Field:
    """A database of several doors: the URLs of two processes, and the one that always answers."""

    holder: str
    other: str
    direct: str
    lease: str


@pytest.fixture(params=["galera", "pgbouncer"])
def field(request: pytest.FixtureRequest) -> Field:
    """Return a fresh database where no lock of a session can be trusted."""
    given = request.getfixturevalue(request.param)
    if request.param == "galera":
        return Field(given[0], given[1], given[1], "dbtasks_lease")
    return Field(given.url, given.url, given.direct, "dbtasks.dbtasks_lease")


@pytest.fixture
def napping(company: Path, field: Field, inv_process: Callable[..., Result]) -> Path:
    """Return a project of five revisions; the first is applied, the next begins with a nap."""
    plant(company)
    write_slow(company, NAP, NOTE.format(SLOW), CHANGES[SLOW])
    done = inv_process("migrate", "--to", "0001_applied", env={"DATABASE_URL": field.other})
    assert done.code == 0, done.err
    return company


def write_slow(root: Path, *parts: str) -> None:
    add_revision(root, SLOW, "\n".join(parts), after="0001_applied")


@contextmanager
def holding(root: Path, url: str, nap: float) -> Iterator["subprocess.Popen[str]"]:
    """Run migrate until it has come to the slow revision, and while the block runs."""
    (root / "napping").unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", "migrate"],
        cwd=root,
        env=clean_environment() | {"DATABASE_URL": url, "NAP": str(nap)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not (root / "napping").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            (root / "napping").unlink()
            yield process
        finally:
            process.kill()
            process.send_signal(signal.SIGCONT)


def ask(field: Field, question: str) -> object:
    engine = create_engine(field.direct, poolclass=NullPool)
    with engine.connect() as connection:
        if make_url(field.direct).get_backend_name() == "mysql":
            connection.execute(text("SET wsrep_sync_wait = 1"))
        return connection.scalar(text(question))


def last_beat(field: Field) -> float:
    """Return when the lease was renewed last, in seconds of the database's clock: also ours."""
    return float(ask(field, f"SELECT beat FROM {field.lease}"))


def take_over(root: Path, field: Field, inv_process: Callable[..., Result]) -> float:
    """Migrate in the place of a holder that is gone, and return when that had the lease.

    Where the holder has left a part of its revision, migrate refuses, and goes on when told to.
    """
    other = {"DATABASE_URL": field.other}
    done = inv_process("migrate", "--wait", "60", env=other, timeout=120)
    refused = time.time()
    if done.code in (3, 6):
        assert SLOW in done.err
        assert "--resume" in done.err
        done = inv_process("migrate", "--resume", env=other, timeout=120)
    assert (done.code, done.err.count("error:")) == (0, 0), done
    return min(refused, (root / "napping").stat().st_mtime)


def test_the_lease_of_a_killed_holder_is_taken_after_it_has_expired(
    napping: Path, field: Field, inv_process: Callable[..., Result]
) -> None:
    """It has made a table, which only PostgreSQL takes back."""
    write_slow(napping, CHANGES[SLOW], NAP, NOTE.format(SLOW))
    with holding(napping, field.holder, nap=60) as holder:
        started = last_beat(field)
        time.sleep(2 * BEAT)
        holder.kill()
        holder.wait()
        beat = last_beat(field)
        assert beat > started
        taken = take_over(napping, field, inv_process)
    assert taken >= beat + LIFE
    assert faults(field.direct) == []


def test_a_holder_that_sleeps_too_long_applies_nothing_more(
    napping: Path, field: Field, inv_process: Callable[..., Result]
) -> None:
    with holding(napping, field.holder, nap=1) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        beat = last_beat(field)
        taken = take_over(napping, field, inv_process)
        assert taken >= beat + LIFE
        assert faults(field.direct) == []
        holder.send_signal(signal.SIGCONT)
        out, err = holder.communicate(timeout=PATIENCE)
    assert (holder.returncode, "Traceback" in err) == (4, False), (out, err)
    assert "0003_street" not in out
    assert faults(field.direct) == []


def test_a_holder_that_is_slow_keeps_its_lease(
    napping: Path, field: Field, inv_process: Callable[..., Result]
) -> None:
    """It is renewed: whoever waits longer than a lease lives does not get it."""
    with holding(napping, field.holder, nap=LIFE + 3) as holder:
        done = inv_process(
            "migrate", "--wait", "60", env={"DATABASE_URL": field.other}, timeout=120
        )
        out, err = holder.communicate(timeout=PATIENCE)
    assert (done.code, holder.returncode) == (0, 0), (done, err)
    assert f"Applying {SLOW} ... OK" in out
    assert "Applying" not in done.out
    assert faults(field.direct) == []


def test_the_connection_of_another_server_is_not_the_holder_s(galera: Sequence[str]) -> None:
    """Each server counts its connections from one, so that two of a cluster meet."""
    backend = backend_for(galera[0], "a test", Path())
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(url)) for url in galera]
        holder = max(connections, key=number_of)
        first = connections.index(holder)
        urls = galera[first], galera[first - 1]
        other = stack.enter_context(connected(urls[1]))
        while number_of(holder) != number_of(other):  # another test may connect meanwhile
            behind = number_of(holder) > number_of(other)
            fresh = stack.enter_context(connected(urls[behind]))
            holder, other = (holder, fresh) if behind else (fresh, other)
        assert not backend.is_busy(other, backend.connection_id(holder))


def connected(url: str) -> Connection:
    return create_engine(url, poolclass=NullPool).connect()


def number_of(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
