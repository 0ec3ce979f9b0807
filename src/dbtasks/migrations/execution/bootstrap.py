"""What a history takes for granted, as tables that create_all once made: on an empty database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.exc import DBAPIError

from dbtasks.errors import NOTHING_CHANGED, DbtasksError, Rejected, UsageError
from dbtasks.models import NOT_REFLECTED
from dbtasks.project import Project
from dbtasks.references import load, place_in_project, project_raised

Bootstrap = Callable[[Connection], str | None]


def find(project: Project, connection: Connection) -> Bootstrap | None:
    """Return the project's function for an empty database, where it has one and this is empty.

    It makes its tables in the transaction that is open, and returns the revision that they are
    at; None is before the first. It raises DbtasksError for whatever the project's own code did.
    """
    reference = project.settings.bootstrap
    if reference is None:
        return None
    with nullcontext() if connection.in_transaction() else connection.begin():
        found = inspect(connection).get_table_names()
    if not all(NOT_REFLECTED.match(one) for one in found):
        return None
    project.start_application()
    function = load(reference, "bootstrap")
    return lambda connection: _call(project, function, connection)


def _call(
    project: Project, function: Callable[[Connection], Any], connection: Connection
) -> str | None:
    name = f"bootstrap={project.settings.bootstrap!r}"
    try:
        with (
            nullcontext() if connection.in_transaction() else connection.begin(),
            _without_commit(connection, name),
        ):
            found = function(connection)
    except DbtasksError:
        raise
    except DBAPIError as error:
        refused = project.backend.explain(error, state=NOTHING_CHANGED)
        if not isinstance(refused, Rejected):
            raise
        place = place_in_project(error)
        where = f" ({place[0]}, line {place[1]})" if place else ""
        refused.message = f"{name}: {refused.message}{where}"
        refused.hint = "fix the function: it is called on an empty database"
        raise refused from error
    except Exception as error:
        raise project_raised(name, error, function=function) from error
    if found is None or isinstance(found, str):
        return found
    raise UsageError(
        f"{name} returned {found!r}",
        hint="it returns the revision that the tables are at, or None: before the first",
    )


@contextmanager
def _without_commit(connection: Connection, name: str) -> Iterator[None]:
    """Refuse a COMMIT within the block before it is sent: `migrate` commits, with its own rows."""

    def refuse(_: Connection) -> None:
        raise UsageError(
            f"{name} commits the transaction that it is called in",
            hint="leave out its connection.commit(): dbtasks commits",
        )

    event.listen(connection, "commit", refuse)
    try:
        yield
    finally:
        event.remove(connection, "commit", refuse)
