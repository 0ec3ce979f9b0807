"""The body of every env.py, for `inv` and for plain Alembic alike.

from company.models import Base
from dbtasks.migrations import environment

environment.run(Base.metadata)
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData

from dbtasks import bytecode
from dbtasks.engines import Backend, backend_for, mask_text
from dbtasks.engines.sqlite import schema as schema  # it takes its place where it is imported
from dbtasks.errors import DbtasksError, Refused
from dbtasks.guards import check_writable
from dbtasks.project import Project
from dbtasks.references import put_on_path
from dbtasks.reflection import hidden, is_ours
from dbtasks.settings import ALEMBIC, TASKS, Options, declared, resolve

HANDOVER = "dbtasks"
"""The key in Alembic's `Config.attributes` by which a command hands its connection over."""

CONNECTION = "connection"

Target = MetaData | tuple[MetaData, ...]


@dataclass
class Handover:
    """Hold what a dbtasks command gives to env.py, and what it learns from it.

    `connection` is ours until env.py configures one of its own, which leads to the same
    database. `compares` is whether the models are needed. `on_configured` is called with
    Alembic's context before the first step, and `on_applied` with the heads after each.
    `per_revision` is whether each revision has a transaction of its own, as the command or env.py
    wants it; `shortened` is how env.py makes the transactions shorter than the engine would.
    """

    project: Project
    connection: Connection
    writes: bool = False
    compares: bool = False
    output: StringIO = field(default_factory=StringIO)
    on_configured: Callable[[MigrationContext], None] = lambda context: None
    on_applied: Callable[[frozenset[str]], None] = lambda heads: None
    taken: bool = False
    transactional: bool = False
    per_revision: bool = False
    shortened: str = ""

    def note(self, revisions: int) -> str:
        """Return what to say of the transactions of so many revisions."""
        return self.shortened if revisions > 1 or not self.transactional else ""


def run(metadata: MetaData | None = None, **options: Any) -> None:
    """Run what Alembic was asked for, on the project's database.

    Without `metadata` it is what tasks.py names. `options` go to Alembic's `context.configure`.
    Under plain Alembic the settings are those of the tasks.py beside alembic.ini, and its .env.
    """
    handover: Handover | None = context.config.attributes.get(HANDOVER)
    if handover is not None:
        target = target_of(metadata, handover.project)
        settings = _settings(handover.project.backend, target, options)
        settings.setdefault("compare_server_default", True)
        context.configure(connection=handover.connection, **settings)
        with context.begin_transaction():
            context.run_migrations()
        return
    try:
        _run_plain(metadata, options)
    except DbtasksError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise CommandError(mask_text(f"{error.message}{hint}")) from error


def replace_configure(environment: EnvironmentContext, configure: Callable[..., None]) -> None:
    """Let `context.configure` call a function of ours."""
    # The module alembic.context finds the methods of the environment by name, and those of its own
    # class only: a subclass of EnvironmentContext has no proxies.
    environment.configure = configure  # type: ignore[method-assign]  # as said above


def check_around(steps: Iterable[Any], backend: Backend, connection: Connection) -> Iterator[Any]:
    """Yield Alembic's steps with what the engine does around them, in their transaction."""
    steps = iter(steps)
    first = next(steps, None)
    if first is not None:
        with backend.migration_checks(connection), hidden(connection):
            yield first
            yield from steps


def _run_plain(metadata: MetaData | None, options: dict[str, Any]) -> None:
    """Run what plain Alembic was asked for; on the connection of a program that has one.

    That is Alembic's recipe for tests and programs: `Config.attributes["connection"]`.
    """
    given = context.config.attributes.get(CONNECTION)
    if given is not None:
        _run_given(given, metadata, options)
        return
    with _find_project(metadata) as project:
        settings = _settings(project.backend, target_of(metadata, project), options)
        if context.is_offline_mode():
            _run_offline(project, settings)
        else:
            _run_online(project, settings)


def _run_online(project: Project, settings: dict[str, Any]) -> None:
    with project.migrating(writes=True) as connection:
        context.configure(connection=connection, **settings)
        steps_of = context.get_context().opts["fn"]  # the work of Alembic's command

        def checked(heads: Any, running: Any) -> Iterator[Any]:
            return check_around(steps_of(heads, running), project.backend, connection)

        context.configure(connection=connection, fn=checked, **settings)
        _run_configured()


