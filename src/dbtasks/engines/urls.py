"""Database URLs: read, made ready for a driver that is installed, and shown without secrets."""

import re
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from dbtasks.engines.base import Backend
from dbtasks.errors import UsageError

SECRET_KEYS = re.compile(r"pass|pwd|secret|token|credential|odbc_connect", re.IGNORECASE)
MASK = "***"


def parse(text: str, source: str) -> URL:
    """Read a URL; `source` names where it came from, as the text itself may hold a password."""
    try:
        url = make_url(text)
        _ = url.port
        if "@" in (url.host or ""):
            raise ValueError
    except (ArgumentError, ValueError):
        raise UsageError(
            f"the database URL cannot be read ({source})",
            hint="it looks like postgresql://user:password@host:5432/name; "
            "write @ : / % in a password as %40 %3A %2F %25",
        ) from None  # the cause's words may hold the password
    return url.set(drivername=re.sub(r"^postgres(?=$|\+)", "postgresql", url.drivername))


def choose_driver(url: URL, backend: type[Backend]) -> URL:
    """Return the URL on a synchronous driver that is installed.

    A URL with an asynchronous driver goes to the synchronous one of the same database, with
    its query translated; a driver that only SQLAlchemy knows stays. Raises UsageError with the
    line that installs a missing driver.
    """
    driver = url.drivername.partition("+")[2]
    if driver in backend.async_drivers:
        url = backend.translate_async(url)
        driver = ""
    candidates = [one for one in backend.drivers if driver in ("", one.name)]
    if not candidates:
        return check_dialect(url)
    for one in candidates:
        if find_spec(one.module) is not None:
            return url.set(drivername=f"{url.get_backend_name()}+{one.name}")
    raise UsageError(
        f"the driver for {backend.title} is not installed ({candidates[0].name})",
        hint=f'pip install "{candidates[0].package}"',
    )


def check_dialect(url: URL) -> URL:
    """Return the URL if SQLAlchemy has a synchronous dialect for it; raise UsageError if not."""
    try:
        dialect = url.get_dialect()
    except NoSuchModuleError:
        raise UsageError(
            f"SQLAlchemy knows no database {url.drivername!r}",
            hint="take sqlite, postgresql, mysql, mariadb or oracle, or install the package of "
            "the dialect",
        ) from None
    if dialect.is_async:
        raise UsageError(
            f"{url.drivername!r} is an asynchronous driver", hint="give the URL a synchronous one"
        )
    return url


def mask(url: URL) -> str:
    """Return the URL as text with its password, and secrets in its query, hidden."""
    hidden = {key: MASK for key in url.query if SECRET_KEYS.search(key)}
    text = url.update_query_dict(hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", MASK).replace("%3Amemory%3A", ":memory:")


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return the texts that must never be printed: passwords, plain and as the URL has them."""
    values = [url.password] if url.password else []
    for key, value in url.query.items():
        if SECRET_KEYS.search(key):
            values.extend([value] if isinstance(value, str) else value)
    quoted = [
        URL.create("x", password=value, username="u").render_as_string(False) for value in values
    ]
    return tuple({*values, *(text.removeprefix("x://u:").rstrip("@") for text in quoted)})


def resolve_path(database: str, root: Path) -> Path:
    """Return a SQLite path as an absolute one; a relative one starts at the project's root."""
    return (root / database).resolve()
