"""Records: the rows of any mapped class or table, asked for."""

from typing import TYPE_CHECKING, Any

from dbtasks.cells import cell_of
from dbtasks.errors import UsageError
from dbtasks.output import FORMATS
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice, names, whole
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.records import Query, Record


@command(previews=True)
def query(
    run: Run,
    model: str | None = None,
    table: str | None = None,
    name: str | None = None,
    where: list[str] | None = None,
    order_by: list[str] | None = None,
    columns: str | None = None,
    limit: str | None = None,
    offset: str | None = None,
    format_: str | None = None,
    output: str | None = None,
    count: bool = False,
    explain: bool = False,
) -> None:
    """Show the records that meet all conditions."""
    from dbtasks import records

    chosen = choice(format_, "--format", FORMATS)
    if output is not None:
        check_first(run, "--output")
    if model is None and table is None and run.lacks_models():
        return
    found = records.query(
        run.project,
        model,
        table=table,
        name=name,
        where=where or (),
        order_by=order_by or (),
        columns=names(columns, "--columns"),
        limit=whole(limit, "--limit"),
        offset=whole(offset, "--offset"),
    )
    with run.output.into(output):
        if run.dry_run:
            for line in found.sql().splitlines():
                run.output.line(line)
        elif count:
            run.output.line(str(found.count()))
        elif explain:
            run.output.records(*found.explain(), chosen, "line")
        else:
            _show(run, found, chosen, plain=columns is not None)
    run.tell_changed()


@command()
def get(
    run: Run, model: str | None = None, pk: list[str] | None = None, format_: str | None = None
) -> None:
    """Show one record, all its columns and the objects that it refers to."""
    from dbtasks import records

    chosen = choice(format_, "--format", ("text", "json"))
    found = records.get(run.project, model, pk=pk or ())
    if chosen == "json":
        run.output.document(_document(found))
    else:
        run.output.pairs([*found.values.items(), *_related(found)])


def check_first(run: Run, option: str) -> None:
    """Refuse, after the first of several databases, what the first has used up."""
    if run.finished:
        raise UsageError(
            f"{option} is for one database, and {run.finished[0]} has had it",
            hint="name one with --database",
        )


def _show(run: Run, found: "Query", format_: str, *, plain: bool) -> None:
    if format_ == "text" and found.has_text and not plain:
        run.output.lines(found.texts(on_lazy_load=run.warn_of_lazy_load))
    else:
        run.output.records(found.columns, found.rows(), format_)


def _related(found: "Record") -> list[tuple[str, Any]]:
    return [
        (name, one and (one.text or ", ".join(f"{k}={cell_of(v)}" for k, v in one.values.items())))
        for name, one in found.related.items()
    ]


def _document(found: "Record") -> dict[str, Any]:
    related = {name: one and dict(one.values) for name, one in found.related.items()}
    return {**found.values, **related}


COMMANDS = (query, get)
