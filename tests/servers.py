"""Throw-away PostgreSQL and MariaDB servers, from the binaries that are installed.

Each server has a keeper: this file run as a program. The keeper makes a folder, starts the server
in it, prints its URL, and waits for the end of its input. Then it stops the server and removes the
folder. Its input is a pipe from the tests, so it ends however they end, even by SIGKILL.

By hand: `python tests/servers.py postgresql` (or `mariadb`), and Ctrl-D to stop it.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql

APP = "app"
APP_PASSWORD = "app-secret"
"""A login that needs its password; the administrator's (`postgres`, `root`) needs none."""

HOST = "127.0.0.1"
DEADLINE = 60.0


class NotInstalledError(LookupError):
    """A server's binary is not on this machine."""


@dataclass(frozen=True)
class Server:
    """A running server: the administrator's URL, without a database, and how to stop it."""

    url: str
    stop: Callable[[], None]


@dataclass(frozen=True)
class Recipe:
    """How one kind of server is made in a folder, run in the foreground, and talked to."""

    user: str  # whom root runs it as: both servers refuse root
    url: str
    binaries: Sequence[str]
    initialize: Callable[[Path], Sequence[str]]
    command: Callable[[Path, int], Sequence[str]]
    stop_signal: signal.Signals
    connect: Callable[[int], Any]
    statement: str  # makes the login APP


def start(kind: str) -> Server:
    """Start a server of this kind and wait until it answers.

    Raises NotInstalledError when its binaries are missing, RuntimeError when it does not start.
    """
    for name in RECIPES[kind].binaries:
        find_binary(name)
    # A session of its own: Ctrl-C in the terminal is for the tests alone.
    keeper = subprocess.Popen(
        [sys.executable, __file__, kind],
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
        url = keeper.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"{kind} did not start:\n{keeper.communicate()[1]}")
    except BaseException:
        stop()
        raise
    return Server(url, stop)


def find_binary(name: str) -> str:
    """Return the path of a server's program, or raise NotInstalledError."""
    debian = glob.glob("/usr/lib/postgresql/*/bin")
    debian.sort(key=lambda folder: float(Path(folder).parent.name), reverse=True)
    folders = [os.environ.get("PATH", os.defpath), *debian, "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise NotInstalledError(name)
    return found


def keep(kind: str) -> None:
    """Run a server until the end of standard input: what the keeper does."""
    recipe = RECIPES[kind]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    # Not pytest's own temporary folder: only its owner may look into that one.
    with tempfile.TemporaryDirectory(prefix="dbtasks-", dir="/tmp") as name:
        folder = Path(name)
        run_as = _run_as(recipe.user, folder)
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
        port = _free_port()
        with _running(recipe, folder, port, run_as) as process:
            _wait_until_ready(recipe, port, process, folder / "log")
            sys.stdout.write(recipe.url.format(port=port) + "\n")
            sys.stdout.flush()
            sys.stdin.read()


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


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as one:
        return one.getsockname()[1]


@contextmanager
def _running(
    recipe: Recipe, folder: Path, port: int, run_as: dict[str, Any]
) -> Iterator[subprocess.Popen[bytes]]:
    command = list(recipe.command(folder, port))
    if setpriv := shutil.which("setpriv"):  # Linux: it ends with its keeper, even by SIGKILL
        command[:0] = [setpriv, f"--pdeathsig={recipe.stop_signal.name.removeprefix('SIG')}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **run_as)
    try:
        yield process
    finally:
        process.send_signal(recipe.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        process.kill()
        process.wait()


def _wait_until_ready(
    recipe: Recipe, port: int, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Connect until it works, then make the login APP."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            connection = recipe.connect(port)
            break
        except (psycopg.OperationalError, pymysql.OperationalError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(log.read_text(errors="replace")) from None
            time.sleep(0.02)
    try:
        connection.cursor().execute(recipe.statement)
    finally:
        connection.close()


def _initialize_postgresql(folder: Path) -> Sequence[str]:
    return [
        *(find_binary("initdb"), "-D", str(folder / "data"), "-U", "postgres", "--no-sync"),
        *("-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"),
    ]


def _postgresql(folder: Path, port: int) -> Sequence[str]:
    rules = folder / "pg_hba.conf"
    rules.write_text(
        f"host all postgres {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n",
        encoding="utf-8",
    )
    rules.chmod(0o644)
    options = {
        "listen_addresses": HOST,
        "port": port,
        "unix_socket_directories": folder,
        "hba_file": rules,
        "password_encryption": "scram-sha-256",
        "fsync": "off",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [find_binary("postgres"), "-D", str(folder / "data"), *settings]


def _initialize_mariadb(folder: Path) -> Sequence[str]:
    return [
        *(find_binary("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db"),
    ]


def _mariadb(folder: Path, port: int) -> Sequence[str]:
    return [
        *(find_binary("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}"),
        *(f"--port={port}", f"--bind-address={HOST}", "--skip-name-resolve"),
        *(f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}"),
        *("--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0"),
    ]


RECIPES = {
    "postgresql": Recipe(
        user="postgres",
        url=f"postgresql+psycopg://postgres@{HOST}:{{port}}",
        binaries=("initdb", "postgres"),
        initialize=_initialize_postgresql,
        command=_postgresql,
        stop_signal=signal.SIGQUIT,  # at once, and its shared memory is released
        connect=lambda port: psycopg.connect(
            host=HOST, port=port, user="postgres", dbname="postgres", autocommit=True
        ),
        statement=f"CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}'",
    ),
    "mariadb": Recipe(
        user="mysql",
        url=f"mysql+pymysql://root@{HOST}:{{port}}",
        binaries=("mariadb-install-db", "mariadbd"),
        initialize=_initialize_mariadb,
        command=_mariadb,
        stop_signal=signal.SIGKILL,  # its data goes the same way
        connect=lambda port: pymysql.connect(host=HOST, port=port, user="root"),
        statement=f"CREATE USER {APP}@'%' IDENTIFIED BY '{APP_PASSWORD}'",
    ),
}


if __name__ == "__main__":
    keep(sys.argv[1])
