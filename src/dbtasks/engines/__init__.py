"""One class for each kind of database, found by the URL."""

from pathlib import Path

from dbtasks.engines.base import Backend
from dbtasks.engines.mysql import MariaDB, MySQL
from dbtasks.engines.oracle import Oracle
from dbtasks.engines.postgresql import PostgreSQL
from dbtasks.engines.sqlite import SQLite
from dbtasks.engines.urls import choose_driver, mask, parse, secrets_of

__all__ = ["Backend", "backend_for", "mask", "parse", "secrets_of"]

BACKENDS: dict[str, type[Backend]] = {
    "mariadb": MariaDB,
    "mysql": MySQL,
    "oracle": Oracle,
    "postgresql": PostgreSQL,
    "sqlite": SQLite,
}


def backend_for(text: str, source: str, root: Path) -> Backend:
    """Return the backend of a URL, on a driver that is installed.

    A dialect that has no class here gets what SQLAlchemy alone gives. Raises UsageError for a
    URL that cannot be read, a dialect that nobody knows and a driver that is missing.
    """
    url = parse(text, source)
    kind = BACKENDS.get(url.get_backend_name(), Backend)
    return kind(choose_driver(url, kind), root)
