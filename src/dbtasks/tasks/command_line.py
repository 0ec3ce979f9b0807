"""The command line of `dbtasks`: its words read as commands, options and values.

`inv` takes options only. `dbtasks` also takes the one value that a command is mostly given
(`dbtasks migrate 0002`), and answers a word that it does not know with the command that was meant.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext

from dbtasks.errors import UsageError

POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "add": ("model",),
    "copydata": ("from", "to"),
    "delete": ("model",),
    "dumpdata": ("model",),
    "flush": ("model",),
    "get": ("pk",),
    "init": ("name",),
    "loaddata": ("input",),
    "makemigrations": ("name",),
    "migrate": ("to",),
    "protect": ("as",),
    "query": ("model",),
    "redo": ("steps",),
    "resolve": ("revision",),
    "rollback": ("steps",),
    "seed": ("only",),
    "sql": ("statement",),
    "sqlmigrate": ("revision",),
    "squashmigrations": ("from", "to"),
    "update": ("model",),
    "waitdb": ("timeout",),
}
"""The options that values without an option mean, in their order. A list option takes them all."""

OTHER_TOOLS: Mapping[str, str] = {
    "autogenerate": "makemigrations",
    "branches": "showmigrations --graph",
    "check": "makemigrations --check",
    "create": "makemigrations --empty --message MESSAGE",
    "createsuperuser": "add",
    "current": "showmigrations",
    "db:migrate": "migrate",
    "db:migrate:redo": "redo",
    "db:migrate:status": "showmigrations",
    "db:rollback": "rollback",
    "db:seed": "seed",
    "db:status": "showmigrations",
    "db:seed:replant": "seed --replant",
    "db:truncate_all": "flush",
    "dbshell": "sql",
    "deploy": "migrate",
    "diff": "makemigrations --check",
    "down": "rollback",
    "downgrade": "rollback",
    "export": "dumpdata --output FILE",
    "heads": "showmigrations --graph",
    "help": "--help",
    "history": "showmigrations --graph",
    "import": "loaddata --input FILE",
    "insert": "add",
    "load": "loaddata --input FILE",
    "dump": "dumpdata --output FILE",
    "list": "showmigrations",
    "makemigration": "makemigrations",
    "merge": "makemigrations --merge",
    "migrate:rollback": "rollback",
    "migrate:status": "showmigrations",
    "migration": "makemigrations",
    "psql": "sql",
    "push": "migrate",
    "revision": "makemigrations --message MESSAGE",
    "select": "query",
    "squash": "squashmigrations",
    "stamp": "migrate --to REVISION --fake",
    "status": "showmigrations",
    "sqlflush": "flush --dry-run",
    "truncate": "flush",
    "undo": "rollback",
    "up": "migrate",
    "upgrade": "migrate",
    "upsert": "add --upsert",
    "version": "--version",
}
"""What the words of Alembic, Flask-Migrate, Django, Rails, Laravel and Prisma are here."""

SERVERS = frozenset(("runserver", "serve", "server", "start"))
"""What starts an application elsewhere."""

BY_APP = frozenset(("migrate", "sqlmigrate"))
"""Commands that Django gives the name of an app before the revision."""

PREFIXES = (
    *("db", "alembic", "manage.py", "python", "flask", "rails", "prisma", "artisan", "inv"),
    *("generate", "g"),
)
"""Words before the command in other tools' command lines, as in `flask db upgrade`."""

NUMBER = re.compile(r"[+-]\d+")

MISSPELT = 0.75
"""How much of two names is the same where one misspells the other: --modle is not --mode."""

SHORTEST_BEGINNING = 3
"""Letters by which a longer name is known."""


