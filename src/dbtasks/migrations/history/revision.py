"""A revision: what its file says of it, and what a database has of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

FILLERS = ("a", "an", "and", "the", "to", "of", "in", "on", "for")
"""Words of a message that say nothing that an id could leave out."""


IDENTITY = re.compile(
    r"^(?:revision|down_revision|branch_labels|depends_on|replaces)\b[^=\n]*="
    r"[ \t]*(?:\([^)]*\)|\[[^\]]*\]|\{[^}]*\})?[^\n]*\n",
    re.MULTILINE,
)
"""Where a revision is in its history, which a rebase and a squash change."""

DOCSTRING = re.compile(r"\A\s*[rR]?(\"{3}|'{3}).*?\1", re.DOTALL)


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

    @property
    def checksum(self) -> str | None:
        """Return the checksum of the file; None where it has no source.

        Its docstring, its place in the history, ends of lines and blank lines do not count.
        """
        if self.path.suffix != ".py":
            return None
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")  # with \n at all ends
        except OSError:
            return None
        code = IDENTITY.sub("", DOCSTRING.sub("", text))
        lines = (line.rstrip() for line in code.splitlines())
        return sha256("\n".join(filter(None, lines)).encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """Say when a revision was applied, how long it took, who did it, and from which file."""

    at: datetime
    seconds: float | None
    by: str
    checksum: str | None = None


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

    @property
    def changed(self) -> bool:
        """Whether the file has changed since it was applied, where its checksum was kept."""
        known = self.ran.checksum if self.ran else None
        return self.known and known is not None and known != self.revision.checksum

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
        if self.changed:
            yield "(its file has changed since)"


def _tell(ran: Applied) -> str:
    """Say when, in the reader's time zone, by whom, and how long it took."""
    took = "" if ran.seconds is None else f" ({ran.seconds:.2f}s)"
    return f"{ran.at.astimezone():%Y-%m-%d %H:%M} by {ran.by}{took}"
