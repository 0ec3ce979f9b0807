"""Records: the rows of any mapped class."""

from dbtasks.output import FORMATS
from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice, whole
from dbtasks.tasks.run import Run


@command()
def query(
    run: Run,
    model: str | None = None,
    name: str | None = None,
    where: list[str] | None = None,
    limit: str | None = None,
    format_: str | None = None,
) -> None:
    """Show the records that meet all conditions."""
    from dbtasks import records

    chosen = choice(format_, "--format", FORMATS)
    number = whole(limit, "--limit")
    found = records.query(run.project, model, name=name, where=where or (), limit=number)
    if chosen == "text" and found.has_text:
        run.output.lines(found.texts(on_lazy_load=run.warn_of_lazy_load))
    else:
        run.output.records(found.columns, found.rows(), chosen)


COMMANDS = (query,)
