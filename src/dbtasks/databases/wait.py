"""Wait until a database answers."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from dbtasks.errors import Unreachable
from dbtasks.project import Project

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
LEAST_SECONDS = 0.5
"""What an attempt has at least: a server that answers needs as long."""


@dataclass(frozen=True)
class Answer:
    """Describe a database that answered, and the seconds that it took in all."""

    version: str
    seconds: float


def waitdb(
    project: Project,
    *,
    timeout: float = 0,
    on_failure: Callable[[Unreachable], None] | None = None,
) -> Answer:
    """Connect, and keep trying for `timeout` seconds; 0 is one attempt.

    An attempt takes no longer than is left of them. `on_failure` is called with each failed attempt
    but the last, which raises Unreachable.
    """
    started = monotonic()
    pause = FIRST_PAUSE
    while True:
        left = max(started + timeout - monotonic(), LEAST_SECONDS)
        try:
            with project.connect(seconds=left if timeout else None) as connection:
                return Answer(project.backend.version(connection), monotonic() - started)
        except Unreachable as error:
            left = started + timeout - monotonic()
            if left <= 0:
                raise
            if on_failure is not None:
                on_failure(error)
        sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)
