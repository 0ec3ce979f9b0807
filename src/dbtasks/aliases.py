"""The databases that a project declares, by alias, and the variables that hold their URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbtasks.errors import UsageError
from dbtasks.sources import UrlSource
from dbtasks.variables import Variables

DEFAULT = "default"
ALL = "all"

DATABASE_OPTIONS = frozenset(
    {"url", "engine", "url_variable", "default_url", "scratch_url", "read_only"}
)


@dataclass(frozen=True)
class Database:
    """Describe one alias: where its URL is looked for, and whether it may be written to.

    `from_program`: a program passed `url` or `engine`, which win over the variable.
    """

    alias: str
    url_variable: str
    url: UrlSource | None = field(repr=False)  # a traceback with values shows no secret
    url_origin: str
    default_url: str | None = field(repr=False)
    read_only: bool
    from_program: bool = False
    engine: UrlSource | None = field(default=None, repr=False)
    scratch_url: UrlSource | None = field(default=None, repr=False)

    @property
    def is_given(self) -> bool:
        """Whether the options hold a URL or an engine, and not only a default."""
        return self.url is not None or self.engine is not None


def declared_databases(
    values: Mapping[str, Any], sources: Mapping[str, str], *, from_program: bool
) -> dict[str, Database]:
    """Return the databases of a project by alias, as the settings describe them."""
    databases = {
        DEFAULT: Database(
            alias=DEFAULT,
            url_variable=values["url_variable"],
            url=values["url"],
            url_origin=sources["engine" if values["url"] is None else "url"],
            default_url=values["default_url"],
            read_only=False,
            from_program=from_program,
            engine=values["engine"],
            scratch_url=values["scratch_url"],
        )
    }
    for alias, given in values["databases"].items():
        unknown = set(given) - DATABASE_OPTIONS
        if unknown or alias == ALL:
            raise UsageError(
                f"databases: {alias!r} cannot be declared"
                + (f" with {', '.join(sorted(unknown))}" if unknown else ", it means every one"),
                hint=f"a database has {', '.join(sorted(DATABASE_OPTIONS))}",
            )
        databases[alias] = Database(
            alias=alias,
            url_variable=given.get("url_variable", variable_of(alias)),
            url=given.get("url"),
            url_origin=sources["databases"],
            default_url=given.get("default_url"),
            read_only=bool(given.get("read_only", False)),
            from_program=from_program,
            engine=given.get("engine"),
            scratch_url=given.get("scratch_url"),
        )
    return databases


def give(databases: dict[str, Database], alias: str) -> None:
    """Let a program's `url=` or `engine=` be that of the database that it names."""
    given = databases[DEFAULT]
    if alias not in databases:
        databases[alias] = replace(given, alias=alias)
    elif not databases[alias].is_given:
        databases[alias] = replace(databases[alias], url=given.url, engine=given.engine)


def variable_of(alias: str) -> str:
    """Return the variable that holds an alias's URL when none is declared."""
    return f"{alias.upper().replace('-', '_')}_DATABASE_URL"


def scratch_variable(url_variable: str) -> str:
    """Return the variable that holds the URL of a database's scratch database."""
    return f"SCRATCH_{url_variable}"


def undeclared(alias: str, declared: Mapping[str, Database], variables: Variables) -> Database:
    """Return an alias that only the environment knows: it counts when it is named."""
    if variables.get(variable_of(alias)) is None:
        raise UsageError(
            f"there is no database {alias!r}",
            hint=f"take one of {', '.join(declared)}, or set {variable_of(alias)}",
        )
    return Database(alias, variable_of(alias), None, "default", None, read_only=False)


def no_url(database: Database) -> UsageError:
    """Return the error for a database without a URL."""
    if database.default_url is not None:
        what = f"{database.url_variable} is not set, and production takes no default_url"
    else:
        what = f"{database.url_variable} is not set: database {database.alias!r} has no URL"
    return UsageError(
        what,
        hint=f"export {database.url_variable}=postgresql://user:password@host/name, "
        "or put the line into .env beside tasks.py",
    )
