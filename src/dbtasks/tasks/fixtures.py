"""Fixtures: rows that go into a database together."""

from dbtasks.tasks.edge import command
from dbtasks.tasks.run import Run


@command(writes=True)
def seed(run: Run, only: str | None = None) -> None:
    """Add the rows of the project's seed functions."""
    from dbtasks import fixtures

    report = fixtures.seed(run.project, only=only, dry_run=run.dry_run)
    counts = ", ".join(f"{count} {name}" for name, count in report.added.items())
    verb = "Would add" if run.dry_run else "Added"
    run.output.line(f"{verb} {counts}." if counts else "Nothing to add.")


COMMANDS = (seed,)
