"""The edge: turn a function into an Invoke task, and its errors into messages and exit codes."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from functools import partial
from inspect import Parameter, Signature
from pathlib import Path
from shlex import join
from sys import _getframe
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from dbtasks.aliases import ALL
from dbtasks.errors import NOTHING_CHANGED, DbtasksError, LocalFailure, NotInDatabase
from dbtasks.hints import write, written_by
from dbtasks.interrupts import Terminated
from dbtasks.output import FORMATS, Output
from dbtasks.references import mistake_in_models, place_in_project, project_raised
from dbtasks.tasks import collector
from dbtasks.tasks.options import ALSO, HELP, PARTICULAR, SHORT, Option, check_text, describe
from dbtasks.tasks.run import Binding, Run
from dbtasks.tasks.signals import INTERRUPTED, TERMINATED, program_of, signals

NOBODY_READS = 141


class Command(Task[Any]):
    """Run a function of `Run` as an Invoke task.

    `connects` gives it --database and --echo, `previews` --dry-run, `writes` that and the guards
    of a write, `asks` --no-input and --allow-production; --traceback goes with all. A body that
    does not always write calls `run.announce()` itself when it does.
    """

    binding: Binding

    def __init__(
        self,
        body: Callable[..., Any],
        *,
        connects: bool,
        writes: bool,
        previews: bool,
        asks: bool,
    ) -> None:
        self.connects = connects
        self.writes = writes
        self.previews = previews or writes
        self.asks = asks
        super().__init__(body, name=body.__name__.strip("_"), auto_shortflags=False)
        # One source: the annotation says that an option may be given several times.
        self.iterable = frozenset(
            name
            for name, one in super().argspec(body).parameters.items()
            if one.annotation == list[str] | None
        )

    def bound(self, binding: Binding) -> "Command":
        """Return this command for one collection."""
        command = copy(self)
        command.binding = binding
        return command

    def __deepcopy__(self, memo: object) -> "Command":
        """Copy it whole: Invoke copies all commands at each start, and changes none of them."""
        return copy(self)

    # Invoke drops a task that equals another from a chain, and takes two of one name and code
    # for equal: the second of `inv one.migrate two.migrate`.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def argspec(self, body: Callable[..., Any]) -> Signature:
        """Return the function's own options and those that the command has in common."""
        signature = super().argspec(body)
        common: dict[str, Any] = {"traceback": False}
        if self.connects:
            common |= {"database": None, "echo": False}
        if self.previews:
            common["dry_run"] = False
        if self.asks:
            common |= {"no_input": False, "allow_production": None}
        added = [Parameter(k, Parameter.KEYWORD_ONLY, default=v) for k, v in common.items()]
        return signature.replace(parameters=[*signature.parameters.values(), *added])

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the arguments with their help, which Invoke takes off as it reads it."""
        parameters = self.argspec(self.body).parameters
        texts = HELP | PARTICULAR.get(self.name, {})
        names = [name.strip("_").replace("_", "-") for name in parameters]
        self.help = {name: texts[name].format(formats=", ".join(FORMATS)) for name in names}
        return [
            Option(**self.arg_opts(name, one.default, set())) for name, one in parameters.items()
        ]

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Add the short forms, which are the same on all commands."""
        opts = super().arg_opts(name, default, taken_names)
        name = opts["names"][0]
        opts["names"].extend((*SHORT.get(name, ()), *ALSO.get((self.name, name), ())))
        return opts

    def __call__(self, *arguments: Any, **given: Any) -> None:
        """Run the command for one database, or for all."""
        context: Context = arguments[0]
        run = Run(self.binding, _config(context, self.binding), context.remainder, Output())
        show_traceback = given.pop("traceback")
        name = self.name
        with (
            written_by(partial(_write, run)),
            collector.held(),
            reported(run, name, show_traceback=show_traceback),
        ):
            own = self._take_common(context, run, given)
            for one in _each_database(run, writes=self.writes or own.get("write", False)):
                self._execute(one, own)
        self.times_called += 1

    def _take_common(self, context: Context, run: Run, given: dict[str, Any]) -> dict[str, Any]:
        """Move the common options into the run, and return the function's own.

        Invoke's --dry and --echo, which it takes before or after a command, mean ours.
        """
        for name, value in given.items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    check_text(name.strip("_").replace("_", "-"), text)
        if self.connects:
            run.database = given.pop("database", None)
        run.dry_run = given.pop("dry_run", False) or bool(context.config.run.dry)
        run.echo = given.pop("echo", False) or bool(context.config.run.echo)
        run.no_input = given.pop("no_input", False)
        run.allow_production = given.pop("allow_production", None)
        return given

    def _execute(self, run: Run, own: Mapping[str, Any]) -> None:
        with ExitStack() as stack:
            if run.echo:
                stack.enter_context(_echoing(run))
            if self.writes:
                run.announce()
            self.body(run, **own)
            run.output.flush()


