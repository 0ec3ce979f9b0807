"""`module:attribute` references into a project's own code, imported when first needed."""

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from dbtasks.errors import NOTHING_CHANGED, DbtasksError, UsageError


def put_on_path(root: Path) -> None:
    """Make the project's modules importable: its root, and root/src."""
    for folder in (root, root / "src"):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def load(reference: str, setting: str) -> Any:
    """Import what a setting refers to.

    Raises UsageError when it is not there, and DbtasksError when the project's code raised.
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
                f"{setting}={reference!r}: {error}", hint=f"mend {setting}= in tasks.py"
            ) from error
    return target


def project_raised(
    what: str, error: Exception | SystemExit, *, state: str = NOTHING_CHANGED
) -> DbtasksError:
    """Return the error for an exception that the project's own code raised.

    A module that cannot be imported at all has not run: that is a UsageError.
    """
    if state == NOTHING_CHANGED and (not_imported := _not_imported(error)):
        return not_imported
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return DbtasksError(
        f"{what} raised {type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})",
        hint="the whole traceback: the same command with --traceback",
        state=state,
    )


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
        hint = f"install the package that has {error.name}, or mend the import"
    return UsageError(
        f"{module} cannot be imported: {cause} ({path}, line {line})",
        hint=hint or f"mend {path}; the whole traceback: the same command with --traceback",
    )


def _import(module_name: str, reference: str, setting: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise project_raised(f"importing {module_name}", error) from error
        raise UsageError(
            f"{setting}={reference!r}: there is no module {error.name!r}",
            hint=f"mend {setting}= in tasks.py; modules are looked for beside it and in src/",
        ) from error
    except Exception as error:
        raise project_raised(f"importing {module_name}", error) from error
