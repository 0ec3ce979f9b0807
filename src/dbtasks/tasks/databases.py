"""Databases as a whole."""

from dbtasks.errors import UsageError
from dbtasks.settings import known_environment
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
def protect(run: Run, as_: str | None = None, remove: bool = False) -> None:
    """Show which environment the database is marked as; mark it with --as production."""
    from dbtasks import databases

    if as_ is not None and remove:
        raise UsageError("--as and --remove exclude each other", hint="leave one out")
    found = databases.protect(run.project)
    wanted = known_environment(as_) if as_ else None
    if wanted not in (None, found.marker) or (remove and found.marker is not None):
        run.replaces_marker = True
        run.announce()
        if run.dry_run:
            run.output.line(f"{found.database} would be {_marked(wanted)}")
            return
        if found.marker is not None:
            action = f"removing the marker of {found.database}"
            if wanted is not None:
                action = f"marking {found.database} as {wanted}"
            run.confirm(f"{action}, it is {_marked(found.marker)}")
        found = databases.protect(run.project, wanted, remove=remove)
    run.output.line(f"{found.database} is {_marked(found.marker)}")


def _marked(marker: str | None) -> str:
    from dbtasks.guards import shown

    return "not marked" if marker is None else f"marked as {shown(marker)}"


COMMANDS = (waitdb, protect)
