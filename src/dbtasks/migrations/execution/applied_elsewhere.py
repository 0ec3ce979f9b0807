"""The project's databases: none of them may have a revision whose file is to change, or to go."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from shlex import quote

from dbtasks.errors import DbtasksError, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.execution.showmigrations import showmigrations
from dbtasks.migrations.history.resolve_target import InsideSquash
from dbtasks.project import Project


def check_others(
    project: Project, revisions: Collection[str], *, not_applied_in: Collection[str], hint: str
) -> None:
    """Refuse where another declared database has one of the revisions, or cannot be looked at.

    `not_applied_in` are the aliases of those that cannot, and of which a person knows that they
    have none of them. `hint` says what is to be done where one has.
    """
    _check_declared(project, not_applied_in)
    found, unseen = _look(_others(project))
    for alias, has in found.items():
        applied = [one for one in has if one in revisions]
        if applied:
            raise Refused(f"the database {alias!r} has {', '.join(applied)}", hint=hint)
    for alias in not_applied_in:
        unseen.pop(alias, None)
    if unseen:
        raise _unseen(unseen, revisions)


def check_squashable(project: Project, inside: Collection[str], last: str) -> dict[str, str]:
    """Refuse where a declared database has revisions of a range, and not the last of them.

    Returns why which databases cannot be looked at: they are told, should they stand there.
    """
    found, unseen = _look(chain([project], _others(project)))
    for alias, why in unseen.items():
        if isinstance(why, InsideSquash):
            raise Refused(
                f"of {alias!r}: {why.message}",
                hint=f"{why.hint}: --database {quote(alias)}",
            )
    for alias, has in found.items():
        some = [one for one in has if one in inside]
        if some and last not in some:
            raise Refused(
                f"the database {alias!r} stands inside the range: it has {', '.join(some)}, "
                f"and not {last}",
                hint="bring it to the end first: "
                + command_line("migrate", to=last, database=alias),
            )
    return {alias: why.message for alias, why in unseen.items()}


def _look(projects: Iterable[Project]) -> tuple[dict[str, list[str]], dict[str, DbtasksError]]:
    """Return which revisions each database has, and why which of them cannot be looked at."""
    found: dict[str, list[str]] = {}
    unseen: dict[str, DbtasksError] = {}
    for one in projects:
        alias = one.settings.database
        try:
            found[alias] = [each.revision.id for each in showmigrations(one) if each.applied]
        except DbtasksError as error:
            error.message = one.scrub(error.message)
            unseen[alias] = error
    return found, unseen


def _check_declared(project: Project, aliases: Collection[str]) -> None:
    for alias in aliases:
        if alias not in project.settings.databases:
            raise UsageError(
                f"--not-applied-in {alias}: there is no such database",
                hint=f"take one of {', '.join(project.settings.databases)}",
            )


def _others(project: Project) -> Iterator[Project]:
    """Yield the project on each other alias that is not the same database."""
    for alias in project.settings.databases:
        with closing(project.on(alias)) as other:
            if alias != project.settings.database and not _is_same(project, other):
                yield other


def _is_same(project: Project, other: Project) -> bool:
    try:
        return other.backend.url == project.backend.url
    except DbtasksError:  # without a URL, which is told where it is looked at
        return False


def _unseen(unseen: Mapping[str, DbtasksError], revisions: Collection[str]) -> Refused:
    told = "; ".join(f"{alias}: {why.message}" for alias, why in unseen.items())
    flags = " ".join(f"--not-applied-in {quote(alias)}" for alias in unseen)
    return Refused(
        f"whether every database is without {', '.join(revisions)} cannot be seen; {told}",
        hint=f"let it be reached; or, if you know that it has none of these: {flags}",
    )
