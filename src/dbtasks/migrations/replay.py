"""The history, applied to an empty scratch database of the project's kind."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from dbtasks.errors import DbtasksError, Rejected
from dbtasks.migrations.opening import open_environment
from dbtasks.project import Project
from dbtasks.references import project_raised

EVERYTHING = "heads"


@contextmanager
def replayed(project: Project, to: str = EVERYTHING) -> Iterator[Project]:
    """Open the project on a scratch database that has its history, up to some revision.

    Raises UsageError where none can be made, Rejected for a revision that fails there.
    """
    with (
        project.backend.scratch(project.backend).opened() as url,
        project.elsewhere(url) as scratch,
    ):
        scratch.echo = project.echo
        replay(scratch, to)
        yield scratch


def replay(scratch: Project, to: str = EVERYTHING) -> None:
    """Apply the history to an empty database."""
    with open_environment(scratch, writes=True) as environment:
        try:
            environment.execute(lambda scripts, heads: scripts._upgrade_revs(to, heads))  # type: ignore[arg-type]  # as Alembic calls it itself
        except DbtasksError:
            raise
        except DBAPIError as error:
            raise Rejected(
                f"the history cannot be replayed: {scratch.backend.message_of(error)}",
                hint="each revision has to run on an empty database: try inv migrate on one",
            ) from error
        except Exception as error:
            raise project_raised("the history", error) from error
