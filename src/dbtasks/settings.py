"""Where every setting comes from: options, configuration, .env and environment, made one.

Knows nothing of Invoke and imports nothing heavy: a project's settings are read at every start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dbtasks.errors import LocalFailure, UsageError

DEFAULT = "default"
ALL = "all"
PRODUCTION = "production"

UrlSource = str | Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Hold what a project's `collection(...)` was given."""

    metadata: str | Sequence[str] | None = None
    seeds: str | Mapping[str, str] | None = None
    default_model: str | None = None
    default_url: str | None = None
    url: UrlSource | None = None
    url_variable: str = "DATABASE_URL"
    databases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alembic: str = "alembic.ini"
    heads: int = 1
    app: str | None = None


# What Invoke's configuration may hold under the collection's key: the options, and the two
# that the environment also has.
CONFIGURABLE = (*(option.name for option in fields(Options)), "environment", "database")

declared: list[tuple[Options, Path]] = []
"""What `collection(...)` was given in this process, and the root of its project.

Plain Alembic runs env.py without Invoke: it finds here what tasks.py says.
"""

DATABASE_OPTIONS = frozenset({"url", "url_variable", "default_url", "read_only"})


@dataclass(frozen=True)
class Variables:
    """Look names up in the real environment first, then in the .env file."""

    environ: Mapping[str, str]
    dotenv: Mapping[str, str]

    def get(self, name: str) -> tuple[str, str] | None:
        """Return the value and its source, or None; a name set to nothing is an error."""
        for values, source in ((self.environ, "environment"), (self.dotenv, ".env")):
            if name in values:
                if not values[name].strip():
                    raise UsageError(
                        f"{name} is set but empty ({source})",
                        hint=f"give {name} a value, or unset it",
                    )
                return values[name].strip(), f"{source}: {name}"
        return None


@dataclass(frozen=True)
class Database:
    """Describe one alias: where its URL is looked for, and whether it may be written to."""

    alias: str
    url_variable: str
    url: UrlSource | None
    url_origin: str
    default_url: str | None
    read_only: bool


@dataclass(frozen=True)
class Settings:
    """Hold every resolved setting, and by name where it came from."""

    root: Path
    environment: str
    database: str
    metadata: tuple[str, ...]
    seeds: Mapping[str, str]
    default_model: str | None
    alembic: Path
    heads: int
    app: str | None
    databases: Mapping[str, Database]
    variables: Variables
    sources: Mapping[str, str]

    @property
    def writable(self) -> tuple[str, ...]:
        """Return the declared aliases that may be written to: what `--database all` means."""
        return tuple(alias for alias, one in self.databases.items() if not one.read_only)

    def url_of(self, alias: str) -> tuple[str, str]:
        """Return an alias's URL as it was given, and its source.

        Raises UsageError when there is none, or when it is empty.
        """
        database = self.databases[alias]
        found = self.variables.get(database.url_variable)
        if found is not None:
            return found
        if database.url is not None:
            return _call_url(alias, database.url), database.url_origin
        if database.default_url is not None and self.environment != PRODUCTION:
            return database.default_url, self.sources.get("default_url", "tasks.py")
        raise _no_url(database)


def resolve(
    options: Options,
    root: Path,
    *,
    environ: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
    database: str | None = None,
) -> Settings:
    """Make the settings of one command.

    `config` is what stands in Invoke's configuration under the collection's key, `database`
    the alias that the command line names. Raises UsageError for an alias or a value that
    cannot be, LocalFailure for an unreadable .env.
    """
    values, sources = _layer(options, config or {})
    _check_types(values)
    variables = Variables(environ, read_dotenv(root / ".env"))
    environment = _named("environment", "DBTASKS_ENV", values, sources, variables) or "development"
    alias = database or _named("database", "DBTASKS_DATABASE", values, sources, variables)
    if database:
        sources["database"] = "--database"
    databases = _declared(values, sources)
    alias = alias or DEFAULT
    if alias not in databases and alias != ALL:
        databases[alias] = _undeclared(alias, databases, variables)
    return Settings(
        root=root,
        environment=known_environment(environment),
        database=alias,
        metadata=_references(values["metadata"]),
        seeds=_seeds(values["seeds"]),
        default_model=values["default_model"],
        alembic=root / values["alembic"],
        heads=values["heads"],
        app=values["app"],
        databases=databases,
        variables=variables,
        sources=sources,
    )


def known_environment(name: str) -> str:
    """Return an environment's name; production is that in any case, as the guards hang on it."""
    return PRODUCTION if name.lower() == PRODUCTION else name


