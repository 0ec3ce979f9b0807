"""One class for each kind of database, found by the URL."""

from importlib import import_module
from pathlib import Path

from dbtasks.engines.base.backend import Backend
from dbtasks.engines.base.urls import (
    choose_driver,
    mask,
    mask_text,
    parse,
    secret_of_text,
    secrets_of,
)

__all__ = [
    "Backend",
    "backend_class",
    "backend_for",
    "mask",
    "mask_text",
    "parse",
    "secret_of_text",
    "secrets_of",
]

BACKENDS = {
    "mariadb": "mysql.backend:MariaDB",
    "mysql": "mysql.backend:MySQL",
    "oracle": "oracle.backend:Oracle",
    "postgresql": "postgresql.backend:PostgreSQL",
    "sqlite": "sqlite.backend:SQLite",
}


def backend_class(name: str) -> type[Backend]:
    """Return the class of a database by its name in URLs; no other database is imported.

    A dialect that has no class here gets what SQLAlchemy alone gives.
    """
    if name not in BACKENDS:
        return Backend
    module, _, attribute = BACKENDS[name].partition(":")
    found: type[Backend] = getattr(import_module(f"dbtasks.engines.{module}"), attribute)
    return found


def backend_for(text: str, source: str, root: Path) -> Backend:
    """Return the backend of a URL, on a driver that is installed.

    Raises UsageError for a URL that cannot be read, a dialect that nobody knows and a driver that
    is missing.
    """
    url = parse(text, source)
    backend = backend_class(url.get_backend_name())
    return backend(choose_driver(url, backend), root)
