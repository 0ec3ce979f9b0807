"""Completion in the shell: commands, options, and the values that a project has for them."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress

from invoke.collection import Collection

from dbtasks.migrations.history.reader import files_of
from dbtasks.tasks.command_line import CommandLine
from dbtasks.tasks.edge import Command

MODELS = frozenset({"model", "exclude"})
REVISIONS = frozenset({"to", "from", "head", "revision", "rebase"})
FIELDS = frozenset({"where", "set", "set-null", "order-by", "columns"})
ALIASES = frozenset({"database", "not-applied-in"})


def candidates(typed: str, line: CommandLine, collection: Collection) -> Iterator[str]:
    """Yield what may follow, for the words of a command line whose last one is not finished."""
    words = shlex.split(typed)
    command, option = _place(words, line)
    # Bash drops an empty last word: a whole command or option counts as finished.
    finished = typed.endswith(" ") or option is not None or bool(words and words[-1] == command)
    last = "" if finished or not words else words.pop()
    if not finished:
        command, option = _place(words, line)
    flags = line.contexts[command].flags if command else {}
    name, equals, _ = last.partition("=")
    if command and equals and name in flags:
        values = _values(flags[name].names[0], line, command, collection)
        yield from (f"{name}={one}" for one in values)
    elif command and option:
        yield from _values(option, line, command, collection)
    elif last.startswith("-"):
        yield from (line.contexts[command] if command else line.core).flag_names()
    else:
        yield from sorted(collection.task_names)
        for option, _ in line.slots(command) if command else ():
            yield from _values(option, line, str(command), collection)


def _place(words: Iterable[str], line: CommandLine) -> tuple[str | None, str | None]:
    """Return the command that the next word belongs to, and the option that waits for a value."""
    command: str | None = None
    option: str | None = None
    for word in words:
        flags = line.contexts[command].flags if command else {}
        if option is not None:
            option = None
        elif word in line.contexts:
            command = word
        elif word in flags and flags[word].takes_value:
            option = flags[word].names[0]
    return command, option


def _values(option: str, line: CommandLine, command: str, collection: Collection) -> Iterable[str]:
    """Return what an option may be given; nothing where the project cannot tell."""
    task = collection[line.contexts[command].name]
    if not isinstance(task, Command):
        return ()
    with suppress(Exception):  # a project that does not import completes nothing
        settings = task.binding.settings({}, None)
        if option in ALIASES or task.name == "copydata":
            return settings.databases
        if option in REVISIONS:
            return sorted(one.id for one in files_of(settings) or ())
        project = task.binding.project(settings)
        if option in MODELS:
            return sorted(project.mappers)
        if option in FIELDS:
            return sorted(project.find_mapper().attrs.keys())
    return ()
