"""Interrupts and clean-up: the first error wins, and COMMIT is never interrupted unseen."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE_SECONDS = 1.0
"""How soon a second signal counts as the first: make and npm pass on what the terminal sends too.

A later signal means that the user does not want to wait any more.
"""

overtaken: list[BaseException] = []
"""Interrupts that came during the clean-up after another error, which is the one to report."""


class Terminated(KeyboardInterrupt):
    """Stand for SIGTERM, so that it rolls back, and cancels what runs, as an interrupt does."""


@contextmanager
def held() -> Iterator[None]:
    """Hold signals back in the block, and let the first of them through at its end.

    A second one, after GRACE_SECONDS, is let through at once: the database may not answer.
    """
    if current_thread() is not main_thread():
        yield
        return
    held_back: list[tuple[signal.Signals, float]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        now = monotonic()
        if not held_back:
            held_back.append((signal.Signals(number), now))
        elif now - held_back[0][1] > GRACE_SECONDS:
            _handle(before[signal.Signals(number)], number, frame)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    caught = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    for number in caught:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number in caught:  # runs `hold` first for what has just come
            signal.signal(number, before[number])
        if held_back:
            _handle(before[held_back[0][0]], held_back[0][0], None)


def _handle(handler: object, number: int, frame: FrameType | None) -> None:
    """Do what a signal does."""
    if callable(handler):
        handler(number, frame)
    else:  # what the system does, as for SIGTERM: the process ends
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


@contextmanager
def ending(
    *steps: Callable[[], object], ignoring: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Call the steps at the end of the block, each of them, whatever the others raise.

    The first error wins: that of the block over those of the steps, which are notes on it then,
    and may be further interrupts. Where the block succeeds, a step's error is raised, unless it
    is one of `ignoring`.
    """
    try:
        yield
    except BaseException as error:
        for step in steps:
            clean_up(step, error)
        raise
    failed: BaseException | None = None
    for step in steps:
        if failed is not None:
            clean_up(step, failed)
            continue
        try:
            step()
        except ignoring:
            pass
        except BaseException as error:
            failed = error
    if failed is not None:
        raise failed


def clean_up(step: Callable[[], object], error: BaseException) -> None:
    """Call a step of the clean-up after an error, which its own error does not replace."""
    try:
        step()
    except BaseException as second:
        if isinstance(second, KeyboardInterrupt):
            overtaken.append(second)
        error.add_note(f"and while cleaning up: {type(second).__name__}: {second}")
