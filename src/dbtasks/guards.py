"""What must be so before a database is written to, and before something is destroyed.

A marker in the database itself says which environment it belongs to, so that a wrong URL cannot
fool us; on a marked database a journal says who wrote.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from dbtasks import own_tables, person
from dbtasks.engines import mask_text
from dbtasks.errors import ROLLED_BACK, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.locks import hold
from dbtasks.own_tables import NAME_LENGTH
from dbtasks.project import Project
from dbtasks.settings import PRODUCTION, known_environment

HIDDEN = ("set", "param")
"""Options that name a value to be stored: the journal has their names, not their values."""


COMMAND_LENGTH = 2000
"""As much of a command as the journal keeps; its column holds more on every engine."""


@dataclass(frozen=True)
class Question:
    """Hold what is to be confirmed, and the word that confirms it."""

    text: str
    word: str

    def check(self, answer: str) -> None:
        """Raise Refused unless the answer is the word."""
        if answer.strip() != self.word:
            raise Refused("not confirmed", hint=f"type {self.word}, the database's name, to go on")


def check_writable(project: Project) -> None:
    """Refuse to write to a database that the project declared as read-only."""
    if project.read_only:
        raise Refused(
            f"the database {project.settings.database!r} is declared read-only",
            hint="name another with --database, or fix databases= in tasks.py",
        )


def check_write(
    project: Project,
    *,
    destructive: bool = False,
    allow_production: str | None = None,
    replaces: bool = False,
) -> None:
    """Refuse what the marker in the database does not allow; without a marker all is allowed.

    A database that is marked with another environment than ours takes no write at all. One
    that is marked as production is destroyed only where `allow_production` repeats its name; so
    is a marker that no environment can have, by a command that `replaces` it.
    """
    marker = marker_of(project)
    if marker is None:
        return
    replaced = replaces and not _can_be_set(marker) and allow_production == project.name
    if marker != project.settings.environment and not replaced:
        raise _other_environment(project, marker)
    if destructive and marker == PRODUCTION and allow_production != project.name:
        raise _production(project, allow_production)


def is_production(project: Project) -> bool:
    """Whether the database is marked as production."""
    return marker_of(project) == PRODUCTION


def check_limited(project: Project, *, by_key: bool) -> None:
    """Refuse to change records of a production database where no number limits the change.

    `by_key` says that the command can name one record by its key.
    """
    if is_production(project):
        raise Refused(
            f"{project.name} is marked as {PRODUCTION}, and nobody sees what this changes",
            hint="say how many records it is: --expect N" + ", or name one with --pk" * by_key,
        )


def check_chosen(project: Project, *, named: bool) -> None:
    """Refuse to destroy without asking where it is not clear in which database.

    `named` says whether the command line or the environment named it.
    """
    if not named and len(project.settings.databases) > 1:
        raise UsageError(
            "the project has several databases, and --no-input names none",
            hint="add --database, with one of " + ", ".join(project.settings.databases),
        )


def ask(project: Project, action: str) -> Question:
    """Return the question that stands before a destructive action."""
    return Question(
        f"{action[:1].upper()}{action[1:]}.\ndatabase: {project.describe()}", project.name
    )


def refuse_without_terminal(action: str) -> Refused:
    """Return the error for a question that nobody can be asked."""
    return Refused(
        f"{action}: this asks first, and there is no terminal to ask on",
        hint="add --no-input if it is meant",
    )


def marker_of(project: Project) -> str | None:
    """Return the environment that the database is marked with, or None.

    A SQLite file that does not exist is not marked, and not made. Raises Refused where a newer
    version of dbtasks has made our tables.
    """
    with project.migrating(writes=False) as connection, connection.begin():
        own_tables.check_format(connection, project.backend.own_schema)
        return _read_marker(project, connection)


def mark(project: Project, environment: str) -> None:
    """Mark the database with an environment, in place of the one that it may be marked with."""
    name = known_environment(environment.strip())
    if not name or not name.isprintable() or len(name) > NAME_LENGTH:
        raise UsageError(
            f"{environment!r} cannot be the name of an environment",
            hint=f"take a word of up to {NAME_LENGTH} characters, as in production",
        )
    with hold(project, "protect"):
        _mark(project, name)


def _mark(project: Project, name: str, *, new: bool = False) -> bool:
    """Write the marker, and return whether it was written; a `new` one replaces no other.

    A new one is written beside what a command does, which its outcome does not tell of.
    """
    schema = project.backend.own_schema
    table = own_tables.environment(schema)
    with project.connect(writes=True, beside=new) as connection:
        # The journal too: where DDL commits, a write could not make it in its own transaction.
        own_tables.make(project.backend, connection, table, own_tables.journal(schema))
        if _read_marker(project, connection) is None:
            connection.execute(insert(table).values(id=1, name=name))
            return True
        if not new:
            connection.execute(update(table).values(name=name))
            note_write(project, connection, "protect", 1, as_=name)
        return not new


def unmark(project: Project) -> None:
    """Remove the marker of the database; the journal says who did, and stays."""
    table = own_tables.environment(project.backend.own_schema)
    with hold(project, "protect"), project.connect(writes=True) as connection:
        if _read_marker(project, connection) is not None:
            note_write(project, connection, "protect", 1, remove=True)
            connection.execute(delete(table))


def mark_new(project: Project) -> str | None:
    """Mark an unmarked database with our environment, where that is set and not assumed.

    Returns the environment where the database was marked now.
    """
    settings = project.settings
    if settings.sources["environment"] == "default" or marker_of(project) is not None:
        return None
    name = known_environment(settings.environment)
    with hold(project, "protect"):
        return settings.environment if _mark(project, name, new=True) else None


@contextmanager
def unchanged(project: Project, connection: Connection) -> Iterator[None]:
    """Refuse, and roll back, where the block writes to the marker or to the journal.

    The database is asked before and after: a statement can spell a name in many ways.
    """
    schema = project.backend.own_schema
    tables = (own_tables.environment(schema), own_tables.journal(schema))
    before = _state(project, connection, tables)
    yield
    if _state(project, connection, tables) != before:
        raise Refused(
            f"the statement changes {tables[0].name} or {tables[1].name}, the guards of the "
            "database",
            hint=f"{command_line('protect', as_='ENVIRONMENT')} changes the marker; the journal is "
            "not for sql",
            state=ROLLED_BACK,
        )


def _state(project: Project, connection: Connection, tables: Sequence[Table]) -> object:
    there = [one for one in tables if own_tables.stands(connection, one)]
    return (
        [one.name for one in there],
        _read_marker(project, connection) if tables[0] in there else None,
        project.backend.state_of(connection, there),
    )


def note_write(
    project: Project, connection: Connection, command: str, rows: int, /, **options: Any
) -> None:
    """Note a write in the journal of a marked database, in the write's own transaction.

    `options` are the command's own; those that are None, False or empty are left out.
    """
    if _read_marker(project, connection) is None:
        return
    # inline: fetching the new key would ask for the right to read the journal.
    connection.execute(
        insert(own_tables.journal(project.backend.own_schema))
        .inline()
        .values(
            os_user=person.user()[:NAME_LENGTH],
            host=person.host()[:NAME_LENGTH],
            command=mask_text(" ".join([command, *_words(options)]))[:COMMAND_LENGTH],
            row_count=rows,
        )
    )


def _read_marker(project: Project, connection: Connection) -> str | None:
    table = own_tables.environment(project.backend.own_schema)
    if not own_tables.stands(connection, table):
        return None
    name = connection.scalar(select(table.c.name))
    return None if name is None else known_environment(name)


def _other_environment(project: Project, marker: str) -> Refused:
    settings = project.settings
    unset = settings.sources["environment"] == "default"
    why = f"{settings.environment}, as DBTASKS_ENV is not set" if unset else settings.environment
    hint = f"set DBTASKS_ENV={quote(marker)}"
    if not _can_be_set(marker):
        remove = command_line("protect", remove=True, allow_production=project.name)
        hint = f"remove the marker, which no environment can have: {remove}"
    return Refused(
        f"{project.name} is marked as {shown(marker)}, and the environment here is {why}",
        hint=f"is it the right database? ({command_line('settings')}) If it is, {hint}",
    )


def shown(marker: str) -> str:
    """Return a marker for a message, in quotes where it would not be seen otherwise."""
    return marker if _can_be_set(marker) else repr(marker)


def _can_be_set(marker: str) -> bool:
    """Whether DBTASKS_ENV can be a marker that is stored, perhaps by another program."""
    return bool(marker) and marker.isprintable()


def _production(project: Project, given: str | None) -> Refused:
    what = f"{project.name} is marked as {PRODUCTION}"
    if given is not None:
        what += f", and --allow-production names {given!r}"
    return Refused(what, hint=f"if it is meant, add --allow-production {project.name}")


def _words(options: dict[str, Any]) -> Iterator[str]:
    """Yield the options as the command line has them."""
    for name, value in options.items():
        option = "--" + name.strip("_").replace("_", "-")
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                yield option
            elif one is not None and one is not False:
                field, equals, _ = str(one).partition("=")
                hidden = name.strip("_") in HIDDEN and equals
                yield f"{option} {field}=…" if hidden else f"{option} {one}"
