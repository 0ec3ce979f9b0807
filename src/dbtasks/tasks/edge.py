"""The edge: turn a function into an Invoke task, and its errors into messages and exit codes."""

import logging
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from inspect import Parameter, Signature
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from dbtasks.errors import NOTHING_CHANGED, DbtasksError, LocalFailure
from dbtasks.output import FORMATS, Output
from dbtasks.settings import ALL
from dbtasks.tasks import collector
from dbtasks.tasks.options import HELP, PARTICULAR, SHORT, check_text
from dbtasks.tasks.run import Binding, Run

INTERRUPTED, TERMINATED, NOBODY_READS = 130, 143, 141
LISTS = frozenset(
    (
        *("where", "order_by", "pk", "set_", "set_null", "param", "exclude", "mask"),
        *("rename", "drop", "default", "default_sql"),
    )
)
"""Options that may be given several times, on whichever command."""


class Terminated(KeyboardInterrupt):
    """Stand for SIGTERM, so that it rolls back, and cancels what runs, as an interrupt does."""


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
        self.iterable = LISTS

    def bound(self, binding: Binding) -> "Command":
        """Return this command for one collection."""
        command = copy(self)
        command.binding = binding
        return command

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
        names = [name.strip("_").replace("_", "-") for name in self.argspec(self.body).parameters]
        texts = HELP | PARTICULAR.get(self.name, {})
        self.help = {name: texts[name].format(formats=", ".join(FORMATS)) for name in names}
        return super().get_arguments(ignore_unknown_help)

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Add the short forms, which are the same on all commands."""
        opts = super().arg_opts(name, default, taken_names)
        opts["names"].extend(SHORT.get(opts["names"][0], ()))
        return opts

    def __call__(self, *arguments: Any, **given: Any) -> None:
        """Run the command for one database, or for all."""
        context: Context = arguments[0]
        run = Run(self.binding, _config(context, self.binding), context.remainder, Output())
        show_traceback = given.pop("traceback")
        with collector.held(), reported(run, show_traceback=show_traceback):
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
        run.database = given.pop("database", None)
        run.dry_run = given.pop("dry_run", False) or bool(context.config.run.dry)
        run.echo = given.pop("echo", False) or bool(context.config.run.echo)
        run.no_input = given.pop("no_input", False)
        run.allow_production = given.pop("allow_production", None)
        return given

    def _execute(self, run: Run, own: Mapping[str, Any]) -> None:
        with ExitStack() as stack:
            if run.echo:
                stack.enter_context(_echoing(run.output))
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


@contextmanager
def reported(run: Run, *, show_traceback: bool) -> Iterator[None]:
    """Turn every error into its message and its exit code; no traceback unless wanted."""
    try:
        with _terminable():
            yield
    except Exit:
        raise
    except BrokenPipeError as error:
        run.output.abandon()
        raise Exit(code=NOBODY_READS) from error
    except KeyboardInterrupt as error:
        raise _interrupted(run, error) from error
    except Exception as error:
        if show_traceback:
            run.output.note(run.scrub(traceback.format_exc().rstrip()))
        raise _failed(run, error) from error


def _outcome(run: Run) -> str:
    try:
        return run.outcome
    except DbtasksError:  # the settings themselves are wrong: no database was opened
        return NOTHING_CHANGED


def _finished(run: Run) -> str:
    """Name the databases that were done before, of --database all."""
    return f"; done before: {', '.join(run.finished)}" if run.finished else ""


def _failed(run: Run, error: Exception) -> Exit:
    if not isinstance(error, DbtasksError):
        error = _unforeseen(error, _outcome(run))
    lines = [f"error: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    lines.append(f"state: {error.state}{_finished(run)}")
    run.output.note(run.scrub("\n".join(lines)))
    return Exit(code=error.exit_code)


def _unforeseen(error: Exception, state: str) -> DbtasksError:
    if isinstance(error, OSError):
        what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        return LocalFailure(what, hint="mend that, and run the command again", state=state)
    return DbtasksError(
        f"{type(error).__name__}: {error}",
        hint="this is a bug; where it was raised: the same command with --traceback",
        state=state,
    )


def _interrupted(run: Run, error: BaseException) -> Exit:
    """Say what is left: the library notes it on the exception where it is not all or nothing."""
    notes = getattr(error, "__notes__", None)
    state = notes[-1] if notes else _outcome(run)
    code = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    run.output.note(f"\nerror: interrupted\nstate: {state}{_finished(run)}")
    return Exit(code=code)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the command, where signals can be caught at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _echoing(output: Output) -> Iterator[None]:
    """Show the SQL on stderr."""
    logger = logging.getLogger("sqlalchemy.engine.Engine")
    handler = logging.StreamHandler(output.stderr)
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
