"""`init` in a folder that has a project: a tasks.py for it, and what was found."""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dbtasks.init.applications import factories_of, find_application
from dbtasks.init.environments import Environment, find_environments
from dbtasks.init.models import Models, base_named, find_models, references
from dbtasks.init.plan import File, Note, Plan
from dbtasks.init.source import Module, read_module, read_modules, read_stars
from dbtasks.init.starting import template
from dbtasks.init.urls import sqlite_urls, url_variables

FLOORS = {"sqlalchemy": (2, 0, 31), "alembic": (1, 13), "invoke": (3,)}
"""The oldest versions that dbtasks runs on."""

PIN = re.compile(r"\b(sqlalchemy|alembic|invoke)\b[^\n,;]*?(==|~=|<=|<)\s*([\d.]+)", re.IGNORECASE)

ENV = """from dbtasks.migrations import environment

environment.run()
"""

PLUGINS = (1, 18)
"""The first version of Alembic that loads our plugin, which leaves our tables out by itself."""

OUR_TABLES = (
    'include_name=lambda name, kind, parents: kind != "table" or not name.startswith("dbtasks_")'
)


def adopt(folder: Path) -> Plan:
    """Return the plan for a project that exists; nothing of it is imported or changed."""
    modules = read_modules(folder)
    models = find_models(modules)
    found = references(models)
    environments = find_environments(folder)
    for environment in environments:
        if environment.env is not None:
            read_stars(environment.env, modules)
    plan = Plan(folder)
    shared = dict(_shared_options(folder, modules, environments))
    collections = [
        {"metadata": _metadata_of(one, models, found), **shared, **_own_options(folder, one)}
        for one in environments
    ] or [{"metadata": list(found), **shared}]
    if not environments:
        _write_environment(plan)
    plan.files.insert(0, File(folder / "tasks.py", _tasks(environments, collections)))
    plan.notes += _notes(folder, models, environments, collections)
    several = len(environments) > 1
    plan.histories = [f"{_name_of(one)}." if several else "" for one in environments]
    after = [f"{one}showmigrations" for one in plan.histories]
    plan.next_commands = tuple(after) or ("makemigrations", "migrate")
    return plan


def has_project(folder: Path) -> bool:
    """Whether a folder has Python code or an Alembic environment."""
    return bool(find_environments(folder)) or bool(read_modules(folder))


def _shared_options(
    folder: Path, modules: Mapping[str, Module], environments: list[Environment]
) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of `collection(...)` that all the project's histories share."""
    envs = [one.env for one in environments if one.env is not None]
    variable = next(url_variables([*envs, *modules.values()]), None)
    if variable is not None and variable != "DATABASE_URL":
        yield "url_variable", variable
    url = next(sqlite_urls(modules.values()), None)
    if url is not None:
        yield "default_url", url
    application = find_application(modules)
    if application is not None:
        yield "app", application


def _own_options(folder: Path, environment: Environment) -> dict[str, Any]:
    """Return the arguments of `collection(...)` for one history."""
    options: dict[str, Any] = {}
    url = environment.url
    if url is not None and url.startswith("sqlite"):
        options["default_url"] = url
    path = os.path.relpath(environment.path, folder)
    if path != "alembic.ini":
        options["alembic"] = path
    heads = environment.heads
    if len(heads) > 1 and not any(one.labels for one in environment.revisions):
        options["heads"] = len(heads)
    return options


def _metadata_of(environment: Environment, models: Models, found: dict[str, str]) -> list[str]:
    """Return the references to what env.py names as target_metadata, or to all models."""
    env = environment.env
    value = env.assigned.get("target_metadata") if env is not None else None
    if env is None or value is None:
        return list(found)
    named = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
    bases = {base_named(models, env.qualified(one)) for one in named}
    chosen = [one for one, base in found.items() if base in bases]
    if chosen:
        return chosen
    outside = [one for one in bases if "." in one and not one.startswith("env.")]
    return list(found) or [":".join(one.rsplit(".", 1)) for one in sorted(outside)]


def _write_environment(plan: Plan) -> None:
    """Add alembic.ini and the folder of the migrations, as a new project has them."""
    folder = plan.folder
    ini = template("alembic.ini")
    if not (folder / "src").is_dir():
        ini = ini.replace("%(here)s/src", "%(here)s")
    plan.files += [
        File(folder / "alembic.ini", ini),
        File(folder / "migrations" / "env.py", ENV),
        File(folder / "migrations" / "script.py.mako", template("migrations/script.py.mako")),
    ]


# -- tasks.py ----------------------------------------------------------------------------------


def _tasks(environments: list[Environment], collections: list[dict[str, Any]]) -> str:
    """Return the text of tasks.py: one collection, or one a history, each below its name."""
    if len(collections) == 1:
        return f"from dbtasks import collection\n\nns = {_call(collections[0], '')}\n"
    lines = ["from invoke import Collection\n", "from dbtasks import collection\n"]
    lines.append("ns = Collection()")
    for environment, options in zip(environments, collections, strict=True):
        call = _call(options, "    ")
        name = _literal(_name_of(environment))
        lines.append(f"ns.add_collection(\n    {call},\n    name={name},\n)")
    return "\n".join(lines) + "\n"


