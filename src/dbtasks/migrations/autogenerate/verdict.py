"""The verdict that the models equal the history, kept while nothing changes that it follows from.

Only "no changes" is kept; a difference is computed each time. The verdict follows from:

- the files of the history, which read no others, and those of Alembic's configuration;
- env.py, if it has nothing but imports and `environment.run(...)` with constants;
- the modules of the project that have been imported, with their types and listeners;
- Python and all installed packages, by their versions;
- the server's version and settings, as a session of the project has them;
- the statements by which SQLAlchemy creates the models on that server. They show what the models
  take from the environment, from other files or from the clock.

A listener that changes statements on their way to the server leaves no trace in these: if it does
so by a variable or the clock, the verdict does not see it.
"""

import ast
import hashlib
import os
import sys
import sysconfig
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.mock import MockConnection

from dbtasks import files
from dbtasks.engines import mask
from dbtasks.errors import DbtasksError, NoScratch
from dbtasks.migrations.execution import replay_cache
from dbtasks.migrations.history.reader import NOTE, Places, list_files, places_of
from dbtasks.project import Project
from dbtasks.schema.models import create

ENVIRONMENT = ("dbtasks.migrations", "environment")
PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
PYTHON = {*map(sysconfig.get_path, ("stdlib", "platstdlib"))}
LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (*PYTHON, Path(__file__).parents[1]))


class Unknown(Exception):
    """Report that a verdict may follow from what is not known here."""


class Verdict:
    """Keep the verdict on a project, and find it again."""

    def __init__(self, project: Project, places: Places) -> None:
        settings = project.settings
        revisions = list_files(places)
        if revisions is None or settings.bootstrap:
            raise Unknown
        if settings.scratch_of(settings.database) is not None:  # not like the project's server
            raise Unknown
        if not settings.metadata or not project.backend.scratch.conditions:
            raise Unknown
        if places.environment.with_name(NOTE).exists():
            raise Unknown
        self.project = project
        self.metadatas = project.metadata
        target = _target(ast.parse(places.environment.read_bytes()))
        if target is not None:
            self.metadatas = (target,)
        self.history = revisions
        self.files = [places.environment, *replay_cache.configurations(project), *_modules()]
        self.near = self._near()

    @classmethod
    def about(cls, project: Project) -> Self | None:
        """Return that on a project; None if it may follow from what is not known here.

        Raises DbtasksError for models that cannot be imported.
        """
        places = places_of(project.settings)
        with suppress(Unknown, OSError, SyntaxError, ValueError):
            return None if places is None else cls(project, places)
        return None

    def is_kept(self) -> bool:
        """Whether the models are known to equal the history."""
        try:
            near, far = self._path.read_text().split()
        except (OSError, ValueError):
            return False
        return near == self.near and far == self._far()

    def keep(self) -> None:
        """Keep it, unless files have changed meanwhile; it is no harm if it cannot be kept."""
        with suppress(Unknown, OSError, DbtasksError):
            far = self._far()
            if far is not None and self._near() == self.near:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                files.write(self._path, f"{self.near} {far}\n".encode())

    @property
    def _path(self) -> Path:
        database = f"{self.project.settings.database}\0{self.project.backend.title}"
        name = hashlib.sha256(database.encode()).hexdigest()[: replay_cache.DIGITS]
        return replay_cache.folder() / f"{replay_cache.project_of(self.project)}-{name}.equal"

    def _near(self) -> str:
        """Return the digest of what is known without the server."""
        settings = self.project.settings
        digest = hashlib.sha256(replay_cache.installed().encode())
        for value in (
            *(settings.root, settings.environment, settings.database, settings.alembic),
            *(settings.heads, settings.app, settings.metadata, mask(self.project.backend.url)),
        ):
            digest.update(f"\0{value}".encode())
        sources = replay_cache.read(digest, self.history)
        replay_cache.read(digest, self.files)
        if not replay_cache.stand_alone(sources):
            raise Unknown
        return digest.hexdigest()

    def _far(self) -> str | None:
        """Return the digest of the server, and of the models there; None if it cannot be known."""
        backend = self.project.backend
        scratch = backend.scratch(backend)
        try:
            with scratch.reached() as connection:
                rows = connection.exec_driver_sql(scratch.conditions).all()
                dialect = connection.dialect
        except NoScratch:
            return None
        try:
            statements = sorted(self._statements(dialect))
        except Exception:  # of the project's code, which expects a real connection
            return None
        told = repr([*map(tuple, rows), *statements])
        return hashlib.sha256(told.encode()).hexdigest() if rows else None

    def _statements(self, dialect: Dialect) -> Collection[str]:
        """Return what would create the models."""
        sent: list[str] = []

        def note(statement: Any, *parameters: object) -> None:
            compiled = statement.compile(dialect=dialect)
            sent.append(f"{compiled} {compiled.params} {parameters}")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever computes it hears them
            create(self.project.backend, MockConnection(dialect, note), self.metadatas)  # type: ignore[arg-type]  # it has the methods of one that creates
        return sent


def _modules() -> list[Path]:
    """Return the files of the modules of the project that have been imported."""
    modules = [*sys.modules.values()]
    paths = {path for module in modules if (path := getattr(module, "__file__", None))}
    return [Path(path) for path in sorted(paths) if not _is_library(path)]


def _is_library(path: str) -> bool:
    if not os.path.isabs(path):
        raise Unknown
    return path.startswith(LIBRARIES) or any(folder in path for folder in PACKAGES)


# -- env.py, read and not run ---------------------------------------------------------------------


def _target(module: ast.Module) -> MetaData | None:
    """Return the metadata that env.py hands over; None for all of tasks.py.

    Raises Unknown for an env.py with anything but imports of what has been imported already, and
    `environment.run(...)` with constants.
    """
    names: dict[str, Any] = {}
    *before, last = module.body or [ast.Pass()]
    for statement in before:
        names.update(_imported(statement))
    match last:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="run"),
                args=arguments,
                keywords=keywords,
            )
        ) if names.get(name) is ENVIRONMENT and len(arguments) <= 1:
            for keyword in keywords:
                if keyword.arg is None:
                    raise Unknown
                ast.literal_eval(keyword.value)  # ValueError: it is not a constant
            target = _value(arguments[0], names) if arguments else None
            if target is None or isinstance(target, MetaData):
                return target
    raise Unknown


def _imported(statement: ast.stmt) -> Iterator[tuple[str, Any]]:
    """Yield the names that an import binds, and what they are bound to."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Import(names=aliases):
            for alias in aliases:
                module = _loaded(alias.name)
                if alias.asname is None:
                    yield alias.name.partition(".")[0], _loaded(alias.name.partition(".")[0])
                else:
                    yield alias.asname, module
        case ast.ImportFrom(module=str(name), names=aliases, level=0):
            for alias in aliases:
                yield alias.asname or alias.name, _member(name, alias.name)
        case _:
            raise Unknown


def _loaded(name: str) -> Any:
    try:
        return sys.modules[name]
    except KeyError:
        raise Unknown from None


def _member(module: str, name: str) -> Any:
    if (module, name) == ENVIRONMENT:
        return ENVIRONMENT
    try:
        return getattr(_loaded(module), name)
    except AttributeError:
        return _loaded(f"{module}.{name}")


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Attribute(value=inner, attr=attribute):
            return getattr(_value(inner, names), attribute, Unknown)
    raise Unknown
