"""`inv` or `dbtasks` within this process: a fifth of the CPU time of a process of its own.

A command starts as it does in a new process: without the modules of a project, mapped classes,
listeners, settings, connections and streams of the one before. What it left is taken away when it
ends. dbtasks itself and the installed libraries stay imported.

Tests of start-up, signals, terminals, closed streams and servers that do not answer use a process:
`inv_process`, or `warm.run`.
"""

import contextvars
import gc
import linecache
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from invoke import Program
from invoke import __version__ as version
from sqlalchemy import event
from sqlalchemy.event.registry import _EventKey
from sqlalchemy.orm.mapper import _all_registries
from sqlalchemy.pool import Pool

import dbtasks
import surroundings
import warm
from dbtasks import settings
from dbtasks.__main__ import main
from dbtasks.tasks.signals import Signals, signals

FOLDERS = {*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))}
STAYS = tuple(f"{Path(one).resolve()}{os.sep}" for one in (*FOLDERS, Path(dbtasks.__file__).parent))
"""The folders of code that no command changes; the rest is a project's."""

KEEPS = {"sqlmodel"}
"""Installed packages that keep the tables and classes of a project, and go with its modules."""

COLLECTED_EVERY = 200
"""Commands after which the garbage of all of them is collected: dbtasks freezes what it finds."""

STARTED = warm.settings_of(surroundings.standard(os.environ))
"""What this process was started with, and no command can change."""

LoggerState = tuple[int, bool, bool, list[logging.Handler], list[Any]]
NEW_LOGGER: LoggerState = (logging.NOTSET, False, True, [], [])

_runs = 0
_stay: dict[str, ModuleType] = {}


def run(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    input: str | None = None,  # noqa: A002 - the word that subprocess has
    program: str = "inv",
) -> "subprocess.CompletedProcess[str]":
    """Run `inv`, or `dbtasks`, with these arguments; return its exit code, output and errors."""
    _check_possible(env)
    with ExitStack() as stack:
        streams = stack.enter_context(_redirected(input or ""))
        for prepared in (_collected(), _process(cwd, env), _modules(cwd), _libraries()):
            stack.enter_context(prepared)
        sys.argv[:] = [program, *arguments]
        code = contextvars.copy_context().run(_exit_code, PROGRAMS[program])
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    out, err = (stream.decode(errors="backslashreplace") for stream in streams)
    return subprocess.CompletedProcess([program, *arguments], code, out, err)


def _check_possible(env: Mapping[str, str]) -> None:
    """Refuse what only a process of its own can do."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a command beside others is a process: use inv_process")
    if warm.settings_of(env) != STARTED:
        raise RuntimeError("variables that Python reads at its start need inv_process")
    if any(name.startswith("KILL_") for name in env):
        raise RuntimeError("what is to be killed is a process: use inv_process")


def _invoke() -> None:
    Program(version, name="Invoke", binary="inv[oke]", binary_names=["invoke", "inv"]).run()


PROGRAMS: Mapping[str, Callable[[], None]] = {"inv": _invoke, "dbtasks": main}


def _exit_code(call: Callable[[], None]) -> int:
    """Return what the process would exit with, having written what Python would write."""
    try:
        call()
    except SystemExit as done:
        if isinstance(done.code, str):
            sys.stderr.write(f"{done.code}\n")
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException as error:
        traceback.print_exception(error)
        return 1
    return 0


@contextmanager
def _redirected(text: str) -> Iterator[list[bytes]]:
    """Let the standard streams be files; fill the list with what was written."""
    written: list[bytes] = []
    names = ("stdin", "stdout", "stderr")
    files = [tempfile.TemporaryFile() for _ in names]  # noqa: SIM115 - closed below
    files[0].write(text.encode())
    files[0].seek(0)
    before = [getattr(sys, name) for name in names]
    kept = [os.dup(number) for number in range(3)]
    for number, (name, file) in enumerate(zip(names, files, strict=True)):
        os.dup2(file.fileno(), number)
        # The command may close them, and leave them closed.
        stream = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115
        errors = "backslashreplace" if name == "stderr" else "strict"
        setattr(sys, name, TextIOWrapper(stream, "utf-8", errors, line_buffering=number == 2))
    try:
        yield written
    finally:
        for number, (name, stream) in enumerate(zip(names, before, strict=True)):
            os.dup2(kept[number], number)
            os.close(kept[number])
            setattr(sys, name, stream)
        for file in files:
            file.seek(0)
            written.append(file.read())
            file.close()
        del written[0]


@contextmanager
def _collected() -> Iterator[None]:
    """Leave the garbage collector as it was, and collect what dbtasks has frozen."""
    global _runs
    enabled = gc.isenabled()
    try:
        yield
    finally:
        _runs += 1
        if _runs % COLLECTED_EVERY == 0:
            # `Mapped[Department]` is remembered, and with it the class, its MetaData and mappers.
            # There is no public way to forget it; the tests of Python itself do this.
            for clear in typing._cleanups:
                clear()
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        (gc.enable if enabled else gc.disable)()


@contextmanager
def _process(cwd: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Let the process be as new, in a folder and an environment, but for what is imported."""
    before = (os.getcwd(), dict(os.environ), sys.argv[:], sys.dont_write_bytecode)
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    hooks = sys.unraisablehook, sys.excepthook, threading.excepthook
    state = random.getstate()
    known = vars(signals).copy()
    vars(signals).update(vars(Signals()))
    try:
        os.chdir(cwd)
        _set_environment(env)
        with warnings.catch_warnings(), _logging():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
            warnings.simplefilter("default", UserWarning, append=True)
            yield
    finally:
        os.chdir(before[0])
        _set_environment(before[1])
        sys.argv[:] = before[2]
        sys.dont_write_bytecode = before[3]
        sys.unraisablehook, sys.excepthook, threading.excepthook = hooks
        random.setstate(state)
        vars(signals).update(known)
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _set_environment(env: Mapping[str, str]) -> None:
    zone = os.environ.get("TZ")
    os.environ.clear()
    os.environ.update(env)
    if os.environ.get("TZ") != zone:
        time.tzset()


