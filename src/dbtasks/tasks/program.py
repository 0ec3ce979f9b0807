"""The console command `dbtasks`: the tasks of tasks.py as a program, with help of its own."""

import inspect
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from invoke.exceptions import CollectionNotFound, Exit, ParseError
from invoke.parser.parser import Parser
from invoke.program import Program
from invoke.util import helpline

from dbtasks.errors import DbtasksError, UsageError
from dbtasks.output import abandon
from dbtasks.references import project_raised
from dbtasks.settings import Options
from dbtasks.tasks import FAMILIES, collection
from dbtasks.tasks.command_line import CommandLine, plain_name, positional_usage
from dbtasks.tasks.edge import NOBODY_READS, Command
from dbtasks.tasks.options import Misuse, describe
from dbtasks.variables import Variables, read_dotenv

INTERRUPTED = 130
URL_VARIABLE = Options().url_variable

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "add": ("add Employee --set name=Carol --set dept_id=1", "add --from-file employees.jsonl"),
    "copydata": ("copydata production local --no-input",),
    "delete": ("delete Employee --where name__startswith=Rob",),
    "dumpdata": ("dumpdata --output backup.jsonl", "dumpdata Employee --mask employee.name=name"),
    "flush": ("flush", "flush Employee --dry-run"),
    "get": ("get 1", "get 1 --model Department"),
    "init": ("init shop", "init", "init --dry-run"),
    "loaddata": ("loaddata backup.jsonl", "loaddata employees.csv --model Employee"),
    "makemigrations": ("makemigrations", "makemigrations add_email", "makemigrations --check"),
    "migrate": ("migrate", "migrate 0002", "migrate -1", "migrate --plan"),
    "protect": ("protect production",),
    "query": ("query --name A", "query Employee --where department.name=Sales --format csv"),
    "redo": ("redo",),
    "resolve": ("resolve 0002 --undo",),
    "rollback": ("rollback", "rollback 2"),
    "seed": ("seed", "seed --model Employee --count 1000"),
    "showmigrations": ("showmigrations", "showmigrations --graph"),
    "sql": ('sql "select 1"', 'sql --write "update employee set name = :name" --param name=Al'),
    "sqlmigrate": ("sqlmigrate 0002", "sqlmigrate 0002 --backwards"),
    "squashmigrations": ("squashmigrations base 0004",),
    "test": ("test", "test -k migrate -x"),
    "update": ("update Employee --where name=Bob --set name=Robert",),
    "waitdb": ("waitdb 60",),
}


NO_TASKS = UsageError(
    "there is no tasks.py in this folder or above it",
    hint="start a project, or adopt the one in this folder: dbtasks init",
)