class CommandLine:
    """Read the words after `dbtasks`, by the commands and options that there are."""

    def __init__(self, contexts: Mapping[str, ParserContext], core: ParserContext) -> None:
        self.contexts = contexts
        self.core = core
        self.remainder: list[str] | None = None

    def read(self, words: Sequence[str]) -> list[str]:
        """Return the words with each positional value behind its option.

        Everything after `test` and its own options is left in `remainder`, for pytest. Raises
        UsageError for a word or an option that no command has.
        """
        rest = list(words)
        done: list[str] = []
        command: str | None = None
        slots: list[tuple[str, Argument]] = []
        while rest:
            word = rest.pop(0)
            if word in self.contexts:
                command, slots = word, self.slots(word)
                done.append(word)
            elif is_option(word, slots) or (command is None and word.startswith("-")):
                done += self._option(command, word, rest)
            elif command and plain_name(command) == "test":
                self.remainder = [word, *rest]
                break
            elif slots:
                option, argument = slots[0]
                done.append(f"--{option}={word}")
                if argument.kind is not list:
                    slots.pop(0)
            else:
                raise self.unknown(word, rest, after=command)
        return done

    def slots(self, command: str) -> list[tuple[str, Argument]]:
        """Return the options that a command's values without an option mean, in their order."""
        args = self.contexts[command].args
        names = POSITIONAL.get(plain_name(command), ())
        return [(name, args[name]) for name in names if name in args]

    def _option(self, command: str | None, word: str, rest: list[str]) -> list[str]:
        """Return an option with the value that follows it; pytest's own end the command line."""
        name = word.partition("=")[0]
        argument = self._find_option(command, name)
        if argument is None and command and plain_name(command) == "test":
            self.remainder = [word, *rest]
            rest.clear()
            return []
        if argument is None:
            raise self.unknown_option(command, name)
        if "=" in word and not argument.takes_value and word.startswith("--"):
            raise UsageError(f"{name} takes no value", hint=f"leave out {word[len(name) :]}")
        takes_next = argument.takes_value and "=" not in word and not argument.optional
        return [word, rest.pop(0)] if takes_next and rest else [word]

    def _find_option(self, command: str | None, name: str) -> Argument | None:
        contexts = [self.core] if command is None else [self.contexts[command], self.core]
        names = [name] if name.startswith("--") else [name, name[:2]]  # -wname=A, as Invoke has it
        for context in contexts:
            for one in names:
                if one in context.flags:
                    return context.flags[one]  # type: ignore[no-any-return]  # a Lexicon is untyped
        return None

    def unknown(
        self, word: str, rest: Iterable[str] = (), *, after: str | None = None
    ) -> UsageError:
        """Return the error for a word that is not a command, with the command that was meant."""
        meant = self.meant(word, rest)
        if meant is None and after and plain_name(after) in BY_APP:
            meant = f"{after} {word}"
        if word.lower() in SERVERS:
            hint = "the application has a command of its own, as flask run, uvicorn or gunicorn"
        elif meant is None:
            hint = f"the options of {after}: dbtasks {after} --help" if after else "dbtasks --help"
        else:
            hint = f"did you mean: dbtasks {meant}"
        return UsageError(f"there is no command {word!r}", hint=hint)

    def meant(self, word: str, rest: Iterable[str] = ()) -> str | None:
        """Return the command line that was meant by a word of another tool, or a mistyped one."""
        following = [one for one in rest if not one.startswith("-")]
        if word in PREFIXES and following:
            first, *others = following
            if (word, first) == ("db", "migrate"):  # as Flask-Migrate has it, and not Rails
                return self.meant("makemigrations")
            return first if first in self.contexts else self.meant(first, others)
        short = {plain_name(str(one.name)): str(one.name) for one in self.contexts.values()}
        if word == "help" and following and following[0] in self.contexts:
            return f"{following[0]} --help"
        target = OTHER_TOOLS.get(plain_name(word.lower()), "")
        name, _, options = target.partition(" ")
        if name.startswith("--"):
            return target
        if name in short:
            return f"{short[name]} {options}".rstrip()
        near = nearest(word.lower().replace("_", ""), short)
        return short[near] if near else None

    def unknown_option(self, command: str | None, name: str) -> UsageError:
        """Return the error for an option that a command does not have."""
        contexts = [self.core] if command is None else [self.contexts[command], self.core]
        flags = [flag[2:] for one in contexts for flag in one.flag_names() if flag[:2] == "--"]
        near = nearest(name.lower().lstrip("-").replace("_", "-"), flags)
        prefix = f"dbtasks {command} " if command else "dbtasks "
        hint = f"did you mean: {prefix}--{near}" if near else f"all options: {prefix}--help"
        what = f"{command} has no option {name}" if command else f"there is no option {name}"
        return UsageError(what, hint=hint)


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a word misspells, or the only one that begins with it, if any."""
    known = list(names)
    begun = [one for one in known if len(word) >= SHORTEST_BEGINNING and one.startswith(word)]
    near = get_close_matches(word, known, n=1, cutoff=MISSPELT)
    return begun[0] if len(begun) == 1 else near[0] if near else None


def is_option(word: str, slots: Sequence[object]) -> bool:
    """Whether a word is an option; `-1` is a value where the command takes one."""
    return word.startswith("-") and word != "-" and not (slots and NUMBER.fullmatch(word))


def plain_name(command: str) -> str:
    """Return a command's name without the collections that it is mounted in."""
    return command.rpartition(".")[2]


def positional_usage(command: str) -> Iterator[str]:
    """Yield the values that a command takes without an option, as a usage line shows them."""
    names = ("pytest options",) if plain_name(command) == "test" else POSITIONAL.get(command, ())
    yield from (f"[{name.upper()}]" for name in names)
