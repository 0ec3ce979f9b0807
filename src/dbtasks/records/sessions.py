"""Sessions of the commands: they see all rows, whatever the project's own sessions leave out."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from dbtasks.models import all_rows
from dbtasks.project import Project


@contextmanager
def open_session(
    project: Project, *, writes: bool = False, dry_run: bool = False
) -> Iterator[Session]:
    """Open a session of the project that sees all rows; its other events run."""
    with project.session(writes=writes, dry_run=dry_run) as session, all_rows(session):
        yield session