def read_dotenv(path: Path) -> Mapping[str, str]:
    """Return what a .env file says, without putting it into the process's environment."""
    if not path.exists():
        return {}
    from dotenv import dotenv_values  # only a project that has a .env pays for it
    from dotenv.parser import parse_stream

    try:
        with path.open(encoding="utf-8") as stream:
            wrong = [one.original.line for one in parse_stream(stream) if one.error]
        found = {} if wrong else dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFailure(
            f"cannot read {path}: {error}", hint="it should be a text file of NAME=value lines"
        ) from error
    if wrong:
        raise UsageError(
            f"{path}, line {wrong[0]}, is no NAME=value", hint="mend the line, or its quotes"
        )
    return {name: value or "" for name, value in found.items()}


def _layer(options: Options, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay Invoke's configuration over the options; None there means not set."""
    defaults = Options()
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in CONFIGURABLE:
        given = getattr(options, name, None)
        values[name] = given
        sources[name] = "default" if given == getattr(defaults, name, None) else "tasks.py"
        if config.get(name) is not None:
            if config[name] == "":
                raise UsageError(
                    f"{name} is empty in Invoke's configuration",
                    hint=f"give {name} a value, or unset it",
                )
            values[name], sources[name] = config[name], "invoke configuration"
    return values, sources


def _check_types(values: Mapping[str, Any]) -> None:
    """Refuse what is of another type than its option, without showing it: it may be a secret."""
    for name, kinds, wanted in (
        ("metadata", (str, list, tuple), '"module:attribute", or a list of such'),
        ("seeds", (str, Mapping), '"module:function", or a dict of such by name'),
        ("default_model", (str,), "the name of a class"),
        ("default_url", (str,), "a URL"),
        ("url_variable", (str,), "the name of a variable"),
        ("databases", (Mapping,), "a dict of dicts by alias"),
        ("alembic", (str,), "a path"),
        ("heads", (int,), "the number of heads that the history has"),
        ("app", (str,), '"module:factory"'),
    ):
        if values[name] is not None and not isinstance(values[name], kinds):
            raise UsageError(
                f"{name} is of type {type(values[name]).__name__}", hint=f"it should be {wanted}"
            )
    for alias, given in values["databases"].items():
        if not isinstance(given, Mapping):
            raise UsageError(
                f"databases: {alias!r} is of type {type(given).__name__}",
                hint=f'write {alias!r}: {{"url_variable": "{variable_of(alias)}"}}',
            )


def _named(
    name: str,
    variable: str,
    values: Mapping[str, Any],
    sources: dict[str, str],
    variables: Variables,
) -> str | None:
    """Return a setting that has a variable of its own, noting its source."""
    found = variables.get(variable)
    if found is not None:
        sources[name] = found[1]
        return found[0]
    value = values[name]
    return None if value is None else str(value)


def _declared(values: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Database]:
    databases = {
        DEFAULT: Database(
            alias=DEFAULT,
            url_variable=values["url_variable"],
            url=values["url"],
            url_origin=sources["url"],
            default_url=values["default_url"],
            read_only=False,
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
        )
    return databases


def variable_of(alias: str) -> str:
    """Return the variable that holds an alias's URL when none is declared."""
    return f"{alias.upper().replace('-', '_')}_DATABASE_URL"


def _undeclared(alias: str, declared: Mapping[str, Database], variables: Variables) -> Database:
    """Return an alias that only the environment knows: it counts when it is named."""
    if variables.get(variable_of(alias)) is None:
        raise UsageError(
            f"there is no database {alias!r}",
            hint=f"take one of {', '.join(declared)}, or set {variable_of(alias)}",
        )
    return Database(alias, variable_of(alias), None, "default", None, read_only=False)


def _references(metadata: str | Sequence[str] | None) -> tuple[str, ...]:
    if metadata is None:
        return ()
    return (metadata,) if isinstance(metadata, str) else tuple(metadata)


def _seeds(seeds: str | Mapping[str, str] | None) -> Mapping[str, str]:
    if seeds is None:
        return {}
    return {DEFAULT: seeds} if isinstance(seeds, str) else dict(seeds)


def _call_url(alias: str, url: UrlSource) -> str:
    value = url() if callable(url) else url
    # A sqlalchemy.URL hides its password as text; this is how it gives the whole.
    text = value.render_as_string(False) if hasattr(value, "render_as_string") else str(value or "")
    if not text.strip():
        raise UsageError(f"the URL of database {alias!r} is empty", hint="see url= in tasks.py")
    return text.strip()


def _no_url(database: Database) -> UsageError:
    if database.default_url is not None:
        what = f"{database.url_variable} is not set, and production takes no default_url"
    else:
        what = f"{database.url_variable} is not set: database {database.alias!r} has no URL"
    return UsageError(
        what,
        hint=f"export {database.url_variable}=postgresql://user:password@host/name, "
        "or put the line into .env beside tasks.py",
    )
