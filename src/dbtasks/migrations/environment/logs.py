"""The logging of a command, kept from an env.py that configures it for itself.

Alembic's template calls `fileConfig`, which switches off every logger that it does not name and
takes the handlers of the rest: what --echo shows would end there.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

ALEMBIC = "alembic"


@dataclass(frozen=True)
class _State:
    """Hold how one logger was set."""

    logger: logging.Logger
    level: int
    handlers: tuple[logging.Handler, ...]
    propagate: bool
    disabled: bool

    @classmethod
    def of(cls, logger: logging.Logger) -> "_State":
        handlers = tuple(logger.handlers)
        return cls(logger, logger.level, handlers, logger.propagate, logger.disabled)

    @property
    def writes(self) -> bool:
        return any(not isinstance(one, logging.NullHandler) for one in self.handlers)

    def restore(self, *, propagate: bool) -> None:
        if self.logger.level != self.level:  # setting it empties the caches of all loggers
            self.logger.setLevel(self.level)
        self.logger.handlers[:] = self.handlers
        self.logger.propagate = propagate
        self.logger.disabled = self.disabled


@contextmanager
def own_logs() -> Iterator[Callable[[], None]]:
    """Restore all loggers at the end of the block, and those before it when the result is called.

    Theirs keep what they were given meanwhile, on stderr: stdout is for results. What Alembic
    logs of its steps, the command says itself.
    """
    steps = logging.getLogger(ALEMBIC)
    before = [_State.of(logger) for logger in _loggers()]

    def restore_known() -> None:
        for state in before:
            if state.logger is not logging.root:
                state.restore(propagate=state.propagate and not state.writes)
        steps.setLevel(logging.WARNING)

    try:
        # Where logging goes unless it is told.
        with redirect_stdout(logging.StreamHandler().stream):
            yield restore_known
    finally:
        for state in before:
            state.restore(propagate=state.propagate)


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(one for one in known if isinstance(one, logging.Logger))]
