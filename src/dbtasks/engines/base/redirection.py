"""Connections that a project's own env.py opens: sent to the project's database instead."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import URL, Connection
from sqlalchemy.engine import Dialect

WHERE = frozenset(
    ("host", "hostaddr", "port", "unix_socket", "named_pipe", "database", "dbname", "db", "dsn")
)
WHO = frozenset(("user", "username", "password", "passwd", "passfile"))
INDIRECTLY = frozenset(
    ("service", "service_name", "sid", "read_default_file", "read_default_group")
)
LOCATION = WHERE | WHO | INDIRECTLY | {"async_creator_fn"}
"""What drivers call the place of a database, and who connects."""


class Redirection:
    """Say how a driver that env.py has chosen gets to the project's database."""

    url: URL
    async_drivers: ClassVar[Mapping[str, Mapping[str, str]]]

    location: ClassVar[frozenset[str]] = LOCATION
    """The keywords of a connection that are ours to give, whatever env.py says."""

    def is_spoken(self, name: str) -> bool:
        """Whether a dialect of this name is one of this kind of database."""
        return name == self.url.get_backend_name()

    def url_for(self, name: str, driver: str, given: URL, *, create: bool) -> URL:
        """Return our URL for another driver.

        `given` is the URL as the settings have it: for its own driver it says most.
        """
        known = self.async_drivers.get(driver, {})
        renamed = {theirs: own for own, theirs in known.items() if theirs}
        url = given if given.get_driver_name() == driver else self.url
        query = {renamed.get(key, key): value for key, value in url.query.items()}
        return url.set(drivername=f"{name}+{driver}", database=self.url.database, query=query)

    def redirect(
        self, dialect: Dialect, keywords: Mapping[str, Any], given: URL, *, create: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return what a driver connects with: env.py's keywords, and our place in them."""
        url = self.url_for(dialect.name, dialect.driver, given, create=create)
        positional, ours = dialect.create_connect_args(url)
        theirs = {key: value for key, value in keywords.items() if key not in self.location}
        return list(positional), {**theirs, **ours}

    @contextmanager
    def real_transactions(
        self, meant: Callable[[Connection], bool], *, writes: bool
    ) -> Iterator[None]:
        """Begin the transactions of the connections that are `meant` as we begin ours."""
        yield
