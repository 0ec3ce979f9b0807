"""Fixtures: rows that go into a database together, and out of it."""

from collections.abc import Iterable
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, Any

from dbtasks.errors import Negative, UsageError
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice, names, positive, whole
from dbtasks.tasks.records import check_first
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbtasks import Project
    from dbtasks.fixtures import Emptied, Flushed, Received

SEEDS = 1_000_000
"""Numbers that --random-seed is chosen from, if it is not given."""


@command(writes=True, asks=True)
def seed(
    run: Run,
    only: str | None = None,
    replant: bool = False,
    model: str | None = None,
    count: str | None = None,
    random_seed: str | None = None,
) -> None:
    """Add the rows of the project's seed functions, or --count made-up ones to --model."""
    from dbtasks import fixtures

    if model is not None or count is not None or random_seed is not None:
        _refuse_functions(only, replant=replant)
        _generate(run, model, count, random_seed)
        return
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


@command(previews=False, asks=True)
def dumpdata(
    run: Run,
    model: list[str] | None = None,
    exclude: list[str] | None = None,
    where: list[str] | None = None,
    sample: str | None = None,
    follow: bool = False,
    mask: list[str] | None = None,
    format_: str | None = None,
    output: str | None = None,
) -> None:
    """Dump tables into a file that loaddata reads, all as they are at one moment."""
    from dbtasks import fixtures

    number = positive(sample, "--sample")
    if format_ is not None:
        choice(format_, "--format", ("jsonl", "csv", "parquet"))
    check_first(run, "--output")
    if not mask:
        _confirm_dump(run)
    with run.output.progress() as tell:
        dumped = fixtures.dumpdata(
            run.project,
            model or (),
            exclude=exclude or (),
            where=where or (),
            sample=number,
            follow=follow,
            mask=mask or (),
            format_=format_,
            output=Path(output) if output else run.output.binary,
            on_progress=tell,
        )
    for name, rows in dumped.tables.items():
        run.output.note(f"Dumped {name}: {_number(rows)}.")
    for child, parent in dumped.left_out:
        run.output.note(
            f"Note: rows of {child} refer to {parent}, which is not in the dump: "
            "it loads where those rows are."
        )


@command(writes=True, asks=True)
def loaddata(
    run: Run,
    input_: str | None = None,
    model: str | None = None,
    columns: str | None = None,
    header: bool = False,
    upsert: bool = False,
    ignore_existing: bool = False,
    truncate: bool = False,
    any_revision: bool = False,
    fast: bool = False,
    batch_size: str | None = None,
    resume: bool = False,
) -> None:
    """Load a dump, or a CSV, JSON or Parquet file of one table, in one transaction."""
    from dbtasks import fixtures

    source = _input(run, input_)
    size = positive(batch_size, "--batch-size")
    if source == "-":
        check_first(run, "stdin")
    empties = truncate and not resume
    file: dict[str, Any] = {"model": model, "columns": names(columns), "header": header}
    if (upsert or empties) and not run.dry_run:
        _confirm_load(run, source, file, empties=empties)
    with run.output.progress() as tell:
        received = fixtures.loaddata(
            run.project,
            "stdin" if source == "-" else source,
            stream=run.stdin if source == "-" else None,
            **file,
            upsert=upsert,
            ignore_existing=ignore_existing,
            truncate=truncate,
            any_revision=any_revision,
            fast=fast,
            batch_size=size,
            resume=resume,
            dry_run=run.dry_run,
            on_progress=tell,
            on_wait=run.tell_waiting,
        )
    _show_received(run, received, "changed" if upsert else "left as they are")


@command(connects=False, previews=True, asks=True)
def copydata(
    run: Run,
    from_: str | None = None,
    to: str | None = None,
    model: list[str] | None = None,
    exclude: list[str] | None = None,
    truncate: bool = False,
    any_revision: bool = False,
    batch_size: str | None = None,
    resume: bool = False,
) -> None:
    """Copy tables from one database straight into another, in one transaction there."""
    from dbtasks import fixtures

    size = positive(batch_size, "--batch-size")
    source = run.other_project(_alias(from_, "--from"))
    run.turn_to(_alias(to, "--to"))
    run.announce()
    if not run.dry_run:
        _confirm_leaving(run, source)
    if truncate and not (run.dry_run or resume):
        left_out = fixtures.find_tables(run.project, exclude) if exclude else []
        tables = fixtures.find_tables(run.project, model or ())
        kept = [one.fullname for one in tables if one not in left_out]
        _confirm_emptying(run, f"copying into {run.project.name}", kept)
    with run.output.progress() as tell:
        copied = fixtures.copydata(
            source,
            run.project,
            model or (),
            exclude=exclude or (),
            truncate=truncate,
            any_revision=any_revision,
            batch_size=size,
            resume=resume,
            dry_run=run.dry_run,
            on_progress=tell,
            on_wait=run.tell_waiting,
        )
    _show_received(run, copied.tables, "")
    for one in copied.misfits:
        run.output.line(f"{one.key}: {one.why}")
    if copied.misfits:
        raise Negative(
            f"{len(copied.misfits)} values do not fit {run.project.name}",
            hint="mend them, or the columns",
        )


