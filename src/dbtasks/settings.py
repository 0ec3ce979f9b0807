"""Where every setting comes from: options, configuration, .env and environment, made one.

Knows nothing of Invoke and imports nothing heavy: a project's settings are read at every start.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dbtasks.aliases import (
    ALL,
    DEFAULT,
    Database,
    declared_databases,
    give,
    no_url,
    scratch_variable,
    undeclared,
    variable_of,
)
from dbtasks.errors import UsageError
from dbtasks.sources import UrlSource, engine_of, is_asked, password_in_file, url_text
from dbtasks.variables import Variables, read_dotenv

PRODUCTION = "production"
PRODUCTION_NAMES = frozenset({PRODUCTION, "prod", "prd", "live"})
"""What means production, in any case."""

TASKS = "tasks.py"
PROGRAM = "Project.configure"
ALEMBIC = "Alembic's Config"
"""Where options come from: a project's `collection(...)`, or a program, whose options win."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Hold what a project's `collection(...)` was given."""

    metadata: str | Sequence[str] | None = None
    seeds: str | Mapping[str, str] | None = None
    default_model: str | None = None
    default_url: str | None = field(default=None, repr=False)
    url: UrlSource | None = field(default=None, repr=False)
    engine: UrlSource | None = field(default=None, repr=False)
    url_variable: str = "DATABASE_URL"
    databases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    alembic: str = "alembic.ini"
    heads: int = 1
    reflect: bool = False
    app: str | None = None
    bootstrap: str | None = None
    scratch_url: UrlSource | None = field(default=None, repr=False)


# What Invoke's configuration may hold under the collection's key: the options, and the two
# that the environment also has.
CONFIGURABLE = (*(option.name for option in fields(Options)), "environment", "database")

declared: list[tuple[Options, Path]] = []
"""What `collection(...)` was given in this process, and the root of its project.

Plain Alembic runs env.py without Invoke: it finds here what tasks.py says.
"""


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
    reflect: bool
    app: str | None
    bootstrap: str | None
    databases: Mapping[str, Database]
    variables: Variables = field(repr=False)
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
        if (found := self._variable_of(database)) is not None:
            return found
        url = database.url if (engine := self.engine_of(alias)) is None else engine.url
        if url is not None:
            return url_text(alias, url, self.root), database.url_origin
        if database.default_url is not None and self.environment != PRODUCTION:
            return database.default_url, self.sources.get("default_url", TASKS)
        raise no_url(database)

    def url_texts(self) -> Iterator[str]:
        """Yield the URLs of all aliases that are texts, from every source."""
        for database in self.databases.values():
            for variable in (database.url_variable, scratch_variable(database.url_variable)):
                yield from (value for value, _ in self.variables.values_of(variable))
            given = (database.url, database.default_url, database.scratch_url)
            yield from (one for one in given if isinstance(one, str))

    def scratch_of(self, alias: str) -> "Settings | None":
        """Return the settings with an alias's scratch database in its place, where one is named."""
        database = self.databases[alias]
        variable = scratch_variable(database.url_variable)
        chosen = database.from_program and database.is_given  # with what the program says of it
        if database.scratch_url is None and (chosen or self.variables.get(variable) is None):
            return None
        scratch = Database(
            alias=alias,
            url_variable=variable,
            url=database.scratch_url,
            url_origin=self.sources["scratch_url" if alias == DEFAULT else "databases"],
            default_url=None,
            read_only=False,
            from_program=database.from_program,
        )
        return replace(self, databases={**self.databases, alias: scratch})

    def engine_of(self, alias: str) -> Any:
        """Return the engine that `engine=` makes for an alias; None where a URL is stronger."""
        database = self.databases[alias]
        stronger = database.url if database.from_program else self._variable_of(database)
        if database.engine is None or stronger is not None:
            return None
        return engine_of(alias, database.engine, self.root)

    def _variable_of(self, database: Database) -> tuple[str, str] | None:
        """Return the URL of a database's variable and its source, unless a program is stronger."""
        if database.from_program and database.is_given:
            return None
        return self.variables.get(database.url_variable)

    def password_of(self, alias: str) -> str | None:
        """Return the password of an alias's URL that a file holds now, or None."""
        return password_in_file(self.databases[alias].url_variable, self.variables)

    def is_renewed(self, alias: str) -> bool:
        """Whether each new connection asks for the URL, or its password, again."""
        return is_asked(self.databases[alias].url) or self.password_of(alias) is not None

    def weaker_urls(self, alias: str) -> list[str]:
        """Name the sources that give an alias a URL too, and that its own is stronger than."""
        database = self.databases[alias]
        named = [source for _, source in self.variables.values_of(database.url_variable)]
        if database.is_given:
            place = 0 if database.from_program else len(named)
            option = "engine" if database.url is None else "url"
            named.insert(place, f"{database.url_origin}: {option}")
        if database.default_url is not None:
            named.append(f"{self.sources['default_url']}: default_url")
        return named[1:]


