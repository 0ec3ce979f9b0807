"""Fixtures: rows that go into a database together, and out of it."""

from collections.abc import Iterable
from pathlib import Path
from random import randrange
from typing import TYPE_CHECKING, Any

from dbtasks.errors import Negative, UsageError
from dbtasks.hints import command_line
from dbtasks.tasks.confirmations import (
    confirm_all,
    confirm_dump,
    confirm_emptying,
    confirm_leaving,
    confirm_load,
    note_rows,
    number_of_rows,
)
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice, names, positive, whole
from dbtasks.tasks.records import check_first
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbtasks.fixtures import Emptied, Flushed, Received, SeedReport

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
        confirm_all(run)
    report = fixtures.seed(
        run.project, only=only, replant=replant, dry_run=run.dry_run, on_wait=run.tell_waiting
    )
    _show(run, report.emptied)
    if run.dry_run or run.no_input:
        run.warn_unknown(report.unknown, "not emptied")
    _show_seeded(run, report)


@command(writes=True, asks=True)
def flush(run: Run, model: list[str] | None = None, exclude: list[str] | None = None) -> None:
    """Empty all tables, or those that --model names; the schema stays."""
    from dbtasks import fixtures

    models, left_out = model or None, exclude or ()
    if not run.dry_run:
        confirm_all(run, models, exclude=left_out)
    flushed = fixtures.flush(
        run.project,
        models,
        exclude=left_out,
        dry_run=run.dry_run,
        on_wait=run.tell_waiting,
        on_note=_noting(run),
    )
    if run.dry_run:
        _preview(run, flushed)
    else:
        _show(run, flushed.tables)
    if run.dry_run or run.no_input:  # otherwise it was shown before the question
        run.warn_unknown(flushed.unknown, "not emptied")


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
        confirm_dump(run)
    with run.output.progress() as tell:
        dumped = fixtures.dumpdata(
            run.project,
            model or None,
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
        run.output.note(f"Dumped {name}: {number_of_rows(rows)}.")
    run.warn_unknown(dumped.unknown, "not in the dump")
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
    file: dict[str, Any] = {
        "model": model,
        "columns": names(columns, "--columns"),
        "header": header,
    }
    if (upsert or empties) and not run.dry_run:
        confirm_load(run, source, file, empties=empties)
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
            on_note=_noting(run),
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
        confirm_leaving(run, source)
    if truncate and not (run.dry_run or resume):
        tables = fixtures.find_tables(run.project, model or (), exclude or ())
        names_ = [one.fullname for one in tables]
        confirm_emptying(run, f"copying into {run.project.name}", names_)
    with run.output.progress() as tell:
        copied = fixtures.copydata(
            source,
            run.project,
            model or None,
            exclude=exclude or (),
            truncate=truncate,
            any_revision=any_revision,
            batch_size=size,
            resume=resume,
            dry_run=run.dry_run,
            on_progress=tell,
            on_wait=run.tell_waiting,
            on_note=_noting(run),
        )
    _show_received(run, copied.tables, "")
    run.warn_unknown(copied.unknown, "not copied")
    for one in copied.misfits:
        run.output.line(f"{one.key}: {one.why}")
    if copied.misfits:
        raise Negative(
            f"{len(copied.misfits)} values do not fit {run.project.name}",
            hint="fix them, or the columns",
        )


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
            hint=f"as in: {command_line('seed', model='Employee', count=1000)}; and --random-seed "
            "for the same ones again",
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
            on_note=_noting(run),
        )
    verb = "Would add" if run.dry_run else "Added"
    for one in made:
        run.output.line(f"{verb} {number_of_rows(one.rows)} to {one.table}.")
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


def _show_received(run: Run, received: "Iterable[Received]", existing: str) -> None:
    verb = "Would load" if run.dry_run else "Loaded"
    for one in received:
        there = f", {one.existing} were there and {existing}" if one.existing else ""
        run.output.line(f"{verb} {one.table}: {number_of_rows(one.rows)}{there}.")


def _show_seeded(run: Run, report: "SeedReport") -> None:
    done = {
        ("Added", "Would add"): report.added,
        ("Added or updated", "Would add or update"): report.merged,
        ("Updated", "Would update"): report.updated,
        ("Deleted", "Would delete"): report.deleted,
    }
    for verbs, rows in done.items():
        if rows:
            counts = ", ".join(f"{count} {name}" for name, count in rows.items())
            run.output.line(f"{verbs[run.dry_run]} {counts}.")
    if not any(done.values()):
        run.output.line("Nothing to add.")
        if run.settings.metadata:
            run.lacks_models()


def _noting(run: Run) -> "Callable[[str], None]":
    return lambda text: run.output.note(f"Note: {text}")


def _preview(run: Run, flushed: "Flushed") -> None:
    for statement in flushed.statements:
        run.output.line(f"{statement};")
    note_rows(run, flushed)


def _show(run: Run, emptied: "tuple[Emptied, ...]") -> None:
    verb = "Would empty" if run.dry_run else "Emptied"
    for one in emptied:
        run.output.line(f"{verb} {one.table}: {number_of_rows(one.rows)}.")


COMMANDS = (seed, dumpdata, loaddata, copydata, flush)
