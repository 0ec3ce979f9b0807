"""Work that is done while the next is read: Arrow, compression and files need no Python."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

PENDING = 1
"""How many items may be done or wait while the next is made; each is held in memory."""


def ahead(
    work: Callable[[Given], Made],
    items: Iterable[Given],
    alone: Callable[[Given], bool] = lambda item: False,
) -> Iterator[Made]:
    """Yield what a function makes of each item, in their order, in a thread of its own.

    The items are made in this thread, which is the only one to use a connection. While one is
    worked at that is to be held `alone`, no other is made.
    """
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            most = 0 if alone(item) else PENDING
            del item
            while len(pending) > most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
