"""Statements: SQL as it was typed."""

from collections.abc import Iterable
from pathlib import Path

from dbtasks.errors import UsageError
from dbtasks.output import FORMATS
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice, whole
from dbtasks.tasks.records import check_first
from dbtasks.tasks.run import Run


@command(previews=True, asks=True)
def sql(
    run: Run,
    statement: str | None = None,
    file: str | None = None,
    param: list[str] | None = None,
    write: bool = False,
    expect: str | None = None,
    format_: str | None = None,
) -> None:
    """Run SQL, read-only unless --write."""
    from dbtasks import records

    chosen = choice(format_, "--format", FORMATS)
    expected = whole(expect, "--expect")
    params = _params(param or ())
    if file == "-":
        check_first(run, "stdin")
    text = _text(run, statement, file)
    if write:
        run.announce()
        limited = expected is not None and records.is_limited(run.project, text)
        if not (limited or run.dry_run):
            run.confirm_in_production("sql --write can change everything")
    changed: list[int | None] = []
    with records.sql(
        run.project,
        text,
        params=params,
        write=write,
        dry_run=run.dry_run,
        expect=expected,
        several=file is not None,
    ) as results:
        for result in results:
            if result.columns:
                run.output.records(result.columns, result.rows, chosen, "row")
            else:
                changed.append(result.changed)
    for number in changed:  # only now are they committed: an error rolls all of them back
        say = run.output.line if chosen in ("text", "table") else run.output.note
        say(_changed(number, dry_run=run.dry_run))


def _text(run: Run, statement: str | None, file: str | None) -> str:
    if (statement is None) == (file is None):
        raise UsageError(
            "give --statement or --file, and not both", hint='as in --statement "SELECT 1"'
        )
    if statement is not None:
        return statement
    read = run.stdin.read() if file == "-" else Path(file or "").read_bytes()
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--file {file} is not valid UTF-8, at byte {error.start + 1}",
            hint="convert it, with iconv for example",
        ) from error


def _params(texts: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE; the value may be empty."""
    found: dict[str, str] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not (mark and name.isidentifier() and name.isascii()):
            raise UsageError(f"--param {text!r} is no parameter", hint="write NAME=VALUE")
        if name in found:
            raise UsageError(f"--param {name} is given twice", hint="leave one out")
        found[name] = value
    return found


def _changed(number: int | None, *, dry_run: bool) -> str:
    rows = "" if number is None else f"{number} row{'' if number == 1 else 's'} "
    if dry_run:
        return f"{rows}changed, and rolled back." if rows else "Done, and rolled back."
    return f"{rows}changed." if rows else "Done."


COMMANDS = (sql,)
