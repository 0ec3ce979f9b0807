"""The commands as Invoke tasks: the only code that knows Invoke, asks, prints and exits."""

from dbtasks.tasks import signals as signals  # catches them before all else is imported

# isort: split
import logging
from collections.abc import Collection as Names
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from sys import _getframe
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit

from dbtasks.settings import CONFIGURABLE, Options, declared
from dbtasks.tasks import (
    changes,
    checks,
    databases,
    fixtures,
    migrations,
    project,
    records,
    statements,
)
from dbtasks.tasks.edge import Command
from dbtasks.tasks.run import Binding

__all__ = ["collection"]

FAMILIES = (migrations, records, changes, statements, fixtures, databases, checks, project)


def collection(
    *,
    only: Names[str] | None = None,
    without: Names[str] = (),
    config_key: str = "db",
    root: str | Path | None = None,
    **options: Any,
) -> Collection:
    """Return the database commands of a project.

    `only` and `without` name commands to take or leave out; `config_key` is the key in Invoke's
    configuration; `root` is the project's folder, that of the calling tasks.py without it. The
    options are those of `dbtasks.settings.Options`; docs/settings.md describes each.
    """
    folder = Path(root).resolve() if root else _folder_of(_getframe(1).f_globals.get("__file__"))
    try:
        binding = Binding(Options(**options), folder, config_key)
    except TypeError as error:
        words = str(error).partition("__init__() ")[2]
        known = [*signature(Options).parameters, *signature(collection).parameters]
        near = get_close_matches(words.rpartition(" ")[2].strip("'"), known, n=1)
        meant = f"did you mean {near[0]}=? " if near else ""
        raise Exit(
            f"error: collection(...) {words}\nhint: {meant}docs/settings.md lists its arguments",
            code=2,
        ) from error
    declared.append((binding.options, folder))
    logging.getLogger("invoke").addFilter(_mask_record)
    commands = _choose(only, without)
    namespace = Collection()
    namespace.__doc__ = "Database commands."
    for one in commands:
        namespace.add_task(one.bound(binding))
    # Invoke reads INVOKE_DB_… for keys that it knows, and no others.
    namespace.configure({config_key: dict.fromkeys(CONFIGURABLE)})
    return namespace


def _mask_record(record: logging.LogRecord) -> bool:
    """Hide secrets in what Invoke logs with --debug: its whole configuration."""
    from dbtasks.engines import mask_text

    record.msg, record.args = mask_text(record.getMessage()), None
    return True


def _choose(only: Names[str] | None, without: Names[str]) -> list[Command]:
    commands = {one.name: one for family in FAMILIES for one in family.COMMANDS}
    for name in (*(only or ()), *without):
        if name not in commands:
            raise Exit(_unknown(name, commands), code=2)
    return [
        one for name, one in commands.items() if name not in without and (not only or name in only)
    ]


def _unknown(name: str, commands: Iterable[str]) -> str:
    near = get_close_matches(name, commands, n=1) or sorted(commands)
    return f"error: collection(...): there is no command {name!r}\nhint: {', '.join(near)}?"


def _folder_of(file: str | None) -> Path:
    """Return the project's folder: above tasks.py, or above the package that tasks is."""
    folder = Path(file).resolve().parent if file else Path.cwd()
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
