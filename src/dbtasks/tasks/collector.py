"""Python's garbage collector, held back while a command imports what it needs.

What the imports make stays until the process ends, and looking through it again and again is a
fifth of the CPU time of a short command.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[None]:
    """Collect nothing in the block until `settle` is called; leave the collector as it was."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle() -> None:
    """Leave what is there out of all collections, and collect again."""
    gc.freeze()
    gc.enable()
