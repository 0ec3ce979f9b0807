"""What asks before rows are emptied, overwritten, or taken out of production."""

from typing import TYPE_CHECKING, Any

from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbtasks import Project
    from dbtasks.fixtures import Flushed


def confirm_dump(run: Run) -> None:
    """Ask before the rows of a production database leave it."""
    from dbtasks import guards

    if run.no_input or not guards.is_production(run.project):
        return
    action = f"dumping {run.project.name} with no --mask takes real data out of production"
    if not run.terminal:
        raise guards.refuse_without_terminal(action)
    run.ask(action)


def confirm_leaving(run: Run, source: "Project") -> None:
    """Ask before the rows of a production database go into another."""
    from dbtasks import guards

    if run.no_input or not guards.is_production(source):
        return
    action = (
        f"copying {source.name}, which is production, into {run.project.name} "
        "takes real data out of production"
    )
    if not run.terminal:
        raise guards.refuse_without_terminal(action)
    run.ask(action, source)


def confirm_load(run: Run, source: str, file: dict[str, Any], *, empties: bool) -> None:
    """Show a person which tables a file empties, or changes rows of, and ask."""
    from dbtasks import fixtures

    run.allow(f"loading {source} {'empties tables first' if empties else 'changes rows'}")
    if run.no_input:
        return
    found = fixtures.find_loaded(run.project, source, **file)
    tables = [one.table for one in found]
    if empties:
        confirm_emptying(run, f"loading {source}", tables)
        return
    for one in found:
        run.output.note(
            f"{one.table}: {number_of_rows(one.rows)} in {source}" if one.rows else one.table
        )
    run.ask(f"loading {source} changes rows of {', '.join(tables)} whose keys are there")


def confirm_emptying(run: Run, what: str, tables: "Sequence[str]") -> None:
    """Show a person what goes before other rows come, and ask."""
    from dbtasks import fixtures

    action = f"{what} first deletes every row of {', '.join(tables)}"
    run.allow(action)
    if tables and not run.no_input:
        note_rows(run, fixtures.flush(run.project, tables, dry_run=True))
        run.ask(action)


def confirm_all(
    run: Run, models: "Sequence[str] | None" = None, exclude: "Sequence[str]" = ()
) -> None:
    """Show a person what will go, and ask."""
    from dbtasks import fixtures

    tables = fixtures.find_tables(run.project, models or (), exclude)
    listed = f"all {len(tables)} tables"
    if models or exclude:
        listed = ", ".join(one.fullname for one in tables)
    action = f"emptying {listed} deletes every row"
    run.allow(action)
    if not run.no_input:
        preview = fixtures.flush(run.project, models, exclude=exclude, dry_run=True)
        note_rows(run, preview)
        run.warn_unknown(preview.unknown, "not emptied")
        run.ask(action)


def note_rows(run: Run, flushed: "Flushed") -> None:
    """Say how many rows go from each table."""
    for one in flushed.tables:
        run.output.note(f"{one.table}: {number_of_rows(one.rows)}")


def number_of_rows(rows: int) -> str:
    """Return a number of rows in words."""
    return "1 row" if rows == 1 else f"{rows} rows"
