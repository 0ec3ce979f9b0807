"""Options of the command line: their help, their short forms, and how their texts are read."""

import re
from collections.abc import Iterable
from copy import copy
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import ParseMachine

from dbtasks.errors import DbtasksError, UsageError

HELP = {
    "all": "Every record; without --where and --pk it must be said.",
    "allow-production": "Destroy in a database marked as production: repeat the database's name.",
    "any-revision": "Also where the rows are of another revision than the database.",
    "applied": "A person has finished the revision: record it as applied.",
    "as": "The environment to mark the database with, as in production.",
    "backwards": "The SQL that reverts the revision.",
    "batch-size": "Commit so many records at a time, in their order.",
    "check": "Exit 1 when a revision is pending; change nothing.",
    "columns": "Columns, with commas between: id,name,department.name.",
    "count": "Show only the number of records.",
    "database": "The database, by its alias; `all` is every declared one that may be written to.",
    "default": "TABLE.COLUMN=VALUE for the rows that are there, once.",
    "default-sql": "TABLE.COLUMN=EXPRESSION for the rows that are there, as SQL.",
    "drop": "A column or table that is dropped, and not renamed.",
    "dry-run": "Show what would be done, and change nothing.",
    "echo": "Show the SQL, on stderr.",
    "exclude": "A model or table to leave out.",
    "expect": "Roll back unless so many records match.",
    "empty": "Write a revision without operations.",
    "explain": "Show the engine's plan for the statement.",
    "fake": "Record the revisions as applied, without running them.",
    "fake-initial": "Mark the initial revision as applied if its tables already exist.",
    "fast": "Into empty tables, with foreign keys and indexes made and validated after.",
    "file": "A file of SQL statements, which are one transaction; - is stdin.",
    "follow": "Dump the rows that refer to what is picked, too.",
    "format": "The form of the result: {formats}.",
    "from": "The database to copy from, by its alias.",
    "from-database": "Compare the models with the database, and not with the history.",
    "from-file": "A file of records, JSON, JSON lines or CSV; - is stdin.",
    "graph": "Draw the history; --format mermaid or dot for documents.",
    "head": "The head that the revision comes after, by its branch's label or its id.",
    "ignore-existing": "Leave a row as it is where its primary key is there already.",
    "input": "A dump, or a CSV or JSON file of one table; - is stdin.",
    "limit": "The highest number of records.",
    "lock-timeout": "Wait so many seconds behind other transactions (5), and try again.",
    "mask": "MODEL.FIELD=KIND: email, name, …, any or null for the real values.",
    "merge": "Join the heads of the history.",
    "model": "The mapped class, or a table; without it the default one.",
    "name": "The beginning of the record's name.",
    "no-input": "Do not ask; --noinput is the same.",
    "not-applied-in": "An alias that cannot be reached, and has not had what is changed.",
    "offset": "Leave out so many records first.",
    "only": "One of several seed functions, by its name.",
    "own-tables-sql": "Show the SQL that makes dbtasks' own tables, for a role that may.",
    "order-by": "A field to sort by; -FIELD turns the order round.",
    "output": "A file to write to.",
    "param": "NAME=VALUE for :NAME in the statement, bound as text.",
    "pause": "Wait so many seconds between batches.",
    "per-revision": "Commit after each revision, instead of once.",
    "pk": "The primary key, or FIELD=VALUE for each part of it.",
    "plan": "Only what `migrate` would do now, in its order.",
    "random-seed": "A number; the same one makes up the same rows.",
    "rebase": "Put the side that has this revision after the other head.",
    "remove": "Remove the marker of the database.",
    "rename": "OLD:NEW, as in employee.name:employee.full_name.",
    "replant": "Empty all tables first.",
    "resume": "Go on behind the rows that an interrupted load in batches has committed.",
    "revision": "A revision, or its unique beginning.",
    "rolled-back": "A person has undone the revision: record it as not applied.",
    "sample": "So many rows of each model, by chance, and what they refer to.",
    "set": "FIELD=VALUE; several set several fields.",
    "set-null": "A field to set to NULL.",
    "statement": "One SQL statement.",
    "steps": "How many revisions (1).",
    "table": "A table of the database that no model knows, as name or schema.name.",
    "timeout": "Keep trying for so many seconds.",
    "to": "The database to copy into, by its alias.",
    "traceback": "Show where an error was raised.",
    "truncate": "Empty the tables first, in the same transaction.",
    "undo": "Run the reverse of what is applied of the revision.",
    "update": "Let the newest revision do what is missing, if it is not applied.",
    "upsert": "Change the record where its primary key is there already.",
    "wait": "Wait so many seconds for another run to end (60).",
    "where": "FIELD=VALUE or FIELD__LOOKUP=VALUE; several must all be met.",
    "write": "Let the statements change the database.",
}

