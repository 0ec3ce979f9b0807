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


@command(previews=True, asks=True)
def protect(run: Run, as_: str | None = None) -> None:
    """Show which environment the database is marked as; mark it with --as production."""
    from dbtasks import databases

    found = databases.protect(run.project)
    wanted = as_.strip() if as_ else None
    if wanted not in (None, found.marker):
        run.announce()
        if run.dry_run:
            run.output.line(f"{found.database} would be marked as {wanted}")
            return
        if found.marker is not None:
            run.confirm(f"marking {found.database} as {wanted}, it is marked as {found.marker}")
        found = databases.protect(run.project, wanted)
    run.output.line(f"{found.database} is " + _marked(found.marker))


def _marked(marker: str | None) -> str:
    return "not marked" if marker is None else f"marked as {marker}"


COMMANDS = (waitdb, protect)
