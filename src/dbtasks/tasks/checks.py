"""Checks: is everything as it should be."""

from dbtasks.tasks.edge import command
from dbtasks.tasks.options import choice
from dbtasks.tasks.run import Run


@command()
def settings(run: Run, format_: str | None = None, own_tables_sql: bool = False) -> None:
    """Show every setting, its value and where it comes from; secrets are hidden."""
    from dbtasks.report import report_own_tables, report_settings

    if own_tables_sql:
        run.output.line(report_own_tables(run.project))
        return
    chosen = choice(format_, "--format", ("table", "text", "json", "jsonl", "csv"))
    rows = [(one.name, one.value, one.source) for one in report_settings(run.settings)]
    run.output.records(("setting", "value", "source"), rows, chosen, "setting")


COMMANDS = (settings,)
