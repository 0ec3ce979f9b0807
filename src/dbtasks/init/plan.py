"""What `init` is going to write, and what it found."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dbtasks.errors import LocalFailure


@dataclass(frozen=True)
class File:
    """A file to write: its path and its text."""

    path: Path
    text: str

    @property
    def exists(self) -> bool:
        """Whether there is something at the path, which is then left as it is."""
        return os.path.lexists(self.path)


@dataclass(frozen=True)
class Note:
    """Something that was found, and the line to add, or the command to run, if any."""

    text: str
    line: str | None = None


@dataclass
class Plan:
    """The files of a project, what was found in it, and the commands to run next.

    `histories` are the prefixes of the commands of each Alembic history: "" for the only one.
    """

    folder: Path
    files: list[File] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    next_commands: tuple[str, ...] = ()
    histories: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[File]:
        """Return the files that `write` makes."""
        return [file for file in self.files if not file.exists]

    def write(self) -> Iterator[File]:
        """Write the files that do not exist, and yield each.

        Raises LocalFailure where a folder or a file cannot be written.
        """
        for file in self.missing:
            try:
                file.path.parent.mkdir(parents=True, exist_ok=True)
                with file.path.open("x", encoding="utf-8") as stream:
                    stream.write(file.text)
            except OSError as error:
                raise LocalFailure(
                    f"cannot write {file.path}: {error.strerror}",
                    hint="fix the folder, and run init again: it writes what is missing",
                ) from error
            yield file
