"""How the history of migrations is shown: as a list, as records, or drawn."""

from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbtasks.errors import UsageError
from dbtasks.hints import command_line
from dbtasks.output import Output
from dbtasks.tasks.options import choice

if TYPE_CHECKING:
    from dbtasks.migrations import Entry, Squashed

LISTED = ("text", "table", "json", "jsonl", "csv")
DRAWN = ("text", "mermaid", "dot")
FIELDS = (
    *("revision", "message", "parents", "labels", "depends_on"),
    *("applied", "known", "changed", "path", "applied_at", "seconds", "applied_by"),
)
IN_A_TABLE = ("revision", "message", "labels", "applied", "known", "applied_at", "applied_by")


def read_form(format_: str | None, *, plan: bool, graph: bool) -> str:
    """Return the form that the options ask for, and refuse those that exclude each other."""
    if plan and graph:
        raise UsageError("--plan and --graph exclude each other", hint="give one of them")
    if format_ in DRAWN[1:] and not graph:
        raise UsageError(
            f"--format {format_} is a form of --graph",
            hint=command_line("showmigrations", graph=True, format=format_),
        )
    return choice(format_, "--format", DRAWN if graph else LISTED)


def show_list(output: Output, entries: Sequence["Entry"], form: str, root: Path) -> None:
    """Write revisions, one line or one record each."""
    if form == "text":
        for entry in entries:
            output.line(str(entry))
        return
    names = IN_A_TABLE if form == "table" else FIELDS
    fields = [_fields(entry, root) for entry in entries]
    output.records(names, [[one[name] for name in names] for one in fields], form, "revision")


def show_graph(output: Output, entries: Sequence["Entry"], form: str) -> None:
    """Write revisions as a drawing."""
    from dbtasks import migrations
    from dbtasks.migrations.history.graph import LINES

    if form == "text":
        ascii_only = not _can_show(output, LINES)
        for row in migrations.draw(entries, ascii_only=ascii_only):
            output.line(f"{row.lines} {_beside(row.entry)}" if row.entry else row.lines)
    else:
        show_text(output, (migrations.dot if form == "dot" else migrations.mermaid)(entries))


def show_text(output: Output, text: str) -> None:
    """Write a text of several lines; in one of them a person sees control characters."""
    for line in text.removesuffix("\n").split("\n"):
        output.line(line)


def show_squashed(output: Output, squashed: "Squashed", *, written: bool) -> None:
    """Write the code of squashes, or which files they are in and which are gone."""
    for file in squashed.files:
        if not written:
            show_text(output, file.text)
            continue
        output.line(f"Wrote {file.path}")
        for revision in file.replaced:
            if revision.path != file.path:
                output.line(f"Removed {revision.path}")
    for id_, why in squashed.kept.items():
        output.note(f"{id_} stays as it is: {why}")
    for alias, why in squashed.unverified.items():
        output.note(f"not run on a scratch database of {alias}: {why}")
    for alias, why in squashed.unseen.items():
        output.note(f"not seen: whether {alias} stands inside the range, as it must not; {why}")


def _beside(entry: "Entry") -> str:
    return f"{entry.describe()} (head)" if entry.head else entry.describe()


def _can_show(output: Output, characters: str) -> bool:
    try:
        characters.encode(output.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _fields(entry: "Entry", root: Path) -> dict[str, Any]:
    """Return all that is known of a revision, its path counted from the project's folder."""
    revision, ran = entry.revision, entry.ran
    return {
        "revision": revision.id,
        "message": revision.message,
        "parents": list(revision.parents),
        "labels": list(entry.labels),
        "depends_on": list(entry.depends_on),
        "applied": entry.applied,
        "known": entry.known,
        "changed": entry.changed,
        "path": Path(relpath(revision.path, root)).as_posix() if entry.known else None,
        "applied_at": ran and ran.at,
        "seconds": ran and ran.seconds,
        "applied_by": ran and ran.by,
    }
