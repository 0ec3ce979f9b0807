"""A revision: what its file says of it, and what a database has of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

FILLERS = ("a", "an", "and", "the", "to", "of", "in", "on", "for")
"""Words of a message that say nothing that an id could leave out."""


@dataclass(frozen=True)
class Revision:
    """Describe one migration file."""

    id: str
    message: str
    parents: tuple[str, ...]
    path: Path

    @property
    def title(self) -> str:
        """Return the id, and the message where it says more than the id."""
        message = " ".join("".join(filter(str.isprintable, self.message)).split())
        told = {*re.findall(r"[^\W_]+", self.id.lower()), *FILLERS}
        said = re.findall(r"[^\W_]+", message.lower())
        return self.id if told.issuperset(said) else f"{self.id}: {message}"


@dataclass(frozen=True)
class Applied:
    """Say when a revision was applied, how long it took, and who did it."""

    at: datetime
    seconds: float | None
    by: str


@dataclass(frozen=True)
class Entry:
    """Describe a revision as one database has it; `known` is false where no file describes it.

    `labels` are those of its branch, whichever of its files declares them; `ran` is None where
    nobody has noted it.
    """

    revision: Revision
    applied: bool
    known: bool = True
    head: bool = False
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    ran: Applied | None = None

    def __str__(self) -> str:
        return self.describe() + (f"  {_tell(self.ran)}" if self.ran else "")

    def describe(self) -> str:
        """Return its mark, its name, and what is particular to its place in the history."""
        revision = self.revision
        if not self.known:
            return f"[?] {revision.id}: only the database has it"
        words = ["[X]" if self.applied else "[ ]", revision.id]
        if revision.path.stem != revision.id:
            words += revision.message.split()
        return " ".join([*words, *self._place()])

    def _place(self) -> Iterator[str]:
        if self.labels:
            yield f"({', '.join(self.labels)})"
        if len(self.revision.parents) > 1:
            yield f"(merges {', '.join(self.revision.parents)})"
        if self.depends_on:
            yield f"(depends on {', '.join(self.depends_on)})"


def _tell(ran: Applied) -> str:
    """Say when, in the reader's time zone, by whom, and how long it took."""
    took = "" if ran.seconds is None else f" ({ran.seconds:.2f}s)"
    return f"{ran.at.astimezone():%Y-%m-%d %H:%M} by {ran.by}{took}"
