"""The line of each revision that is applied or reverted."""

from typing import TYPE_CHECKING, Self

from dbtasks.output import Output

if TYPE_CHECKING:
    from dbtasks.migrations import Step


class Progress:
    """Write one line a revision, its beginning when it starts and its end when it is done.

    A reader that goes away, or a full disk, does not undo a migration: it is told at the end.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.line_is_open = False
        self.unwritten: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.line_is_open:
            self._write("FAILED\n")
        if self.unwritten is not None and error is None:
            raise self.unwritten

    def show(self, step: "Step") -> None:
        """Write the beginning or the end of a step's line."""
        verb = "Reverting" if step.backwards else "Applying"
        if self.line_is_open and step.seconds is None:
            self._write("behind a lock, once more\n")
        self.line_is_open = step.seconds is None
        if step.seconds is None:
            self._write(f"{verb} {step.revision.title} ... ")
        else:
            self._write(f"{'FAKED' if step.faked else 'OK'} ({step.seconds:.2f}s)\n")

    def _write(self, text: str) -> None:
        if self.unwritten is None:
            try:
                self.output.write(text)
            except OSError as error:
                self.unwritten = error