# Of other commands --model names one class, so that it is not among the lists of the edge.
for one in (flush, dumpdata, copydata):
    one.iterable = {*one.iterable, "model"}


def _refuse_functions(only: str | None, *, replant: bool) -> None:
    if only is not None or replant:
        raise UsageError(
            "--model makes rows up, and runs no seed function",
            hint=f"leave out {'--replant' if replant else '--only'}, or --model and --count",
        )


def _generate(run: Run, model: str | None, count: str | None, random_seed: str | None) -> None:
    """Make rows up, and say how to have the same ones again."""
    from dbtasks import fixtures

    number = positive(count, "--count")
    if model is None or number is None:
        raise UsageError(
            "make up how many rows of which model?",
            hint="seed --model Employee --count 1000, and --random-seed for the same ones again",
        )
    chosen = whole(random_seed, "--random-seed")
    if chosen is None:
        chosen = randrange(SEEDS)
    with run.output.progress() as tell:
        made = fixtures.generate(
            run.project,
            model,
            number,
            random_seed=chosen,
            dry_run=run.dry_run,
            on_progress=tell,
            on_wait=run.tell_waiting,
        )
    verb = "Would add" if run.dry_run else "Added"
    for one in made:
        run.output.line(f"{verb} {_number(one.rows)} to {one.table}.")
    run.output.note(f"the same rows again: --random-seed {chosen}")


def _input(run: Run, given: str | None) -> str:
    if given is None:
        raise UsageError("load what?", hint="name a file with --input, or - for stdin")
    if given == "-" and not run.no_input:
        raise UsageError(
            "--input - reads the rows from stdin, so that nobody can be asked",
            hint="add --no-input if it is meant",
        )
    return given


def _alias(given: str | None, option: str) -> str:
    if given is None:
        raise UsageError(
            "copy from where to where?", hint=f"add {option} with the alias of a database"
        )
    return given


def _confirm_dump(run: Run) -> None:
    """Ask before the rows of a production database leave it."""
    from dbtasks import guards

    if run.no_input or not guards.is_production(run.project):
        return
    action = f"dumping {run.project.name} with no --mask takes real data out of production"
    if not run.terminal:
        raise guards.refuse_without_terminal(action)
    run.ask(action)


def _confirm_leaving(run: Run, source: "Project") -> None:
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


def _confirm_load(run: Run, source: str, file: dict[str, Any], *, empties: bool) -> None:
    """Show a person which tables a file empties, or changes rows of, and ask."""
    from dbtasks import fixtures

    run.allow(f"loading {source} {'empties tables first' if empties else 'changes rows'}")
    if run.no_input:
        return
    found = fixtures.find_loaded(run.project, source, **file)
    tables = [one.table for one in found]
    if empties:
        _confirm_emptying(run, f"loading {source}", tables)
        return
    for one in found:
        run.output.note(f"{one.table}: {_number(one.rows)} in {source}" if one.rows else one.table)
    run.ask(f"loading {source} changes rows of {', '.join(tables)} whose keys are there")


def _confirm_emptying(run: Run, what: str, tables: "Sequence[str]") -> None:
    """Show a person what goes before other rows come, and ask."""
    from dbtasks import fixtures

    action = f"{what} first deletes every row of {', '.join(tables)}"
    run.allow(action)
    if not run.no_input:
        _note(run, fixtures.flush(run.project, tables, dry_run=True))
        run.ask(action)


def _show_received(run: Run, received: "Iterable[Received]", existing: str) -> None:
    verb = "Would load" if run.dry_run else "Loaded"
    for one in received:
        there = f", {one.existing} were there and {existing}" if one.existing else ""
        run.output.line(f"{verb} {one.table}: {_number(one.rows)}{there}.")


def _number(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _confirm(run: Run, *models: str) -> None:
    """Show a person what will go, and ask."""
    from dbtasks import fixtures

    tables = fixtures.find_tables(run.project, models)
    listed = ", ".join(one.fullname for one in tables) if models else f"all {len(tables)} tables"
    action = f"emptying {listed} deletes every row"
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
    return _number(emptied.rows)


COMMANDS = (seed, dumpdata, loaddata, copydata, flush)
