"""The code of a revision's function, with what it needs beside its statements, and what runs it."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from dbtasks.errors import UsageError
from dbtasks.migrations.autogenerate.layout import lay_out
from dbtasks.migrations.history import template
from dbtasks.migrations.history.source_edit import Code


@dataclass(frozen=True)
class Needs:
    """Collect what code needs beside its statements, while it is rendered."""

    imports: set[str] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)


def laid_out(source: str) -> str:
    """Return code as it is written. Raises UsageError for the `repr` of a value that is none."""
    try:
        return lay_out(source)
    except SyntaxError as error:
        line = (error.text or source).strip()
        raise UsageError(
            f"the models have a value that cannot be written as code: {line}",
            hint="replace it with a plain value, as a string in place of an enum's member",
        ) from error


def execute(context: MigrationContext, code: Code) -> None:
    """Run code on a database, as Alembic would."""
    names = names_of(context)
    for line in code.imports:
        exec(line, names)
    names["op"] = Operations(context)
    exec(f"def run():\n    {code.text or 'pass'}\n", names)
    names["run"]()


def names_of(context: MigrationContext) -> dict[str, Any]:
    """Return what code may name without an import: what the project's template imports."""
    names: dict[str, Any] = {"sa": sqlalchemy}
    if context.environment_context is not None:
        for line in template.imports_of(context.environment_context.script):
            exec(line, names)
    return names