REPLAYED_IN = "The database, by its alias, in whose kind the history is replayed"
WHOLE = "A mapped class, or a table; several times for several, without it all."

# What an option means on one command only.
PARTICULAR = {
    "migrate": {
        "resume": "Run the rest of a revision that stopped part way.",
        "to": "A revision or its unique beginning, +N, -N (--to=-10), `heads` or `base`.",
    },
    "makemigrations": {
        "check": "Exit 1 when the models have changes without a revision; write nothing.",
        "database": f"{REPLAYED_IN}, and which --update, --rebase and --from-database look at.",
        "name": "Name of the revision (default: derived from the changes).",
    },
    "squashmigrations": {
        "database": f"{REPLAYED_IN}.",
        "from": "The first revision, its unique beginning, or `base`.",
        "name": "The new revision's name; its id is that of the last.",
        "to": "The last revision, its unique beginning, or `heads`.",
    },
    "init": {
        "database": "The kind of database: sqlite (default), postgresql or mysql.",
        "empty": "Without the models and rows of the example.",
        "name": "The new project's folder and package; without it this folder.",
    },
    "sqlmigrate": {"database": "The database, by its alias, in whose SQL it is shown."},
    "seed": {
        "count": "Make up so many rows of --model.",
        "model": "The mapped class, or the table, to make up rows of; with --count.",
    },
    "dumpdata": {
        "format": "jsonl (one file), csv or parquet (a folder); without it as --output ends.",
        "model": f"{WHOLE} Where rows are picked: where that begins.",
        "output": "The file or folder to write; without it stdout.",
        "where": "MODEL.FIELD=VALUE or MODEL.FIELD__LOOKUP=VALUE; several must all be met.",
    },
    "loaddata": {
        "columns": "The columns of a file of one table, in their order: id,name,dept_id.",
        "header": "The first line of a CSV is a header, whose names --columns replaces.",
        "input": "A dump, a fixture of Django, or a CSV, JSON or Parquet file; - is stdin.",
        "model": "The mapped class, or the table, whose rows are in a file of one table.",
    },
    "copydata": {"model": WHOLE},
    "flush": {"model": WHOLE},
}

# The same few short forms on every command.
SHORT = {
    "model": ("m",),
    "where": ("w",),
    "set": ("s",),
    "output": ("o",),
    "no-input": ("y", "noinput"),
}

# Alembic and Flask-Migrate call a revision's name its message.
ALSO = {("makemigrations", "name"): ("m", "message")}
"""Other forms of an option on one command."""

LONGEST_NUMBER = 15
LONGEST_SECONDS = 2_000_000  # SQLite and the threads count milliseconds in 32 bits