def resolve(
    options: Options,
    root: Path,
    *,
    environ: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
    database: str | None = None,
    config_key: str | None = None,
    origin: str = TASKS,
) -> Settings:
    """Make the settings of one command, or of a program.

    From the weakest source to the strongest: defaults, the options of `collection(...)`,
    `config`, the .env file, `environ`, and the options where their `origin` is a program.

    `config` is what Invoke's configuration holds under the collection's key, `database` the
    alias that the command line or the program names. Raises UsageError for an alias or a value
    that cannot be, LocalFailure for an unreadable .env.
    """
    values, sources = _layer(options, config or {}, origin)
    _check_types(values)
    variables = Variables(environ, read_dotenv(root / ".env"))
    if config_key is not None:
        _check_invoke_variables(variables, config_key)
    environment = _named("environment", "DBTASKS_ENV", values, sources, variables) or "development"
    if not environment.isprintable():  # a byte-order mark would make production another name
        raise UsageError(
            f"the environment {environment!r} has characters that are not printable",
            hint="type the name again, in DBTASKS_ENV or in Invoke's configuration",
        )
    given = origin != TASKS and (values["url"] is not None or values["engine"] is not None)
    database = database or (DEFAULT if given else None)  # a program wins over DBTASKS_DATABASE too
    alias = database or _named("database", "DBTASKS_DATABASE", values, sources, variables)
    if database:
        sources["database"] = "--database" if origin == TASKS else origin
    alias = alias or DEFAULT
    databases = declared_databases(values, sources, from_program=origin != TASKS)
    if given:
        give(databases, alias)
    if alias not in databases and alias != ALL:
        databases[alias] = undeclared(alias, databases, variables)
    return Settings(
        root=root,
        environment=known_environment(environment),
        database=alias,
        metadata=_references(values["metadata"]),
        seeds=_seeds(values["seeds"]),
        alembic=root / values["alembic"],
        **{
            name: values[name] for name in ("default_model", "heads", "reflect", "app", "bootstrap")
        },
        databases=databases,
        variables=variables,
        sources=sources,
    )


def known_environment(name: str) -> str:
    """Return an environment's name without blanks around it; the guards depend on PRODUCTION."""
    name = name.strip()
    return PRODUCTION if name.lower() in PRODUCTION_NAMES else name


def _layer(
    options: Options, config: Mapping[str, Any], origin: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Lay Invoke's configuration over the options of tasks.py; None there means not set."""
    _check_names(config)
    defaults = Options()
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in CONFIGURABLE:
        given = getattr(options, name, None)
        values[name] = given
        sources[name] = "default" if given == getattr(defaults, name, None) else origin
        if config.get(name) is None or sources[name] not in ("default", TASKS):
            continue
        if isinstance(config[name], str) and not config[name].strip():
            raise UsageError(
                f"{name} is empty in Invoke's configuration",
                hint=f"give {name} a value, or unset it",
            )
        values[name], sources[name] = config[name], "invoke configuration"
    return values, sources


def _check_names(config: Mapping[str, Any]) -> None:
    """Refuse a key that is nearly one of ours: a misspelt setting must not become a default."""
    for name in config:
        folded = str(name).lower().replace("-", "_")
        near = get_close_matches(folded, CONFIGURABLE, n=1, cutoff=0.85)
        if near and name not in CONFIGURABLE:
            raise UsageError(
                f"{name!r} in Invoke's configuration is not a setting",
                hint=f"did you mean {near[0]}? docs/settings.md lists the settings",
            )


def _check_invoke_variables(variables: Variables, config_key: str) -> None:
    """Refuse a variable that is meant for Invoke's configuration, and that Invoke does not read."""
    prefix = f"INVOKE_{config_key}_".upper()
    known = {f"{prefix}{name}".upper() for name in CONFIGURABLE}
    for values, source in variables.sources:
        names = [name for name in values if name.upper().startswith(prefix)]
        for name in names:
            if source == "environment" and name in known:
                continue
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.9)
            if near or name.upper().startswith(f"{prefix}DATABASES_"):
                raise UsageError(
                    f"{name} ({source}) is not read",
                    hint="Invoke reads "
                    + (f"{near[0]} from the environment" if near else "databases from invoke.yaml")
                    + "; .env holds DATABASE_URL, DBTASKS_ENV and DBTASKS_DATABASE",
                )


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
        ("reflect", (bool,), "True or False"),
        ("app", (str,), '"module:factory"'),
        ("bootstrap", (str,), '"module:function"'),
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
    return None if values[name] is None else str(values[name])


def _references(metadata: str | Sequence[str] | None) -> tuple[str, ...]:
    return (metadata,) if isinstance(metadata, str) else tuple(metadata or ())


def _seeds(seeds: str | Mapping[str, str] | None) -> Mapping[str, str]:
    return {DEFAULT: seeds} if isinstance(seeds, str) else dict(seeds or {})