def command(
    *, connects: bool = True, writes: bool = False, previews: bool = False, asks: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function of `Run` a command; its first docstring line is its line in --list."""
    return lambda body: Command(
        body, connects=connects, writes=writes, previews=previews, asks=asks
    )


def _write(run: Run, name: str, options: Mapping[str, Any]) -> str:
    """Return how a command is typed here: by which program, mounted where, for this database."""
    program = program_of(_getframe())
    words, connects = ["inv"], True
    if program is not None:
        words = [program.binary_names[-1]]
        for option in ("search-root", "collection"):
            if option in program.args and program.args[option].value:
                words += [f"--{option}", program.args[option].value]
        for path in program.collection.task_names:
            task = program.collection[path]
            if isinstance(task, Command) and (task.binding, task.name) == (run.binding, name):
                name, connects = path, task.connects
                break
    database = options.get("database") or run.database
    usual = None
    with suppress(DbtasksError):
        usual = run.binding.settings(run.config, None).database if database else None
    named = database if connects and database != usual else None
    return write(f"{join(words)} {name}", {**options, "database": named})


@contextmanager
def reported(run: Run, name: str, *, show_traceback: bool) -> Iterator[None]:
    """Turn every error into its message and its exit code; no traceback unless wanted."""
    with signals.command(name, lambda: _outcome(run)):
        try:
            yield
        except Exit:
            raise
        # The project's code may call sys.exit.
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            signals.end()
            told = _said(run, error, show_traceback=show_traceback)
            signals.end(told.code)
            raise told from error
        finally:
            run.output.abandon()


def _said(run: Run, error: BaseException, *, show_traceback: bool) -> Exit:
    """Say what went wrong; the interrupt that led to an error goes before it."""
    interrupt = error if isinstance(error, KeyboardInterrupt) else signals.swallowed
    if interrupt is not None:
        state = error.state if isinstance(error, DbtasksError) else _outcome(run)
        run.output.note(f"\nerror: interrupted\nstate: {state}{_finished(run)}")
        return Exit(code=TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED)
    # rich ends the process where its reader is gone.
    gone = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(gone, BrokenPipeError):
        return Exit(code=NOBODY_READS)
    if show_traceback:
        run.output.note(run.scrub(traceback.format_exc().rstrip()))
    return _failed(run, error)


def _outcome(run: Run) -> str:
    try:
        return run.outcome
    except DbtasksError:  # the settings themselves are wrong: no database was opened
        return NOTHING_CHANGED


def _finished(run: Run) -> str:
    """Name what was done before: databases, of --database all, and commands of a chain."""
    databases = f"; done before: {', '.join(run.finished)}" if run.finished else ""
    return databases + signals.finished


def _failed(run: Run, error: BaseException) -> Exit:
    if not isinstance(error, DbtasksError):
        error = _unforeseen(error, _outcome(run))
    if isinstance(error, NotInDatabase):
        run.explain_missing(error)
    run.output.note(run.scrub(describe(error, after=_finished(run))))
    return Exit(code=error.exit_code)


def _unforeseen(error: BaseException, state: str) -> DbtasksError:
    if mistake := mistake_in_models(error, state=state):
        return mistake
    if place := place_in_project(error):
        return project_raised(Path(place[0]).name, error, state=state)
    if isinstance(error, OSError):
        what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        return LocalFailure(what, hint="fix that, and run the command again", state=state)
    return DbtasksError(
        f"{type(error).__name__}: {error}",
        hint="this is a bug; where it was raised: the same command with --traceback",
        state=state,
    )


class _Scrubbed(logging.Formatter):
    """Hide secrets in what is logged."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__()
        self.scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as it may be shown."""
        return self.scrub(super().format(record))


@contextmanager
def _echoing(run: Run) -> Iterator[None]:
    """Show the SQL on stderr, without the secrets of a URL that a statement has."""
    logger = logging.getLogger("sqlalchemy.engine.Engine")
    handler = logging.StreamHandler(run.output.stderr)
    handler.setFormatter(_Scrubbed(run.scrub))
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _config(context: Context, binding: Binding) -> Mapping[str, Any]:
    found = context.config.get(binding.config_key)
    if not hasattr(found, "keys"):
        return {}
    # Invoke's own mappings stand inside too.
    return {name: _plain(value) for name, value in dict(found).items()}


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in dict(value).items()} if hasattr(value, "keys") else value


def _each_database(run: Run, *, writes: bool) -> Iterator[Run]:
    if run.database != ALL and (run.database or run.settings.database) != ALL:
        yield run
        return
    run.database = None
    aliases = run.settings.writable
    for alias in aliases if writes and not run.dry_run else ():
        run.turn_to(alias)
        run.check_write()  # of all before the first, as what is done there stays
    for alias in aliases:
        run.turn_to(alias)
        yield run
        run.finished.append(alias)