def whole(text: str | None, option: str) -> int | None:
    """Read a whole number that is not negative."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) > LONGEST_NUMBER:
        raise UsageError(f"{option} is too large a number", hint=f"as in {option} 10")
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{option} {text!r} is not a whole number", hint=f"as in {option} 10")
    return int(text)


def seconds(text: str | None, option: str) -> float:
    """Read a number of seconds; none is 0."""
    if text is None:
        return 0
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= LONGEST_SECONDS:  # NaN is not either
        raise UsageError(
            f"{option} {text!r} is no number of seconds up to {LONGEST_SECONDS:,}",
            hint=f"as in {option} 30",
        )
    return value


def positive(text: str | None, option: str) -> int | None:
    """Read a whole number above 0."""
    number = whole(text, option)
    if number == 0:
        raise UsageError(f"{option} {text!r} is not above 0", hint=f"as in {option} 1000")
    return number


def names(text: str | None, option: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    if text is None:
        return ()
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise UsageError(
            f"{option} {text!r} has an empty name",
            hint="write names with commas between them, as in id,name: is a variable unset?",
        )
    return found


def choice(text: str | None, option: str, known: Iterable[str]) -> str:
    """Read one of the known words; without a text it is the first."""
    words = tuple(known)
    if text is None:
        return words[0]
    if text not in words:
        raise UsageError(f"{option} {text!r} is not known", hint=f"take {', '.join(words)}")
    return text


def check_text(option: str, text: str) -> None:
    """Refuse an option that was given empty, or whose text no file and no database can store."""
    if not text.strip():
        raise _without_value(option)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"--{option} is not valid UTF-8, at character {error.start + 1}",
            hint="check the encoding of the terminal or of the script",
        ) from error
    if "\0" in text:
        raise UsageError(
            f"--{option} has a NUL character, at character {text.index(chr(0)) + 1}",
            hint="load such values from a file of records",
        )


def describe(error: DbtasksError, *, after: str = "") -> str:
    """Return the lines of an error: what happened, what to type next, what state it left."""
    lines = [f"error: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join([*lines, f"state: {error.state}{after}"])


def _without_value(option: str, instead: str = "") -> UsageError:
    return UsageError(
        f"--{option} needs a value" + (f", and {instead} looks like an option" if instead else ""),
        hint=f"give --{option} a value, or leave it out: is a variable unset?",
    )


class Misuse(Exit, ParseError):
    """Refuse the command line with exit 2; to Invoke's completion it is a parse error."""

    def __init__(self, error: DbtasksError, context: ParserContext | None = None) -> None:
        super().__init__(code=error.exit_code)
        self.args = (describe(error),)
        self.context = context


OPTION = re.compile("--[a-z][a-z-]*(=.*)?", re.DOTALL)


class Option(Argument):
    """Refuse an empty value and a second one, before any command of the line runs."""

    def __deepcopy__(self, memo: object) -> "Option":
        """Copy it whole: Invoke copies all options twice at each start, and no value is shared."""
        return copy(self)

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take a value. A text that looks like an option stands where a value is missing."""
        if self.takes_value:
            try:
                self._check(value)
            except UsageError as error:
                raise Misuse(error) from error
        super().set_value(value, cast)

    def complete(self, context: ParserContext, *, got_value: bool) -> None:
        """Raise Misuse when the command line goes on and this has no value."""
        if not got_value:
            raise Misuse(_without_value(self.names[0]), context)
        self.raw_value = None  # Invoke passes a value on to `set_value` when this is None

    def _check(self, value: str) -> None:
        option = self.names[0]
        if self.kind is not list and self._value is not None:
            raise UsageError(f"--{option} is given twice", hint="leave one out")
        check_text(option, value)
        if OPTION.fullmatch(value):
            raise _without_value(option, value.partition("=")[0])


_complete_flag = ParseMachine.complete_flag


def _complete_flag_or_option(machine: ParseMachine) -> None:
    """Ask an option of ours whether it has a value, when the parser is done with it.

    Only the parser knows which occurrence of an option got one: Invoke passes over a list
    (`-w a=1 -w`), as its raw_value is not None, and exits 1 for the others. No method of
    Argument is called for it, and users run Invoke's own Program: it has to be patched here.
    """
    option = machine.flag
    if isinstance(option, Option) and option.takes_value:
        option.complete(machine.context, got_value=machine.flag_got_value)
        machine.flag = None
    else:
        _complete_flag(machine)


ParseMachine.complete_flag = _complete_flag_or_option  # type: ignore[assignment] # a patch
