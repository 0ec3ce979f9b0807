"""Every setting with its value and its source, and the SQL of our tables, to read."""

import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from dbtasks import own_tables
from dbtasks.aliases import DEFAULT, scratch_variable
from dbtasks.engines import backend_for, mask, mask_text, parse
from dbtasks.errors import DbtasksError, Unreachable
from dbtasks.project import Project
from dbtasks.settings import Settings


@dataclass(frozen=True)
class Line:
    """Describe one setting; secrets in its value are hidden."""

    name: str
    value: str | None
    source: str


def report_settings(settings: Settings) -> list[Line]:
    """Return all settings, and the versions of what they run with.

    A URL that is missing or cannot be read says so as its value.
    """
    urls = (_url(settings, alias) for alias in settings.databases)
    return [*_plain(settings), *urls, *_scratch_urls(settings), *_versions(settings)]


def report_own_tables(project: Project) -> str:
    """Return the SQL that makes what the database lacks of our tables.

    Where the database cannot be reached it is the SQL for an empty one. Raises Refused where a
    newer version of dbtasks has made our tables.
    """
    note = ""
    try:
        with project.connect() as connection:
            statements = own_tables.script(project.backend, connection)
    except Unreachable:
        statements = own_tables.script(project.backend, None)
        note = "-- The database cannot be reached: this is the SQL for one without our tables.\n"
    if not statements:
        return f"-- All tables of dbtasks exist, in format {own_tables.FORMAT}."
    return note + "\n".join(f"{statement};" for statement in statements)


def _versions(settings: Settings) -> Iterator[Line]:
    """Yield the versions that a report of a bug needs."""
    found = {"python": platform.python_version()}
    for name in ("dbtasks", "sqlalchemy", "alembic", "invoke"):
        with suppress(PackageNotFoundError):  # a copy in the project's own folder
            found[name] = version(name)
    for alias in settings.databases:
        with suppress(DbtasksError, ImportError):  # the line of the URL says what is wrong
            backend = backend_for(*settings.url_of(alias), settings.root)
            name = backend.url.get_driver_name()
            drivers = [one for one in backend.drivers if one.name == name]
            found |= {one.module: one.version() for one in drivers}
    for name, number in found.items():
        yield Line(f"version of {name}", number, "installed")


def _plain(settings: Settings) -> Iterator[Line]:
    values = {
        "environment": settings.environment,
        "database": settings.database,
        "metadata": ", ".join(settings.metadata),
        "default_url": _masked(settings.databases[DEFAULT].default_url),
        "url_variable": settings.databases[DEFAULT].url_variable,
        "seeds": ", ".join(settings.seeds.values()),
        "default_model": settings.default_model,
        "alembic": str(settings.alembic),
        "heads": str(settings.heads),
        "reflect": str(settings.reflect),
        "app": settings.app,
        "bootstrap": settings.bootstrap,
    }
    yield Line("root", str(settings.root), "tasks.py")
    for name, value in values.items():
        yield Line(name, mask_text(value) if value else None, settings.sources[name])


def _masked(text: str | None) -> str | None:
    """Return a URL as it was given, without its secrets."""
    if text is None:
        return None
    try:
        return mask(parse(text, "default_url"))
    except DbtasksError as error:
        return f"({error.message})"


def _scratch_urls(settings: Settings) -> Iterator[Line]:
    """Yield the scratch databases that are named; without one they are made and dropped."""
    for alias in settings.databases:
        variable = scratch_variable(settings.databases[alias].url_variable)
        try:
            named = settings.scratch_of(alias)
        except DbtasksError as error:
            yield Line(f"scratch_url of {alias}", f"({error.message})", variable)
            continue
        if named is not None:
            yield replace(_url(named, alias), name=f"scratch_url of {alias}")


def _url(settings: Settings, alias: str) -> Line:
    read_only = ", read-only" if settings.databases[alias].read_only else ""
    name = f"url of {alias}{read_only}"
    variable = settings.databases[alias].url_variable
    try:
        text, source = settings.url_of(alias)
        value = mask(backend_for(text, source, settings.root).url)
        weaker = settings.weaker_urls(alias)
        return Line(name, value, ", wins over ".join([source, *weaker]))
    except DbtasksError as error:
        return Line(name, f"({error.message})", variable)
