"""The body of every env.py, for `inv` and for plain Alembic alike.

from company.models import Base
from dbtasks.migrations import environment

environment.run(Base.metadata)
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from alembic import context
from sqlalchemy import Connection, MetaData

from dbtasks.engines import Backend
from dbtasks.project import Project
from dbtasks.references import put_on_path
from dbtasks.settings import Options, declared, resolve

HANDOVER = "dbtasks"
"""The key in Alembic's `Config.attributes` by which a command hands its connection over."""

OWN_TABLES = "dbtasks_"


@dataclass
class Handover:
    """Hold what a dbtasks command gives to env.py, and what it learns from it."""

    project: Project
    connection: Connection
    output: StringIO = field(default_factory=StringIO)
    taken: bool = False
    transactional: bool = False


def run(metadata: MetaData, **options: Any) -> None:
    """Run what Alembic was asked for, on the project's database.

    `options` go to Alembic's `context.configure`. Under plain Alembic the settings are those
    of the tasks.py beside alembic.ini, and its .env.
    """
    handover: Handover | None = context.config.attributes.get(HANDOVER)
    if handover is not None:
        handover.taken = True
        _run_on(handover.connection, handover.project.backend, metadata, handover, options)
    elif context.is_offline_mode():
        _run_offline(_find_project(metadata), metadata, options)
    else:
        project = _find_project(metadata)
        with project.migrating(writes=True) as connection:
            _run_on(connection, project.backend, metadata, None, options)


def _run_on(
    connection: Connection,
    backend: Backend,
    metadata: MetaData,
    handover: Handover | None,
    options: dict[str, Any],
) -> None:
    if handover is not None:
        options = {**options, "output_buffer": handover.output}
    context.configure(connection=connection, **_settings(backend, metadata, options))
    running = context.get_context()
    if handover is not None:
        handover.transactional = running.impl.transactional_ddl
    if not running.as_sql:
        # Alembic has no public place for what must stand around all steps and inside their
        # transaction.
        running._migrations_fn = _check_around(running._migrations_fn, backend, connection)
    with context.begin_transaction():
        context.run_migrations()


def _run_offline(project: Project, metadata: MetaData, options: dict[str, Any]) -> None:
    settings = _settings(project.backend, metadata, options)
    context.configure(
        url=project.backend.url,
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        **settings,
    )
    with context.begin_transaction():
        context.run_migrations()


def _settings(backend: Backend, metadata: MetaData, options: dict[str, Any]) -> dict[str, Any]:
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
    return not (kind == "table" and name is not None and name.startswith(OWN_TABLES))


def _is_no_view(item: Any, name: object, kind: str, reflected: bool, other: object) -> bool:
    # SQLAlchemy 2.1 keeps views among the tables, and autogenerate would make a table of one.
    return not (kind == "table" and getattr(item, "is_view", False))


def _check_around(
    steps_of: Callable[..., Iterable[Any]] | None, backend: Backend, connection: Connection
) -> Callable[..., Iterable[Any]]:
    assert steps_of is not None

    def checked(heads: Any, running: Any) -> Iterable[Any]:
        steps = iter(steps_of(heads, running))
        first = next(steps, None)
        if first is not None:
            with backend.migration_checks(connection):
                yield first
                yield from steps

    return checked


def _find_project(metadata: MetaData) -> Project:
    """Return the project of plain Alembic's alembic.ini: what tasks.py says of it."""
    ini = Path(context.config.config_file_name or "alembic.ini").resolve()
    options, root = _declaration(ini)
    put_on_path(root)
    return Project(resolve(options, root, environ=os.environ), metadata=metadata)


def _declaration(ini: Path) -> tuple[Options, Path]:
    before = len(declared)
    tasks = _find_tasks(ini.parent)
    if tasks is not None:
        _execute(tasks)
    for options, root in declared[before:]:
        if (root / options.alembic).resolve() == ini:
            return options, root
    return Options(), ini.parent


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
    spec.loader.exec_module(module)
