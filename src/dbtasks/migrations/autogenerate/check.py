"""Whether the models have anything that the history has not."""

from collections.abc import Callable

from dbtasks.migrations.autogenerate.verdict import Verdict
from dbtasks.project import Project


def missing(
    project: Project,
    *,
    from_database: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> tuple[str, ...]:
    """Return what the models have and the history has not, in words; nothing is asked.

    `on_note` is told where the project's own database was compared. Raises Refused for several
    heads that nobody declared: `migrate` would not run them.
    """
    verdict = None if from_database else Verdict.about(project)
    if verdict is not None and verdict.is_kept():
        return ()
    from dbtasks.migrations.autogenerate.missing import find_missing  # it imports Alembic

    found = find_missing(project, from_database=from_database, on_note=on_note)
    if verdict is not None and found.replayed and not found.changes:
        verdict.keep()
    return found.changes
