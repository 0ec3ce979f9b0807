"""Databases as a whole."""

from dbtasks.tasks.edge import command
from dbtasks.tasks.options import seconds
from dbtasks.tasks.run import Run


@command()
def waitdb(run: Run, timeout: str | None = None) -> None:
    """Connect to the database, and keep trying for as long as --timeout says."""
    from dbtasks import databases

    patience = seconds(timeout, "--timeout")
    answer = databases.waitdb(run.project, timeout=patience, on_failure=run.warn_once)
    run.output.line(f"{answer.version} answered after {answer.seconds:.2f}s")


COMMANDS = (waitdb,)
