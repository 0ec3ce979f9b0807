"""One command at a time changes the revisions: a lock on the folder of env.py.

What is written follows from the revisions that were read: two commands at once would write two
revisions of one number, after the same one.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from time import monotonic, sleep

from dbtasks import files
from dbtasks.errors import Locked
from dbtasks.locks import WAIT_SECONDS, OnWait
from dbtasks.migrations.history.directory import folder_of, read_config
from dbtasks.project import Project

POLL_SECONDS = 0.1
OTHER = "another command that changes the revisions"

_ours: ContextVar[frozenset[Path]] = ContextVar("_ours", default=frozenset())


@contextmanager
def taking_turns(
    project: Project,
    *,
    writes: bool = True,
    wait: float = WAIT_SECONDS,
    on_wait: OnWait | None = None,
) -> Iterator[None]:
    """Let no other process change the revisions while the block reads and writes them.

    Waits up to `wait` seconds for another one, which `on_wait` is told of once. Raises Locked
    when that is not enough. A block within a block, and one that does not write, takes no lock; a
    filesystem without locks keeps nobody out.
    """
    folder = folder_of(read_config(project)).resolve()
    if not writes or folder in _ours.get():
        yield
        return
    with ExitStack() as stack:
        _take(stack, folder, wait, on_wait)
        token = _ours.set(_ours.get() | {folder})
        stack.callback(_ours.reset, token)
        yield


def _take(stack: ExitStack, folder: Path, wait: float, on_wait: OnWait | None) -> None:
    until = monotonic() + wait
    while True:
        try:
            stack.enter_context(files.locked(folder, wait=False))
        except BlockingIOError as error:
            if monotonic() >= until:
                raise Locked(
                    f"{folder} is locked by {OTHER}; waited {wait:g} s",
                    hint="run it again when that is done",
                ) from error
        except OSError:
            return
        else:
            return
        if on_wait is not None:
            on_wait(OTHER)
            on_wait = None
        sleep(POLL_SECONDS)
