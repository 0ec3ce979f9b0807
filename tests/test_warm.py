"""A command that is forked from a warm Python is as one that has been started for itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import warm
from conftest import ROOT, Result, clean_environment
from terminals import run_on_terminal

PROBE = """
import gc, io, json, locale, os, signal, sys, threading, warnings

def stream(one):
    return [type(one).__name__, one.mode, one.encoding, one.errors, one.line_buffering,
            one.isatty(), one.buffer.fileno(), one is getattr(sys, f"__{one.mark}__")]

for mark in ("stdin", "stdout", "stderr"):
    getattr(sys, mark).mark = mark
facts = {
    "argv": sys.argv,
    "path": sys.path,
    "name": __name__,
    "main": sys.modules["__main__"].__dict__ is globals(),
    "cwd": os.getcwd(),
    "environ": dict(os.environ),
    "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "handlers": [str(signal.getsignal(one)) for one in signal.valid_signals()],
    "files": sorted(os.listdir("/dev/fd"))[:-1],
    "group": [os.getpgid(0), os.getsid(0)],
    "threads": threading.active_count(),
    "locale": locale.setlocale(locale.LC_ALL),
    "collects": gc.isenabled(),
    "ours": [one for one in sys.modules if one.partition(".")[0] in ("dbtasks", "company")],
    "read": sys.stdin.read(),
}
print(json.dumps(facts))
sys.exit(7)
"""

FRESH = {"INVOKE_DEBUG": ""}
"""What makes a command start for itself."""


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the environment of a server of the test's own."""
    environment = clean_environment() | {"PYTHONUNBUFFERED": request.param}
    server = warm.Server(environment)
    monkeypatch.setattr(warm._here, "server", server, raising=False)
    yield environment
    server.stop()


def fresh(*command: str, cwd: Path, env: Any, **options: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
        **options,
    )


@pytest.mark.parametrize("typed", [{"input": "naïve\n" * 20_000}, {"input": ""}, {}])
def test_all_that_it_sees_is_the_same(
    probe: Path, environment: dict[str, str], typed: dict[str, str]
) -> None:
    environment["WORD"] = "ä\udcff"
    command = ("probe", "--one", "two", "")
    forked = warm.run(*command, cwd=probe, env=environment, **typed)
    options = typed or {"stdin": subprocess.DEVNULL}
    started = fresh(*command, cwd=probe, env=environment, **options)
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr) == (7, "")
    assert json.loads(forked.stdout) == json.loads(started.stdout)


def test_on_a_terminal_it_is_on_a_terminal(probe: Path, environment: dict[str, str]) -> None:
    (probe / "tasks.py").write_text("import probe")
    seen = []
    for one in (environment, environment | FRESH):
        code, shown = run_on_terminal(probe, "--list", environment=one, answer="x\n\4")
        assert code == 7, shown
        seen.append(json.loads(shown[shown.index("{") :]))
    assert seen[0]["streams"] == seen[1]["streams"]
    assert {one[-1] for one in seen[0]["streams"]} == {True}


def test_what_python_reads_at_its_start_is_heeded(
    inv_process: Callable[..., Result], company: Path
) -> None:
    (company / "tasks.py").write_text("import sys; print(sys.flags.dev_mode, sys.stdout.encoding)")
    told = {"PYTHONDEVMODE": "1", "PYTHONIOENCODING": "latin-1"}
    assert inv_process("--list", env=told).out.startswith("True iso8859-1")
    assert inv_process("--list").out.startswith("False utf-8")


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        ("raise SystemExit", 0, ""),
        ("raise ValueError('so')", 1, "ValueError: so"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", -2, "KeyboardInterrupt"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
        ("import atexit; atexit.register(print, 'so')", 0, ""),
    ],
)
def test_every_end_is_the_same(probe: Path, ending: str, code: int, words: str) -> None:
    (probe / "ending.py").write_text(ending)
    found = [run("ending", cwd=probe, env=clean_environment()) for run in (warm.run, fresh)]
    assert [(one.returncode, words in one.stderr) for one in found] == 2 * [(code, True)]
    assert found[0].stdout == found[1].stdout


def test_it_is_killed_when_it_takes_too_long(probe: Path) -> None:
    (probe / "slow.py").write_text(
        "import os, time; open('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run("slow", cwd=probe, env=clean_environment(), timeout=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((probe / "pid").read_text()), 0)
    assert warm.run("probe", cwd=probe, env=clean_environment()).returncode == 7


def test_the_server_has_one_thread_and_none_of_ours(probe: Path) -> None:
    """Forking copies no other thread, nor may two processes have one connection."""
    warm.run("probe", cwd=probe, env=clean_environment())
    place = Path("/proc", str(warm.server().process.pid))
    if not place.exists():
        pytest.skip("there is no /proc")
    assert len(list((place / "task").iterdir())) == 1
    assert len(list((place / "fd").iterdir())) == 4  # its streams, and the way to us


USER = """
import sys
from pathlib import Path

import warm

warm.run("timeit", "pass", cwd=Path("."), env={})
print(warm.server().process.pid, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_its_user(tmp_path: Path) -> None:
    environment = clean_environment() | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(
        [sys.executable, "-c", USER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as user:
        pid = int(user.stdout.readline())
        user.kill()
        user.wait()
        for _ in range(600):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("it outlived its user")
