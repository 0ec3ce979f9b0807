"""Fixtures: rows that go into a database together, and out of it."""

from typing import TYPE_CHECKING

from dbtasks.tasks.edge import command
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.fixtures import Emptied, Flushed


@command(writes=True, asks=True)
def seed(run: Run, only: str | None = None, replant: bool = False) -> None:
    """Add the rows of the project's seed functions."""
    from dbtasks import fixtures

    if replant and not run.dry_run:
        _confirm(run)
    report = fixtures.seed(run.project, only=only, replant=replant, dry_run=run.dry_run)
    _show(run, report.emptied)
    counts = ", ".join(f"{count} {name}" for name, count in report.added.items())
    verb = "Would add" if run.dry_run else "Added"
    run.output.line(f"{verb} {counts}." if counts else "Nothing to add.")


@command(writes=True, asks=True)
def flush(run: Run, model: list[str] | None = None) -> None:
    """Empty all tables, or those that --model names; the schema stays."""
    from dbtasks import fixtures

    models = model or ()
    if not run.dry_run:
        _confirm(run, *models)
    flushed = fixtures.flush(run.project, models, dry_run=run.dry_run)
    if run.dry_run:
        _preview(run, flushed)
    else:
        _show(run, flushed.tables)


# Of other commands --model names one class, so that it is not among the lists of the edge.
flush.iterable = {*flush.iterable, "model"}


def _confirm(run: Run, *models: str) -> None:
    """Show a person what will go, and ask."""
    from dbtasks import fixtures

    tables = fixtures.find_tables(run.project, models)
    names = ", ".join(one.fullname for one in tables) if models else f"all {len(tables)} tables"
    action = f"emptying {names} deletes every row"
    run.allow(action)
    if not run.no_input:
        _note(run, fixtures.flush(run.project, models, dry_run=True))
        run.ask(action)


def _preview(run: Run, flushed: "Flushed") -> None:
    for statement in flushed.statements:
        run.output.line(f"{statement};")
    _note(run, flushed)


def _note(run: Run, flushed: "Flushed") -> None:
    for one in flushed.tables:
        run.output.note(f"{one.table}: {_rows(one)}")


def _show(run: Run, emptied: "tuple[Emptied, ...]") -> None:
    verb = "Would empty" if run.dry_run else "Emptied"
    for one in emptied:
        run.output.line(f"{verb} {one.table}: {_rows(one)}.")


def _rows(emptied: "Emptied") -> str:
    return "1 row" if emptied.rows == 1 else f"{emptied.rows} rows"


COMMANDS = (seed, flush)
