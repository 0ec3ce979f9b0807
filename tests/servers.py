"""Throw-away servers, from the programs that are installed.

They are PostgreSQL, MariaDB, three nodes of MariaDB in a Galera cluster, and PgBouncer in front of
a PostgreSQL. Each has a keeper: this file run as a program. The keeper makes a folder, starts the
server in it, prints its URL, one a node, and waits for the end of its input. Then it stops the
server and removes the folder. Its input is a pipe from the tests, so it ends however they end,
even by SIGKILL.

By hand: `python tests/servers.py postgresql` (or `mariadb`, `galera`, `pgbouncer`), and Ctrl-D to
stop it. PgBouncer stands in front of the server that TEST_POSTGRESQL_URL names.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes import BEHIND, NOT_YET, PROGRAMS, RECIPES, Recipe, find_binary

DEADLINE = 60.0

ROOM = 4 * 1024**3
"""What all servers of a session take at most, in bytes."""


@dataclass(frozen=True)
class Server:
    """A running server: the administrator's URLs without a database, one a node; how to stop it."""

    urls: Sequence[str]
    stop: Callable[[], None]

    @property
    def url(self) -> str:
        """Return the URL of the first node."""
        return self.urls[0]


def start(kind: str, *, behind: str | None = None, users: Path | None = None) -> Server:
    """Start a server of this kind and wait until it answers.

    `behind` is the server that PgBouncer is for. The server ends with this process; with `users`,
    with the last process that holds a lock on that file. Raises NotInstalledError when one of its
    programs is missing, RuntimeError when it does not start.
    """
    for name in PROGRAMS[kind]:
        find_binary(name)
    # A session of its own: Ctrl-C in the terminal is for the tests alone.
    keeper = subprocess.Popen(
        [sys.executable, __file__, kind, *([str(users)] if users else [])],
        env=os.environ | ({BEHIND: behind} if behind else {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def stop() -> None:
        if not keeper.stdin.closed:
            keeper.communicate()  # closes its input, and waits for it to end

    try:
        urls = keeper.stdout.readline().split()
        if not urls:
            raise RuntimeError(f"{kind} did not start:\n{keeper.communicate()[1]}")
    except BaseException:
        stop()
        raise
    return Server(urls, stop)


@contextmanager
def share(kind: str, folder: Path) -> Iterator[Server]:
    """Use one server together with all processes that name the same folder.

    The first starts it, and waits in the end until the last has done with it. A user is who holds
    a lock on a file: the system takes that from a process that is killed.
    """
    note = folder / f"{kind}.urls"
    with (folder / f"{kind}.users").open("a") as users:
        with (folder / f"{kind}.start").open("a") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is about to end
            if note.exists():
                server = Server(note.read_text(encoding="utf-8").split(), stop=lambda: None)
            else:
                server = start(kind, users=Path(users.name))
                note.write_text(" ".join(server.urls), encoding="utf-8")
        try:
            yield server
        finally:
            users.close()
            server.stop()


def keep(kind: str, users: str | None = None) -> None:
    """Run a server until the end of standard input, or of its users: what the keeper does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with (
        tempfile.TemporaryDirectory(prefix="dbtasks-", dir=_place()) as folder,
        ExitStack() as nodes,
    ):
        recipes = RECIPES[kind]()
        for recipe in recipes:
            nodes.enter_context(_running(recipe, Path(folder)))
        sys.stdout.write(" ".join(recipe.url for recipe in recipes) + "\n")
        sys.stdout.flush()
        if users is None:
            sys.stdin.read()
        else:
            _outlast(Path(users))


def _place() -> str:
    """Return a folder for those of servers, in memory where there is room: it costs less CPU.

    Not pytest's own temporary folder: only its owner may look into that one.
    """
    memory = "/dev/shm"
    if os.path.isdir(memory) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return "/tmp"


def _outlast(users: Path) -> None:
    """Wait until nobody has a lock on the file; who comes now waits for the end of this process."""
    file = os.open(users, os.O_RDONLY)  # never closed
    fcntl.flock(file, fcntl.LOCK_EX)
    users.with_suffix(".urls").unlink(missing_ok=True)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _run_as(user: str, folder: Path) -> dict[str, Any]:
    """Return the arguments that make subprocess run a program in the folder, and never as root."""
    arguments: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL}
    if os.geteuid() == 0:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
        arguments |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return arguments


@contextmanager
def _running(recipe: Recipe, folder: Path) -> Iterator[None]:
    """Run one node while the block runs, and begin when it answers."""
    run_as = _run_as(recipe.user, folder)
    _initialize(recipe, folder, run_as)
    command = list(recipe.command(folder))
    if setpriv := shutil.which("setpriv"):  # Linux: it ends with its keeper, even by SIGKILL
        command[:0] = [setpriv, f"--pdeathsig={recipe.stop_signal.name.removeprefix('SIG')}"]
    with (folder / recipe.log).open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **run_as)
    try:
        _wait_until_ready(recipe, process, folder / recipe.log)
        yield
    finally:
        process.send_signal(recipe.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        process.kill()
        process.wait()


def _initialize(recipe: Recipe, folder: Path, run_as: dict[str, Any]) -> None:
    if recipe.initialize is None:
        return
    made = subprocess.run(
        recipe.initialize(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **run_as,
    )
    if made.returncode:
        raise SystemExit(made.stdout)


def _wait_until_ready(recipe: Recipe, process: subprocess.Popen[bytes], log: Path) -> None:
    """Try until it works."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            recipe.prepare()
            return
        except NOT_YET:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(log.read_text(errors="replace")) from None
            time.sleep(0.02)


if __name__ == "__main__":
    keep(*sys.argv[1:])