class DbtasksProgram(Program):
    """Run a project's tasks, as `inv` does, with one value in the place of its option.

    Differs from Invoke's own program also in its exit codes: 2 for bad usage, 130 for an
    interrupt.
    """

    def __init__(self) -> None:
        super().__init__(name="dbtasks", binary="dbtasks", binary_names=["dbtasks"])
        self.starting = False

    def print_version(self) -> None:
        """Print the version of dbtasks."""
        from dbtasks import __version__

        print(f"dbtasks {__version__}")

    def load_collection(self) -> None:
        """Load tasks.py, found from here upwards.

        Where there is none, the commands look at the database that DATABASE_URL names, and
        without it only `init` is left. Exits with code 2 where it raises.
        """
        try:
            super().load_collection()
        except Exit as error:
            if not isinstance(error.__context__, CollectionNotFound):
                raise
            self.config.set_project_location(None)
            here = Path.cwd()
            self.starting = not Variables(os.environ, read_dotenv(here / ".env")).get(URL_VARIABLE)
            if self.starting:
                self.collection = collection(only={"init"}, root=here)
            else:
                self.collection = collection(reflect=True, root=here)

        except Exception as error:
            if "--traceback" in self.argv:
                raise
            raise _refused(project_raised("tasks.py", error)) from error
        if not self.collection.task_names:
            hint = "name the collection in it ns: ns = collection(...)"
            raise _refused(UsageError("tasks.py has no commands", hint=hint))

    def parse_tasks(self) -> None:
        """Read the words as tasks; raise Exit with code 2 for what none of them takes."""
        try:
            line = CommandLine(self._make_parser().contexts, self.initial_context)
            self.core.unparsed = line.read(self.core.unparsed)
            if line.remainder is not None:
                self.core.remainder = shlex.join(line.remainder)
            super().parse_tasks()
        except DbtasksError as error:
            raise _refused(NO_TASKS if self.starting else error) from error
        except Misuse:
            raise
        except ParseError as error:
            raise _refused(UsageError(str(error), hint=self._usage_of(error))) from error

    def parse_cleanup(self) -> None:
        """Answer --help, --list and --complete."""
        named = self.args.help.value
        if isinstance(named, str) and named not in self.parser.contexts:
            line = CommandLine(self.parser.contexts, self.initial_context)
            raise _refused(line.unknown(named))
        if self.args.complete.value:
            self._complete()
        super().parse_cleanup()

    def _complete(self) -> NoReturn:
        """Print what may follow the words after `--complete --`."""
        from dbtasks.tasks.completion import candidates

        # The shell hands over its whole line, the program's name first.
        typed = self.core.remainder.partition(" ")[2]
        line = CommandLine(self._make_parser().contexts, self.initial_context)
        for word in candidates(typed, line, self.collection):
            print(word)
        raise Exit

    def _make_parser(self) -> Parser:
        """Return a parser that knows a mounted command without its prefix, where it is one only."""
        parser = super()._make_parser()
        names = sorted(parser.contexts, key=plain_name)
        for short, same in groupby(names, plain_name):
            found = list(same)
            if len(found) == 1 and short not in parser.contexts:
                parser.contexts[short] = parser.contexts[found[0]]
        return parser

    def _usage_of(self, error: ParseError) -> str:
        name = error.context.name if error.context is not None else None
        return f"dbtasks {name} --help" if name else "dbtasks --help"

    # -- help ------------------------------------------------------------------------------

    def print_help(self) -> None:
        """Print all commands, grouped as the documentation groups them."""
        print("usage: dbtasks COMMAND [VALUE] [OPTIONS] [COMMAND ...]\n")
        if not hasattr(self, "collection"):
            self.load_collection()
            self.scoped_collection = self.collection
        for heading, rows in self._groups():
            print(f"{heading}:")
            self.print_columns(rows)
        print("dbtasks COMMAND --help shows the options and examples of a command.")

    def _groups(self) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
        families = {one.name: family for family in FAMILIES for one in family.COMMANDS}
        groups: dict[str, list[tuple[str, str | None]]] = {}
        for name in sorted(self.collection.task_names):
            task = self.collection[name]
            family = families.get(task.name) if isinstance(task, Command) else None
            heading = (family.__doc__ or "").partition(":")[0] if family else "This project"
            groups.setdefault(heading.rstrip("."), []).append((name, helpline(task)))
        order = [(family.__doc__ or "").partition(":")[0].rstrip(".") for family in FAMILIES]
        for heading in (*order, "This project"):
            if heading in groups:
                yield heading, groups[heading]

    def print_task_help(self, name: str) -> None:
        """Print what a command is for, its options, and examples."""
        context = self.parser.contexts[name]
        task = self.collection[context.name]
        values = "".join(f" {one}" for one in positional_usage(context.name))
        print(f"usage: dbtasks {name}{values} [OPTIONS]\n")
        for line in (inspect.getdoc(task) or "").splitlines():
            print(f"  {line}".rstrip())
        if options := context.help_tuples():
            print("\noptions:")
            self.print_columns(options)
        if examples := EXAMPLES.get(plain_name(context.name)):
            print("examples:")
            for example in examples:
                print(f"  dbtasks {example}")


def main() -> NoReturn:
    """Run the command line of this process, and exit with its code."""
    try:
        try:
            DbtasksProgram().run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # of the help, which no command prints
        abandon(sys.stdout, sys.stderr)
        raise SystemExit(NOBODY_READS) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Invoke exits 1
            raise SystemExit(INTERRUPTED) from None
        raise
    raise SystemExit(0)


def _refused(error: DbtasksError) -> Exit:
    return Exit(describe(error), code=error.exit_code)
