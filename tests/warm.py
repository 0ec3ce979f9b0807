"""A Python that is warm: it has started, and `inv` is forked from it.

Most of what a short command costs is the start of Python and the import of the libraries that it
stands on. One server in each of pytest's workers has done both, and has imported nothing of
dbtasks nor of a project. A command is a process of its own still, with its folder, environment,
arguments, standard streams and exit code as `python -m invoke` has them.

Tests of the start itself, of signals and of groups of processes start `sys.executable` instead.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import local

LIBRARIES = (
    *("invoke.main", "alembic.command", "alembic.config", "alembic.autogenerate", "mako.template"),
    *("sqlalchemy.orm", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql"),
    *("sqlalchemy.dialects.mysql", "sqlite3", "psycopg", "pymysql", "dotenv", "rich.table"),
)
"""What a command finds imported, if it imports it."""

AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "PSYCOPG_", "INVOKE_DEBUG")
"""How the variables are named that Python, or one of these, reads once and for all."""

PRELOAD = "LD_PRELOAD"

_here = local()


class Server:
    """A warm Python, as its client sees it. It ends with the process that made it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.settings = settings_of(environment)
        self.connection, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a Python that starts in this environment is as the warm one is."""
        return settings_of(environment) == self.settings

    def run(
        self,
        command: Sequence[str],
        streams: Sequence[int],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float | None = None,
    ) -> int:
        """Run a module with its arguments, input, output and errors; return its exit code.

        It is killed when it takes too long, and when we are interrupted.
        """
        request = {"command": [*map(os.fspath, command)], "cwd": str(cwd), "env": dict(env)}
        told = json.dumps(request).encode()
        socket.send_fds(self.connection, [_number(len(told))], streams)
        self.connection.sendall(told)
        child = _receive(self.connection)
        self.connection.settimeout(timeout)
        try:
            return _receive(self.connection)
        except BaseException as error:
            os.kill(child, signal.SIGKILL)
            self.connection.settimeout(None)
            _receive(self.connection)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired(request["command"], timeout or 0) from None
            raise
        finally:
            self.connection.settimeout(None)

    def stop(self) -> None:
        """End the warm Python, and wait for its end."""
        self.connection.close()
        self.process.wait()


def server(library: str | None = None) -> Server:
    """Return the server of this thread: it takes one command at a time.

    There is another for each library that LD_PRELOAD names.
    """
    servers: dict[str | None, Server] = _here.__dict__.setdefault("servers", {})
    if library not in servers:
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        servers[library] = Server(own | ({PRELOAD: library} if library else {}))
        atexit.register(servers[library].stop)
    return servers[library]


def call(
    command: Sequence[str],
    streams: Sequence[int],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None = None,
) -> int:
    """Run a module with its arguments, input, output and errors; return its exit code."""
    warm = server(env.get(PRELOAD))
    if warm.fits(env):
        return warm.run(command, streams, cwd=cwd, env=env, timeout=timeout)
    to, out, err = streams
    fresh = [sys.executable, "-m", *command]
    return subprocess.call(
        fresh, stdin=to, stdout=out, stderr=err, cwd=cwd, env=env, timeout=timeout
    )


def run(
    *command: str,
    cwd: Path,
    env: Mapping[str, str],
    input: str | None = None,  # noqa: A002 - the word that subprocess has
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a module with its arguments, as `subprocess.run` does with `python -m`."""
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    with ThreadPoolExecutor() as others:
        texts = [others.submit(_read_text, one) for one in (out, err)]
        if input is None:
            typed = os.open(os.devnull, os.O_RDWR)
        else:
            typed, typing = os.pipe()
            others.submit(_type, typing, input)
        streams = (typed, to_out, to_err)
        try:
            code = call(command, streams, cwd=cwd, env=env, timeout=timeout)
        finally:
            for one in streams:
                os.close(one)
    return subprocess.CompletedProcess(command, code, *(one.result() for one in texts))


def serve(connection: socket.socket) -> str:
    """Fork for each request; return in the child, with the module that it is to run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, and for the children
    while True:
        size, streams, _, _ = socket.recv_fds(connection, 4, 3)
        if not size:
            os._exit(0)
        request = json.loads(_read(connection, int.from_bytes(size)))
        child = os.fork()
        if not child:
            connection.close()
            return _become(streams, **request)
        for one in streams:
            os.close(one)
        connection.sendall(_number(child))
        _, status = os.waitpid(child, 0)
        connection.sendall(_number(os.waitstatus_to_exitcode(status)))


def _become(streams: Sequence[int], command: Sequence[str], cwd: str, env: dict[str, str]) -> str:
    """Let this process be as if it had been started for a command, and return its module."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    module, *sys.argv[1:] = command
    sys.path[0] = os.getcwd()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _reopen(number, name)
    return module


def _reopen(number: int, name: str) -> None:
    """Open a standard stream anew: what is told of a terminal, or of none, is settled then.

    It stays the same object, as a library may hold it: the buffer of another would not be flushed.
    """
    stream = getattr(sys, name)
    mode, unbuffered = stream.mode, stream.write_through
    stream.__init__(
        # It stays open until the process ends.
        open(number, f"{mode}b", buffering=0 if unbuffered else -1, closefd=False),  # noqa: SIM115
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=not unbuffered and (name == "stderr" or os.isatty(number)),
        write_through=unbuffered,
    )
    stream.mode = mode


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are read once, at the start of Python or of a library."""
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


def _type(stream: int, text: str) -> None:
    with suppress(BrokenPipeError), open(stream, "w", encoding="utf-8") as file:
        file.write(text)


def _read_text(stream: int) -> str:
    with open(stream, encoding="utf-8") as file:
        return file.read()


def _number(value: int) -> bytes:
    return value.to_bytes(4, signed=True)


def _receive(connection: socket.socket) -> int:
    return int.from_bytes(_read(connection, 4), signed=True)


def _read(connection: socket.socket, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        part = connection.recv(size - len(read))
        if not part:
            raise EOFError("the warm Python has ended")
        read += part
    return bytes(read)


if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()  # else each child looks through it all, and copies it by that
    runpy.run_module(
        serve(socket.socket(fileno=int(sys.argv.pop()))), run_name="__main__", alter_sys=True
    )
