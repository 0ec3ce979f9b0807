"""Migrations: the schema's history."""

from typing import TYPE_CHECKING, Self

from dbtasks.errors import Negative
from dbtasks.output import Output
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.migrations import Entry, Plan, Step


@command(previews=True, asks=True)
def migrate(run: Run, to: str | None = None, check: bool = False) -> None:
    """Bring the database to the newest revision, or to the one that --to names."""
    from dbtasks import migrations

    if not check:
        run.announce()
    target = to or "heads"
    plan = migrations.plan(run.project, to=target)
    if check:
        _report_pending(run.output, plan)
    elif run.dry_run and plan.steps:
        run.output.write(migrations.sql(run.project, to=target))
    else:
        _apply(run, plan, target)


@command()
def showmigrations(run: Run, format_: str | None = None) -> None:
    """Show all revisions, and which of them the database has."""
    from dbtasks import migrations

    chosen = choice(format_, "--format", ("text", "table", "json", "jsonl", "csv"))
    entries = migrations.showmigrations(run.project)
    if chosen == "text":
        for entry in entries:
            run.output.line(_describe(entry))
    else:
        rows = [(one.revision.id, one.revision.message, one.applied, one.known) for one in entries]
        run.output.records(("revision", "message", "applied", "known"), rows, chosen, "revision")


def _apply(run: Run, plan: "Plan", target: str) -> None:
    from dbtasks import migrations

    if plan.backwards:
        run.confirm(_warning(plan))
    with _Progress(run.output) as progress:
        done = migrations.migrate(run.project, to=target, on_step=progress.show)
    if not done.steps:  # there was nothing, or another run has been faster
        run.output.line("Nothing to apply.")
    if not run.dry_run:
        run.mark_new()


def _report_pending(output: Output, plan: "Plan") -> None:
    for step in plan.steps:
        output.line(f"[ ] {step.revision.id}")
    if plan.steps:
        number = len(plan.steps)
        what = "1 revision is" if number == 1 else f"{number} revisions are"
        raise Negative(f"{what} pending", hint="apply with: inv migrate")
    output.line("Nothing to apply.")


def _warning(plan: "Plan") -> str:
    names = ", ".join(step.revision.id for step in plan.steps)
    return f"reverting {names} loses the data that it holds"


def _describe(entry: "Entry") -> str:
    if not entry.known:
        return f"[?] {entry.revision.id}: only the database has it"
    mark = "[X]" if entry.applied else "[ ]"
    revision = entry.revision
    message = "" if revision.path.stem == revision.id else f" {revision.message}"
    return f"{mark} {revision.id}{message}"


class _Progress:
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
        self.line_is_open = step.seconds is None
        if step.seconds is None:
            self._write(f"{verb} {step.revision.id} ... ")
        else:
            self._write(f"OK ({step.seconds:.2f}s)\n")

    def _write(self, text: str) -> None:
        if self.unwritten is None:
            try:
                self.output.write(text)
            except OSError as error:
                self.unwritten = error


COMMANDS = (migrate, showmigrations)
