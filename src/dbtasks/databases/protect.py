"""Mark a database with the environment that it belongs to."""

from dataclasses import dataclass

from dbtasks.errors import UsageError
from dbtasks.guards import mark, marker_of, unmark
from dbtasks.project import Project


@dataclass(frozen=True)
class Protection:
    """Describe a database by its name, and the environment that it is marked with."""

    database: str
    marker: str | None


def protect(project: Project, as_: str | None = None, *, remove: bool = False) -> Protection:
    """Mark the database with the environment `as_`, and return how it is marked now.

    With `remove` the marker is removed; without either it only looks. `production` (also prod,
    prd, live) is the environment whose databases are not destroyed by mistake. Raises UsageError
    for what cannot be a name.
    """
    if as_ is not None and remove:
        raise UsageError("--as and --remove exclude each other", hint="leave one out")
    if remove:
        unmark(project)
    if as_ is not None:
        mark(project, as_)
    return Protection(project.name, marker_of(project))
