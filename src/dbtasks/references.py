"""`module:attribute` references into a project's own code, imported when first needed."""

import builtins
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from dbtasks import bytecode
from dbtasks.errors import NOTHING_CHANGED, ProjectFailed, Rejected, UsageError
from dbtasks.hints import command_line

LIBRARIES = (f"{Path(os.__file__).parent}{os.sep}", "<")
"""How the files of Python's own library begin, and what was compiled from no file."""

RESULTS = re.compile(r"sqlalchemy[\\/]engine[\\/]_?(result|processors|row)")
"""The files of SQLAlchemy that make Python values of what a driver has read."""

TRACEBACK = "the whole traceback: the same command with --traceback"
EVENTS = f"{os.sep}sqlalchemy{os.sep}event{os.sep}"
OWN = f"{Path(__file__).parent}{os.sep}"

DEFINES_TABLES = re.compile(r"__tablename__|\bTable\(|\bmapped_column\(|\bColumn\(")
NO_MODELS = frozenset(("migrations", "alembic", "tests", "src", "node_modules", "venv", "env"))


def put_on_path(root: Path) -> None:
    """Make the project's modules importable: its root, and root/src."""
    for folder in (root, root / "src"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        bytecode.watch(str(folder))


def load(reference: str, setting: str) -> Any:
    """Import what a setting refers to.

    Raises UsageError when it is not there, or the project's code raised.
    """
    module_name, _, path = reference.partition(":")
    if not module_name or not path:
        raise UsageError(
            f"{setting}={reference!r} is not a reference", hint='write it as "module:attribute"'
        )
    target = _import(module_name, reference, setting)
    for name in path.split("."):
        try:
            target = getattr(target, name)
        except AttributeError as error:
            raise UsageError(
                f"{setting}={reference!r}: {error}",
                hint=f"{_meant(error)}fix {setting}= in tasks.py",
            ) from error
    return target


def metadata_hint(root: Path, references: Sequence[str]) -> str:
    """Return what to write for `metadata=` where the modules that it names define no models.

    The modules are those of the project that take the base from there and define tables with it.
    """
    found = [
        f"{module}:{base}"
        for reference in references
        for module, base in _modules_with_models(root, *reference.split(":", 1))
    ]
    if not found:
        modules = ", ".join(dict.fromkeys(one.partition(":")[0] for one in references))
        return f"define the models in {modules}, or name their module in metadata= in tasks.py"
    value = f'"{found[0]}"' if len(found) == 1 else str(found).replace("'", '"')
    return f"name the modules that define the models: metadata={value} in tasks.py"


def _modules_with_models(root: Path, module: str, attribute: str) -> Iterator[tuple[str, str]]:
    """Yield each module that imports an attribute of another and defines tables, and the base."""
    base = attribute.partition(".")[0]
    source, name = re.escape(module.rpartition(".")[2]), re.escape(base)
    imported = re.compile(rf"^from [\w.]*\b{source} import [^#]*?\b{name}\b(?! as)", re.MULTILINE)
    for folder in (root, root / "src"):
        for path in sorted(
            [*folder.glob("*.py"), *folder.glob("*/*.py"), *folder.glob("*/*/*.py")]
        ):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[0] in NO_MODELS or not all(one.isidentifier() for one in parts):
                continue
            text = path.read_text(errors="replace")
            if DEFINES_TABLES.search(text) and imported.search(text):
                yield ".".join(parts).removesuffix(".__init__"), attribute


RUNS_ALREADY = re.compile(r"from a running event loop|loop is (?:already )?running")
RUNS_NOWHERE = re.compile(r"no (?:running|current) event loop|AnyIO worker thread")
"""What asyncio and AnyIO say of an event loop that a caller has, or has not."""


def project_raised(
    what: str,
    error: BaseException,
    *,
    state: str = NOTHING_CHANGED,
    function: Callable[..., object] | None = None,
) -> UsageError:
    """Return the error for an exception that the project's own code raised.

    `function` is what was called: it has the place of an exception that calling it raised.
    """
    if state == NOTHING_CHANGED and (not_imported := _not_imported(error)):
        return not_imported
    if mistake := mistake_in_models(error, state=state):
        return mistake
    path, line = (
        _incomplete_module(error)
        or place_in_project(error)
        or _place_of(function)
        or _caller(error)
        or _frames(error)[-1]
    )
    return ProjectFailed(
        f"{what} raised {type(error).__name__}: {_first_line(error)} ({path}, line {line})",
        hint=(what == "env.py" and _of_loop(error)) or f"{_meant(error)}{TRACEBACK}",
        state=state,
    )


def _of_loop(error: BaseException) -> str | None:
    """Say what to write where code needs an event loop, or one runs already; None elsewhere."""
    text = str(error) if isinstance(error, RuntimeError) else ""
    if RUNS_ALREADY.search(text):
        return "call it in another thread: await asyncio.to_thread(migrations.migrate, project)"
    if RUNS_NOWHERE.search(text):
        return (
            "let env.py run a loop of its own: asyncio.run(run_async_migrations()), with an engine "
            "that it makes itself; docs/migrations.md, An env.py with an event loop"
        )
    return None


def _place_of(function: Callable[..., object] | None) -> tuple[str, int] | None:
    code = getattr(function, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else None


def _caller(error: BaseException) -> tuple[str, int] | None:
    """Return the innermost line of the project, which called what dbtasks refuses, as a batch."""
    frames = reversed(_frames(error))
    return next((place for place in frames if is_project_file(place[0])), None)


def _incomplete_module(error: BaseException) -> tuple[str, int] | None:
    """Return the place of a module of the project that lacks what a library takes from it.

    That is a revision without `upgrade`.
    """
    lacking = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    path = getattr(lacking, "__file__", None) if isinstance(lacking, ModuleType) else None
    if path is None or not is_project_file(path) or is_project_file(_frames(error)[-1][0]):
        return None
    return path, 1


def _meant(error: BaseException) -> str:
    """Return the beginning of a hint with the name that was meant, where one is near."""
    names: Iterable[str] = ()
    if isinstance(error, AttributeError):
        with suppress(Exception):  # an object of the project may have a __dir__
            names = dir(error.obj)
    elif isinstance(error, NameError):
        frame = [*traceback.walk_tb(error.__traceback__)][-1][0]
        names = {*frame.f_locals, *frame.f_globals, *dir(builtins)}
    name = getattr(error, "name", None)
    near = get_close_matches(str(name), names, n=1) if name else []
    return f"did you mean {near[0]}? " if near else ""


def _near_module(name: str) -> str:
    """Return the beginning of a hint with the module of the project that was meant, if any."""
    package, _, _ = name.rpartition(".")
    parent = sys.modules.get(package)
    folders = [*getattr(parent, "__path__", ())] if package else filter(_is_in_project, sys.path)
    prefix = f"{package}." if package else ""
    names = [f"{prefix}{module.name}" for module in pkgutil.iter_modules(folders)]
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _is_in_project(folder: str) -> bool:
    return bool(folder) and is_project_file(f"{folder}{os.sep}")


def _first_line(error: BaseException) -> str:
    """Return the message of an error; a driver shows the statement on further lines."""
    return str(error).strip().partition("\n")[0]


def mistake_in_models(error: BaseException, *, state: str) -> UsageError | None:
    """Return the error for a mistake in the models that SQLAlchemy came upon; None for another.

    A revision may have models of its own, which are no module that is imported.
    """
    if "sqlalchemy" not in sys.modules:
        return None
    if any(
        "down_revision" in frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__)
    ):
        return None
    from dbtasks.mistakes import explain

    return explain(error, state)


def is_project_file(path: str) -> bool:
    """Whether a file of code is the project's, and not a library's or ours.

    What Cython compiled, as parts of SQLAlchemy, has paths of the machine that built it.
    """
    if not os.path.isabs(path):
        return False
    return not path.startswith((OWN, *LIBRARIES)) and "-packages" not in path


def place_in_project(error: BaseException) -> tuple[str, int] | None:
    """Return the file and line of the project's code that raised; None where dbtasks did.

    A library that raised was called by the innermost code that belongs to none.
    """
    for path, line in reversed(_frames(error)):
        if path.startswith(OWN):
            return None
        if is_project_file(path):
            return path, line
    return None


def type_refused(error: BaseException | None, state: str) -> UsageError:
    """Return the error for a value that its type refused before it was sent."""
    if error and place_in_project(error):
        return project_raised("a type of the models", error, state=state)
    return UsageError(f"a value does not fit its column: {error}", hint=TRACEBACK, state=state)


def is_of_reading(error: Exception) -> bool:
    """Whether a type of SQLAlchemy could not read a value that the database has."""
    if type(error).__module__ == "sqlalchemy.exc" or place_in_project(error):
        return False
    return any(RESULTS.search(path) for path, _ in _frames(error))


def unreadable(error: Exception, state: str) -> Rejected:
    """Return the error for a stored value that its type cannot read."""
    return Rejected(
        f"a stored value is not of its column's type: {_first_line(error)}",
        hint="dumpdata names its row and column: " + command_line("dumpdata", output="dump.jsonl"),
        state=state,
    )


def listener_raised(error: BaseException) -> UsageError | None:
    """Return the error for a listener of the project that raised; None where another did.

    SQLAlchemy calls it from its package `event`; a driver that raised was called by the listener.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    called = False
    for frame in frames:
        path = frame.f_code.co_filename
        called = not path.startswith(OWN) and (called or EVENTS in path)
        if called and is_project_file(path):
            raised = project_raised(f"the listener {frame.f_code.co_name}", error)
            raised.hint = "let it look at the connection first: it is called for every database"
            return raised
    return None


def _frames(error: BaseException) -> list[tuple[str, int]]:
    frames = traceback.walk_tb(error.__traceback__)
    return [(frame.f_code.co_filename, line) for frame, line in frames]


def _not_imported(error: BaseException) -> UsageError | None:
    """Return the error for a module that could not be imported; None where one has run."""
    frame, line = [*traceback.walk_tb(error.__traceback__)][-1]
    path, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
    cause, hint = str(error), None
    if isinstance(error, SyntaxError) and str(error.filename).endswith(".py"):
        cause, path, line = error.msg, str(error.filename), error.lineno or 1
        module = Path(path).name
    elif not isinstance(error, ImportError) or frame.f_code.co_name != "<module>":
        return None
    elif module.endswith("_py"):  # as Alembic calls an env.py and revisions
        module = Path(path).name
    if isinstance(error, ModuleNotFoundError):
        near = _near_module(str(error.name))
        hint = f"{near}fix the import, or install the package that has {error.name}"
    return UsageError(
        f"{module} cannot be imported: {cause} ({path}, line {line})",
        hint=hint or f"fix {path}; {TRACEBACK}",
    )


def _import(module_name: str, reference: str, setting: str) -> Any:
    try:
        with bytecode.current():
            return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise project_raised(f"importing {module_name}", error) from error
        raise UsageError(
            f"{setting}={reference!r}: there is no module {error.name!r}",
            hint=f"{_near_module(error.name)}fix {setting}= in tasks.py; modules are looked for "
            "beside it and in src/",
        ) from error
    except Exception as error:
        raise project_raised(f"importing {module_name}", error) from error
