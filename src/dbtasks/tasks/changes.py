"""Changes: records added, updated and deleted, each command one transaction."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dbtasks.cells import cell_of
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import positive, seconds, whole
from dbtasks.tasks.records import check_first
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.records import Batch, Effect, Preview


@command(writes=True, asks=True)
def add(
    run: Run,
    model: str | None = None,
    set_: list[str] | None = None,
    set_null: list[str] | None = None,
    from_file: str | None = None,
    upsert: bool = False,
    expect: str | None = None,
) -> None:
    """Add one record, or those of a file."""
    from dbtasks import records

    if from_file == "-":
        check_first(run, "stdin")
    # One record names its key, as --pk does.
    decided = expect is not None or from_file is None or not upsert
    review = _Review(run, "change", decided=decided, everything=False)
    with run.reading(from_file) as stream:
        added = records.add(
            run.project,
            model,
            values=set_ or (),
            nulls=set_null or (),
            records=records.read_records(stream, from_file or "") if stream else None,
            upsert=upsert,
            expect=whole(expect, "--expect"),
            dry_run=run.dry_run,
            on_preview=review.on_preview if upsert else None,
        )
    verb = "Would add" if run.dry_run else "Added"
    changed = f", changed {added.overwritten}" if added.overwritten else ""
    number = added.count - added.overwritten
    run.output.line(f"{verb} {number} {added.target}{changed}.")
    for key in filter(None, added.keys):  # a table without a key has none to show
        run.output.line(", ".join(f"{name}={cell_of(value)}" for name, value in key.items()))


@command(writes=True, asks=True)
def update(
    run: Run,
    model: str | None = None,
    pk: list[str] | None = None,
    where: list[str] | None = None,
    all_: bool = False,
    set_: list[str] | None = None,
    set_null: list[str] | None = None,
    expect: str | None = None,
    batch_size: str | None = None,
    pause: str | None = None,
) -> None:
    """Set values in the records that --where or --pk names."""
    from dbtasks import records

    everything = all_ and not (pk or where)  # both is refused by the library
    review = _Review(run, "update", decided=bool(pk or expect), everything=everything)
    done = records.update(
        run.project,
        model,
        pk=pk or (),
        where=where or (),
        everything=all_,
        values=set_ or (),
        nulls=set_null or (),
        expect=whole(expect, "--expect"),
        batch_size=positive(batch_size, "--batch-size"),
        pause=seconds(pause, "--pause"),
        dry_run=run.dry_run,
        on_preview=review.on_preview,
        on_batch=review.on_batch,
    )
    verb = "would be changed" if run.dry_run else "changed"
    run.output.line(f"{done.matched} matched, {done.changed} {verb}.")


@command(writes=True, asks=True)
def delete(
    run: Run,
    model: str | None = None,
    pk: list[str] | None = None,
    where: list[str] | None = None,
    all_: bool = False,
    expect: str | None = None,
    batch_size: str | None = None,
    pause: str | None = None,
) -> None:
    """Delete the records that --where or --pk names."""
    from dbtasks import records

    everything = all_ and not (pk or where)
    review = _Review(run, "delete", decided=bool(pk or expect), everything=everything)
    done = records.delete(
        run.project,
        model,
        pk=pk or (),
        where=where or (),
        everything=all_,
        expect=whole(expect, "--expect"),
        batch_size=positive(batch_size, "--batch-size"),
        pause=seconds(pause, "--pause"),
        dry_run=run.dry_run,
        on_effects=review.show_effects,
        on_preview=review.on_preview,
        on_batch=review.on_batch,
    )
    run.output.line(f"{done.matched} {'would be ' if run.dry_run else ''}deleted.")


class _Review:
    """Show a person what a change does, and ask, before it is committed.

    `decided` says that the command line already limits it, to one key or to a number.
    """

    def __init__(self, run: Run, verb: str, *, decided: bool, everything: bool) -> None:
        self.run = run
        self.verb = verb
        self.everything = everything
        self.asks = run.terminal and not (decided or run.no_input)
        if run.dry_run:
            return
        if everything:
            run.allow(f"{verb} without a filter changes every record")
        elif not (decided or self.asks):
            run.check_unattended(by_key=verb != "change")

    @property
    def on_preview(self) -> "Callable[[Preview], None] | None":
        """Return what shows the change, where somebody reads it."""
        return self._preview if self.asks or self.run.dry_run else None

    def _preview(self, preview: "Preview") -> None:
        output = self.run.output
        if self.run.dry_run and preview.statement:
            output.line(preview.statement)
        output.note(f"{self.verb} of {preview.count} records:")
        output.changes(preview.columns, preview.before, preview.after)
        if preview.count > len(preview.before):
            output.note(f"  … and {preview.count - len(preview.before)} more")
        if not self.run.dry_run:
            what = f"{self.verb} {preview.count} records"
            self.run.ask(what) if self.everything else self.run.ask_yes(what)

    def show_effects(self, effects: "list[Effect]") -> None:
        """Say what else a deletion touches."""
        for effect in effects:
            rows = "rows" if effect.rows is None else f"{effect.rows} rows"
            what = effect.what if effect.what.startswith("is ") else f"{rows} {effect.what}"
            self.run.output.note(f"{effect.table}: {what}")

    def on_batch(self, batch: "Batch") -> None:
        """Say how far it has come: what is committed stays when it is interrupted now."""
        last = ", ".join(f"{name}={cell_of(value)}" for name, value in batch.last.items())
        self.run.output.note(f"{batch.done} done, to {last}")


COMMANDS = (add, update, delete)
