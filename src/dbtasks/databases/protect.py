"""Mark a database with the environment that it belongs to."""

from dataclasses import dataclass

from dbtasks.guards import mark, marker_of
from dbtasks.project import Project


@dataclass(frozen=True)
class Protection:
    """Describe a database by its name, and the environment that it is marked with."""

    database: str
    marker: str | None


def protect(project: Project, as_: str | None = None) -> Protection:
    """Mark the database with the environment `as_`, and return how it is marked now.

    Without one it only looks. `production` is the environment whose databases are not destroyed
    by mistake. Raises UsageError for what cannot be a name.
    """
    if as_ is not None:
        mark(project, as_)
    return Protection(project.name, marker_of(project))
