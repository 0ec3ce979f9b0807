"""Where a project's code takes the URL of its database from: a variable, and a SQLite file."""

import ast
import re
from collections.abc import Iterable, Iterator

from dbtasks.init.source import Module

URL_VARIABLE = re.compile(r"(?=.*(DATABASE|DB|SQL|POSTGRES|MYSQL))(?=.*(UR[LI]|DSN))[A-Z0-9_]+")
READERS = frozenset(("os.environ.get", "os.getenv", "decouple.config"))
READER_CLASSES = frozenset(("environs.Env", "environ.Env", "starlette.config.Config"))
SETTINGS_CLASSES = frozenset(("pydantic_settings.BaseSettings", "pydantic.BaseSettings"))
ENGINES = frozenset(("create_engine", "create_async_engine"))
SETTERS = frozenset(("set_main_option", "set_section_option"))
SQLITE_FILE = re.compile(r"sqlite(\+\w+)?:///(?!:memory:).")


def url_variables(modules: Iterable[Module]) -> Iterator[str]:
    """Yield the names of environment variables that hold a URL, as the code reads them.

    One whose name does not say so is known by the engine, or Alembic's option, that it is put in.
    """
    for module in modules:
        readings = (name for node in ast.walk(module.tree) for name in _read(module, node))
        yield from filter(URL_VARIABLE.fullmatch, readings)
        yield from (name for name, _ in _settings(module))
        for call in _urls_in(module):
            yield from (name for node in ast.walk(call) for name in _read(module, node))


def sqlite_urls(modules: Iterable[Module]) -> Iterator[str]:
    """Yield the SQLite URLs that the project's engines are made with, or fall back to."""
    for module in modules:
        defaults = [default for _, default in _settings(module) if default is not None]
        for place in (*_urls_in(module), *defaults):
            for node in ast.walk(place):
                value = node.value if isinstance(node, ast.Constant) else None
                if isinstance(value, str) and SQLITE_FILE.match(value):
                    yield value


def _read(module: Module, node: ast.AST) -> Iterator[str]:
    """Yield the name of the environment variable that an expression reads, if it does."""
    name: ast.expr | None = None
    if isinstance(node, ast.Subscript) and module.qualified(node.value) == "os.environ":
        name = node.slice
    elif isinstance(node, ast.Call) and node.args and _is_reader(module, node):
        name = node.args[0]
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield name.value


def _is_reader(module: Module, call: ast.Call) -> bool:
    if module.qualified(call) in READERS:
        return True
    function = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    made = module.assigned.get(function.id) if isinstance(function, ast.Name) else None
    return isinstance(made, ast.Call) and module.qualified(made) in READER_CLASSES


def _urls_in(module: Module) -> Iterator[ast.expr]:
    """Yield what engines, and Alembic's sqlalchemy.url, are made with; behind a module's name."""
    for call in module.calls():
        last = call.func.attr if isinstance(call.func, ast.Attribute) else module.qualified(call)
        last = last.rpartition(".")[2]
        if last in ENGINES or (last in SETTERS and _names_url(call)):
            yield call
            for one in call.args:
                if isinstance(one, ast.Name) and one.id in module.assigned:
                    yield module.assigned[one.id]


def _names_url(call: ast.Call) -> bool:
    return any(isinstance(one, ast.Constant) and one.value == "sqlalchemy.url" for one in call.args)


def _settings(module: Module) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the variable and the default of each field for a URL in a class of settings."""
    for one in module.classes:
        if not any(module.qualified(base) in SETTINGS_CLASSES for base in one.bases):
            continue
        prefix = next((_prefix(node) for node in ast.walk(one) if _prefix(node)), "")
        for node in one.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = _alias(node.value) or f"{prefix}{node.target.id}".upper()
                if URL_VARIABLE.fullmatch(name):
                    yield name, node.value


def _prefix(node: ast.AST) -> str:
    """Return the `env_prefix` that a class of settings has, if this is where it has it."""
    value: ast.expr | None = None
    if isinstance(node, ast.keyword) and node.arg == "env_prefix":
        value = node.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        value = node.value if node.targets[0].id == "env_prefix" else None
    elif isinstance(node, ast.Dict):
        value = next(
            (
                given
                for key, given in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "env_prefix"
            ),
            None,
        )
    return str(value.value) if isinstance(value, ast.Constant) else ""


def _alias(value: ast.expr | None) -> str | None:
    """Return the variable that `Field(validation_alias="…")` names in place of the field's."""
    for key in value.keywords if isinstance(value, ast.Call) else ():
        if key.arg in ("alias", "validation_alias", "env") and isinstance(key.value, ast.Constant):
            return str(key.value.value)
    return None
