"""SIGINT and SIGTERM, from the import of tasks.py to the end of the process."""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Any

from invoke.program import Program

from dbtasks.errors import COMMITTED, NOTHING_CHANGED
from dbtasks.interrupts import GRACE_SECONDS, SIGNALS, Terminated, overtaken

INTERRUPTED, TERMINATED = 130, 143
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}

AGAIN = 0.05
"""Seconds after which a signal is sent again that Python has swallowed."""


class Signals:
    """Know what a signal means at each moment of the process.

    In a command it is an interrupt, which the command reports. Around the commands, while Invoke
    reads tasks.py or between two of a chain, it ends the process, with its message. After an error
    was reported, and at the end of Python, it is too late for it. A second signal, after
    GRACE_SECONDS, ends the process at once, wherever it hangs.
    """

    def __init__(self) -> None:
        self.outcome: Callable[[], str] | None = None
        self.done: list[str] = []
        self.first: float | None = None
        self.code: int | None = None
        self.raised: BaseException | None = None
        self.before: dict[int, Any] = {}

    # -- where they are caught ---------------------------------------------------------------

    def catch(self) -> None:
        """Catch signals for as long as the process lives, where Invoke's program is all of it."""
        if _is_main() and _in_program(sys._getframe()) and not self.before:
            self._install()
            atexit.register(self._leave_to_end)

    @contextmanager
    def command(self, name: str, outcome: Callable[[], str]) -> Iterator[None]:
        """Catch signals while a command runs; `outcome` says what the database is left in."""
        if not _is_main():
            yield
            return
        installed = not self.before and self._install()
        outer, self.outcome = self.outcome, outcome
        if outer is None:
            self.first = self.code = self.raised = None
        try:
            yield
            if outcome() == COMMITTED:
                self.done.append(name)
        except KeyboardInterrupt as error:  # while it began, or was reported
            raise self._leave(_number_of(error), outcome()) from error
        finally:
            self.outcome = outer
            if installed:
                self._uninstall()

    def end(self, code: int | None = None) -> None:
        """Take no more signals: the process is about to end, with a code once that is known."""
        self.code, self.first = code, self.first or monotonic()

    @property
    def swallowed(self) -> BaseException | None:
        """Return an interrupt that never came out, as of a function that SQLite calls."""
        return None if self.raised in overtaken else self.raised

    def _install(self) -> bool:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                self.before[number] = before
                signal.signal(number, self._handle)
        hook = sys.unraisablehook
        sys.unraisablehook = lambda lost: self._send_again(lost.exc_value) or hook(lost)
        # What the pool cannot close or reset any more, it logs with a traceback.
        pool = logging.getLogger("sqlalchemy.pool")
        if pool.level == logging.NOTSET:
            pool.setLevel(logging.CRITICAL)
        return True

    def _uninstall(self) -> None:
        for number, before in self.before.items():
            signal.signal(number, before)
        self.before.clear()

    def _leave_to_end(self) -> None:
        """Keep a signal from killing the last steps of Python, after those of its own."""
        for number in self.before:
            signal.signal(number, signal.SIG_IGN)

    # -- what they do ------------------------------------------------------------------------

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = monotonic()
        again = self.first is not None and now - self.first > GRACE_SECONDS
        if self.outcome is None and not _in_program(frame):
            if _is_running(frame):  # another program, whose handler this is not
                self._hand_on(number, frame)
            elif again:
                os._exit(CODES[signal.Signals(number)])
        elif again:
            _say(self._state())
            os._exit(self.code or CODES[signal.Signals(number)])
        elif self.first is None:
            self.first = now
            self._interrupt(number)

    def _interrupt(self, number: int) -> None:
        if self.outcome is None:
            raise self._leave(number, NOTHING_CHANGED)
        self.raised = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        raise self.raised

    def _leave(self, number: int, state: str) -> SystemExit:
        code = CODES[signal.Signals(number)]
        self.end(code)
        _say(state + self.finished)
        return SystemExit(code)

    def _state(self) -> str:
        return (NOTHING_CHANGED if self.outcome is None else self.outcome()) + self.finished

    @property
    def finished(self) -> str:
        """Name the commands of the chain that have changed something before this one."""
        return f"; done before: {', '.join(self.done)}" if self.done else ""

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        before = self.before.get(number)
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _send_again(self, lost: BaseException | None) -> bool:
        """Send a signal again whose interrupt was raised where nothing can be, as in __del__."""
        if lost is None or lost is not self.raised:
            return isinstance(lost, SystemExit) and self.code is not None
        self.first = self.raised = None
        main = threading.main_thread().ident or 0
        timer = threading.Timer(AGAIN, signal.pthread_kill, (main, _number_of(lost)))
        timer.daemon = True
        timer.start()
        return True


def _say(state: str) -> None:
    """Write to stderr itself: its buffer may be in use."""
    with suppress(OSError):  # nobody can be told
        os.write(2, f"\nerror: interrupted\nstate: {state}\n".encode())


def _number_of(interrupt: BaseException) -> int:
    return signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def program_of(frame: FrameType | None) -> Program | None:
    """Return Invoke's program that runs, ours or its own; None where another one does."""
    while frame is not None and frame.f_code is not Program.run.__code__:
        frame = frame.f_back
    return None if frame is None else frame.f_locals["self"]


def _in_program(frame: FrameType | None) -> bool:
    return program_of(frame) is not None


def _is_running(frame: FrameType | None) -> bool:
    """Whether a program runs, and Python is not at its end."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in ("__main__", "runpy")


signals = Signals()
signals.catch()
