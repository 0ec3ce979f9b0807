"""Every setting with its value and its source, for a person to read."""

from collections.abc import Iterator
from dataclasses import dataclass

from dbtasks.engines import backend_for, mask, parse
from dbtasks.errors import DbtasksError
from dbtasks.settings import DEFAULT, Settings


@dataclass(frozen=True)
class Line:
    """Describe one setting; secrets in its value are hidden."""

    name: str
    value: str | None
    source: str


def report_settings(settings: Settings) -> list[Line]:
    """Return all settings; a URL that is missing or cannot be read says so as its value."""
    return [*_plain(settings), *(_url(settings, alias) for alias in settings.databases)]


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
        "app": settings.app,
    }
    yield Line("root", str(settings.root), "tasks.py")
    for name, value in values.items():
        yield Line(name, value or None, settings.sources[name])


def _masked(text: str | None) -> str | None:
    """Return a URL as it was given, without its secrets."""
    if text is None:
        return None
    try:
        return mask(parse(text, "default_url"))
    except DbtasksError as error:
        return f"({error.message})"


def _url(settings: Settings, alias: str) -> Line:
    read_only = ", read-only" if settings.databases[alias].read_only else ""
    name = f"url of {alias}{read_only}"
    variable = settings.databases[alias].url_variable
    try:
        text, source = settings.url_of(alias)
        return Line(name, mask(backend_for(text, source, settings.root).url), source)
    except DbtasksError as error:
        return Line(name, f"({error.message})", variable)