@contextmanager
def _logging() -> Iterator[None]:
    """Hide pytest's handlers, with which no other is set up, and take back what a command does."""
    before = {one: _state(one) for one in _loggers()}
    logging.root.handlers[:] = []
    _set_level(logging.root, logging.WARNING)
    disabled = logging.root.manager.disable
    try:
        yield
    finally:
        if logging.root.manager.disable != disabled:
            logging.disable(disabled)
        for one in _loggers():
            level, one.disabled, one.propagate, handlers, filters = before.get(one, NEW_LOGGER)
            _set_level(one, level)
            one.handlers[:], one.filters[:] = handlers, filters


def _set_level(logger: logging.Logger, level: int) -> None:
    """Set a level that has changed: to set any clears what all loggers remember."""
    if logger.level != level:
        logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    return [one for one in known if isinstance(one, logging.Logger)]


def _state(logger: logging.Logger) -> LoggerState:
    lists = logger.handlers[:], logger.filters[:]
    return logger.level, logger.disabled, logger.propagate, *lists


@contextmanager
def _modules(cwd: Path) -> Iterator[None]:
    """Hide the modules of projects and tests, and forget those that the command imports."""
    hidden = _take_modules()
    path = sys.path[:]
    sys.path[:] = [str(cwd), *(one for one in path if _stays(one) or one.endswith(".zip"))]
    for stale in cwd.rglob("__pycache__"):  # a file may be rewritten within a second
        shutil.rmtree(stale)
    _forget_files()
    try:
        yield
    finally:
        _take_modules()
        sys.modules.update(hidden)
        sys.path[:] = path
        _forget_files()


def _forget_files() -> None:
    for folder in [one for one in sys.path_importer_cache if not _stays(one)]:
        del sys.path_importer_cache[folder]
    linecache.clearcache()


def _take_modules() -> dict[str, ModuleType]:
    # A copy: what is looked at may be imported by another thread meanwhile.
    unknown = [(name, one) for name, one in list(sys.modules.items()) if _stay.get(name) is not one]
    _stay.update((name, module) for name, module in unknown if _is_installed(module))
    return {name: sys.modules.pop(name) for name, module in unknown if name not in _stay}


def _is_installed(module: ModuleType) -> bool:
    if module.__name__.partition(".")[0] in KEEPS:
        return False
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file is None or module.__name__ == "__main__" or _stays(file)


@cache
def _stays(file: str) -> bool:
    return f"{file}{os.sep}".startswith(STAYS) or os.path.realpath(file).startswith(STAYS)


@contextmanager
def _libraries() -> Iterator[None]:
    """Take back what the project's code leaves in SQLAlchemy and dbtasks; close connections."""
    declared = settings.declared[:]
    settings.declared.clear()
    _forget_results()
    registries = set(_all_registries())
    opened: list[tuple[Any, Any]] = []
    note = lambda *connection: opened.append(connection)  # noqa: E731 - to be removed
    event.listen(Pool, "connect", note)
    try:
        with _listeners_removed():
            yield
    finally:
        event.remove(Pool, "connect", note)
        for one in set(_all_registries()) - registries:
            one.dispose(cascade=True)
        for connection, record in opened:
            with suppress(Exception):  # it is closed, or another thread's
                # Else the pool logs, in whichever command its user is collected, that it is closed.
                if record.fairy_ref is not None and (user := record.fairy_ref()) is not None:
                    user.invalidate()
                connection.close()
        settings.declared[:] = declared
        _forget_results()


def _forget_results() -> None:
    """Clear what functions of dbtasks remember for as long as the process lives."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "dbtasks":
            for function in _remembering(module, len(vars(module))):
                function.cache_clear()


@cache
def _remembering(module: ModuleType, _size: int) -> Sequence[Any]:
    """Return the functions of a module of this size that remember results."""
    return [value for value in vars(module).values() if hasattr(value, "cache_clear")]


@contextmanager
def _listeners_removed() -> Iterator[None]:
    """Remove what the project's code listens to on classes of SQLAlchemy.

    There is no public list of listeners, so that each is noted when it is added.
    """
    added: list[_EventKey[Any]] = []
    listen = _EventKey.base_listen

    def note(key: _EventKey[Any], *arguments: Any, **options: Any) -> None:
        if isinstance(key.dispatch_target, type):
            added.append(key)
        listen(key, *arguments, **options)

    with patch.object(_EventKey, "base_listen", note):
        yield
    for key in added:
        if key.contains() and key.dispatch_target.__module__.startswith("sqlalchemy."):
            key.remove()
