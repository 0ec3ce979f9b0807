"""Which threads and tasks work for the env.py that runs: it may have an event loop elsewhere.

An asynchronous env.py runs its loop in a thread of its own where the caller's has one already, or
hands its work to the loop that the application runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread, current_thread
from weakref import WeakSet

_run: ContextVar[object | None] = ContextVar("dbtasks_env", default=None)
_threads: "WeakSet[Thread]" = WeakSet()
"""Threads that an env.py has started; an executor of the application keeps its for the next run."""


class Workers:
    """Know which threads and tasks work for one run of env.py."""

    def __init__(self) -> None:
        self.caller = current_thread()

    @property
    def is_at_work(self) -> bool:
        """Whether this thread, or this task of a loop, works for env.py."""
        return _run.get() is self or current_thread() in _threads

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow what env.py starts while the block runs."""
        token = _run.set(self)
        workers, start = self, Thread.start

        def start_followed(self: Thread) -> None:
            if workers.is_at_work:
                _threads.add(self)
            start(self)

        # A task has the context of whoever began it, and so has what is handed to a loop. A thread
        # has it from Python 3.14 on, with -X thread_inherit_context (python/cpython#128555).
        Thread.start = start_followed  # type: ignore[method-assign]  # threads are started by it
        try:
            yield
        finally:
            Thread.start = start  # type: ignore[method-assign]  # as it was
            _run.reset(token)
