"""Deadlines for servers that do not answer, and keepalive for those that are gone."""

import socket
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any, TypeVar

KEEPALIVE = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPALIVE": 30,  # macOS' name for it
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 60_000,
}
"""A peer that is gone is found after a minute, also when it has not acknowledged what was sent."""

Done = TypeVar("Done")


class NoAnswerError(Exception):
    """Report that something has not ended in time."""


def within(seconds: float, do: Callable[[], Done], discard: Callable[[Done], object]) -> Done:
    """Return what `do` returns within a number of seconds, or raise NoAnswerError.

    It runs in a thread of its own, which is left behind when it is late: no driver bounds all of
    the look-up of a name, connecting, handshake and the first reply. A late result is discarded.
    """
    future: Future[Done] = Future()
    run = partial(copy_context().run, _settle, future, do, discard)
    Thread(target=run, name="dbtasks connects", daemon=True).start()
    try:
        return future.result(seconds)
    except BaseException as error:
        if future.cancel():  # it has not ended: the deadline, or an interrupt
            if isinstance(error, TimeoutError):
                raise NoAnswerError from error
        elif isinstance(error, TimeoutError):  # it has ended at this very moment, or by one
            return future.result()
        elif future.exception() is None:  # an interrupt at this very moment
            discard(future.result())
        raise


def _settle(
    future: Future[Done], do: Callable[[], Done], discard: Callable[[Done], object]
) -> None:
    """Do it, and hand over what comes of it, where somebody still waits for that."""
    try:
        done = do()
    except BaseException as error:
        with suppress(InvalidStateError):
            future.set_exception(error)
        return
    try:
        future.set_result(done)
    except InvalidStateError:
        with suppress(Exception):
            discard(done)


def keep_alive(connection: Any) -> None:
    """Let the system look whether the server of a driver's connection is still there.

    A running statement has no deadline: CREATE INDEX may take hours.
    """
    # PyMySQL has no public name for its socket.
    source = connection if hasattr(connection, "fileno") else getattr(connection, "_sock", None)
    if source is None:
        return
    wire = socket.socket(fileno=source.fileno())
    try:
        if wire.family in (socket.AF_INET, socket.AF_INET6):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE.items():
                if hasattr(socket, name):
                    wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    finally:
        wire.detach()  # it is the driver's, and stays open