def _run_given(given: Any, metadata: MetaData | None, options: dict[str, Any]) -> None:
    if hasattr(given, "connect"):  # an engine, or what stands in for one
        with given.connect() as connection:
            _run_given(connection, metadata, options)
        return
    url = given.engine.url.render_as_string(hide_password=False)
    backend = backend_for(url, "the connection", Path.cwd())
    target = metadata if metadata is not None else target_of(None, _find_project(None))
    context.configure(connection=given, **_settings(backend, target, options))
    _run_configured()


def _run_offline(project: Project, settings: dict[str, Any]) -> None:
    context.configure(
        url=project.backend.url,
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        **settings,
    )
    _run_configured()


def _run_configured() -> None:
    with context.begin_transaction():
        context.run_migrations()


def target_of(metadata: MetaData | None, project: Project) -> Target:
    """Return what the revisions are to make: all that tasks.py names, unless env.py names one."""
    if metadata is not None:
        return metadata
    return project.metadata[0] if len(project.metadata) == 1 else project.metadata


def _settings(backend: Backend, metadata: Target, options: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of `context.configure`: ours, then the project's own."""
    return {
        "target_metadata": metadata,
        "transactional_ddl": backend.transactional_ddl,
        "render_as_batch": backend.batch_migrations,
        **options,
        "include_name": _both(_is_not_ours, options.get("include_name")),
        "include_object": _both(_is_no_view, options.get("include_object")),
    }


def _both(ours: Callable[..., bool], theirs: Callable[..., bool] | None) -> Callable[..., bool]:
    if theirs is None:
        return ours
    return lambda *arguments: ours(*arguments) and theirs(*arguments)


def _is_not_ours(name: str | None, kind: str, parents: object) -> bool:
    return not (kind == "table" and is_ours(name))


def _is_no_view(item: Any, name: object, kind: str, reflected: bool, other: object) -> bool:
    # SQLAlchemy 2.1 keeps views among the tables, and autogenerate would make a table of one.
    return not (kind == "table" and getattr(item, "is_view", False))


def _find_project(metadata: MetaData | None) -> Project:
    """Return the project of plain Alembic's alembic.ini: what tasks.py says of it.

    A URL that a program sets on Alembic's Config, as tests do, wins over the environment.
    """
    config = context.config
    toml = getattr(config, "toml_file_name", None)  # Alembic 1.16
    named = [Path(name) for name in (config.config_file_name, toml) if name]
    paths = [path.resolve() for path in named if path.is_file()] or [Path("alembic.ini").resolve()]
    options, root = _declaration(paths)
    put_on_path(root)
    url = _program_url(config)
    origin = TASKS if url is None else ALEMBIC
    if url is not None:
        options = replace(options, url=url)
    settings = resolve(options, root, environ=os.environ, origin=origin)
    project = Project(settings, metadata=metadata)
    check_writable(project)
    return project


def _program_url(config: Config) -> str | None:
    """Return the URL that a program gave to `Config.set_main_option`; not that of the file."""
    # get_main_option would exit where there is no alembic.ini, as beside a pyproject.toml.
    read = (config, Config(config.config_file_name))
    url, of_file = (
        one.file_config.get(config.config_ini_section, "sqlalchemy.url", fallback=None)
        for one in read
    )
    return url if url != of_file else None


def _declaration(paths: list[Path]) -> tuple[Options, Path]:
    """Return what tasks.py says of one of these files; more than one collection may not."""
    tasks = _find_tasks(paths[0].parent)
    if tasks is not None and not _matching(paths):
        _execute(tasks)
    found = _matching(paths)
    if len({id(options) for options, _ in found}) > 1:
        raise Refused(
            f"tasks.py has several collections on {paths[0].name}, and Alembic names none",
            hint="migrate with inv, or give each collection an alembic.ini of its own",
        )
    return found[0] if found else (Options(), paths[0].parent)


def _matching(paths: list[Path]) -> list[tuple[Options, Path]]:
    return [(one, root) for one, root in declared if (root / one.alembic).resolve() in paths]


def _find_tasks(folder: Path) -> Path | None:
    """Return the nearest tasks.py, or tasks package, from a folder upwards, as Invoke does."""
    for one in (folder, *folder.parents):
        for path in (one / "tasks.py", one / "tasks" / "__init__.py"):
            if path.is_file():
                return path
    return None


def _execute(path: Path) -> None:
    package = [str(path.parent)] if path.name == "__init__.py" else None
    put_on_path(path.parent.parent if package else path.parent)
    spec = importlib.util.spec_from_file_location("tasks", path, submodule_search_locations=package)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tasks"] = module
    with bytecode.current([path]):
        spec.loader.exec_module(module)