def _name_of(environment: Environment) -> str:
    """Return the name that a history's commands are mounted below."""
    folder = environment.scripts
    return (folder.parent if folder.name in ("migrations", "alembic") else folder).name


def _call(options: Mapping[str, Any], indent: str) -> str:
    given = {name: value for name, value in options.items() if value not in (None, [], "")}
    if isinstance(given.get("metadata"), list) and len(given["metadata"]) == 1:
        given["metadata"] = given["metadata"][0]
    if not given:
        return "collection()"
    lines = "".join(f"{indent}    {name}={_literal(value)},\n" for name, value in given.items())
    return f"collection(\n{lines}{indent})"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)


# -- what is reported --------------------------------------------------------------------------


def _notes(
    folder: Path,
    models: Models,
    environments: list[Environment],
    collections: list[dict[str, Any]],
) -> Iterator[Note]:
    named = [one for options in collections for one in options["metadata"]]
    given = _arguments(folder / "tasks.py")
    if named:
        yield Note(f"models: {', '.join(dict.fromkeys(named))}")
    elif not given.keys() & {"metadata", "reflect"}:
        yield Note(
            "no models: the commands need the module of a Base or MetaData",
            'metadata="module:Base"',
        )
    has_url = bool(given.keys() & {"default_url", "url", "engine"})
    if not (has_url or any("default_url" in options for options in collections)):
        variable = given.get("url_variable") or collections[0].get("url_variable", "DATABASE_URL")
        yield Note(
            "no URL: the database comes from the environment or .env",
            f"{variable}=postgresql://user:password@host/name",
        )
    factory = next(iter(factories_of(models.modules)), None)
    if factory is not None and "app" not in {*collections[0], *given}:
        yield Note(
            f"the factory {factory} needs arguments: add a function without them that calls it",
            'app="module:function"',
        )
    for environment in environments:
        yield from _notes_of(folder, environment)
    if _makes_all(models.modules) and "bootstrap" not in given:
        if environments:
            yield Note(
                "create_all makes tables here: if the first revision takes them for granted, a "
                "function makes them on an empty database, by the connection that it gets",
                'bootstrap="module:function"',
            )
        else:
            yield Note(
                "create_all makes the tables here: once the first revision is written, mark it as "
                "applied on databases that exist",
                "migrate --fake-initial",
            )
    yield from _pins(folder)


def _arguments(path: Path) -> dict[str, Any]:
    """Return the arguments of `collection(...)` in a tasks.py that exists; None if not a literal.

    Where it has several collections, the arguments of all of them.
    """
    module = read_module("tasks", path)
    calls = module.calls() if module is not None else ()
    return {
        key.arg: key.value.value if isinstance(key.value, ast.Constant) else None
        for call in calls
        if module is not None and module.qualified(call) == "dbtasks.collection"
        for key in call.keywords
        if key.arg is not None
    }


def _notes_of(folder: Path, environment: Environment) -> Iterator[Note]:
    where = os.path.relpath(environment.scripts, folder)
    revisions = environment.revisions
    yield Note(f"Alembic: {where}, {len(revisions)} revision{'' if len(revisions) == 1 else 's'}")
    if options := environment.configured():
        yield Note(f"env.py passes {', '.join(options)} to context.configure: they stay in effect")
    if not environment.leaves_out_our_tables and _numbers(version("alembic")) < PLUGINS:
        yield Note(
            "no filter in env.py for the tables of dbtasks, which alembic check reports on other "
            "databases than PostgreSQL: add it to context.configure",
            OUR_TABLES,
        )
    if environment.url is not None and not environment.url.startswith("sqlite"):
        yield Note(
            f"{environment.path.name} has a URL: dbtasks takes it from the environment or .env",
            "DATABASE_URL=…",
        )
    labels = [label for one in revisions for label in one.labels]
    if labels:
        yield Note(f"labelled branches: {', '.join(labels)}: migrate --to LABEL@head takes one")
    for what, ids in (
        ("have no downgrade", [one.id for one in revisions if not one.has_downgrade]),
        ("commit by themselves", [one.id for one in revisions if "autocommit_block" in one.text]),
        ("read the database", [one.id for one in revisions if _reflects(one.text)]),
    ):
        if ids:
            shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
            yield Note(f"revisions that {what}: {shown}")


def _reflects(text: str) -> bool:
    return any(word in text for word in ("autoload_with", ".reflect(", "inspect("))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _makes_all(modules: Mapping[str, Module]) -> bool:
    return any(
        isinstance(call.func, ast.Attribute) and call.func.attr == "create_all"
        for module in modules.values()
        for call in module.calls()
    )


def _pins(folder: Path) -> Iterator[Note]:
    """Yield the versions that the project is pinned to and dbtasks does not run on."""
    for path in (*sorted(folder.glob("requirements*.txt")), folder / "pyproject.toml"):
        if not path.is_file():
            continue
        for name, sign, pinned in PIN.findall(path.read_text(encoding="utf-8", errors="replace")):
            numbers = _numbers(pinned)
            floor = FLOORS[name.lower()]
            if numbers < floor or (sign == "<" and numbers <= floor):
                needed = ".".join(map(str, floor))
                yield Note(
                    f"{path.name}: {name}{sign}{pinned}, and dbtasks needs {needed} or newer",
                    f"{name.lower()}>={needed}",
                )
