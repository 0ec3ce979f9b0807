"""The Flask application of a project: its factory, or the application itself."""

import ast
from collections.abc import Mapping

from dbtasks.init.models import Models
from dbtasks.init.source import Module


def find_application(modules: Mapping[str, Module]) -> str | None:
    """Return `module:factory` or `module:application`, or None where there is no Flask.

    Only a project whose models hang on the application needs one: with Flask-SQLAlchemy. A factory
    with required arguments is not called: an application that it made elsewhere is found.
    """
    if not any("flask_sqlalchemy.SQLAlchemy" in one.imports.values() for one in modules.values()):
        return None
    factories = factories_of(modules)
    resolve = Models(modules).resolve
    for name, needs_arguments in factories.items():
        if not needs_arguments:
            return ":".join(name.rsplit(".", 1))
    for module in modules.values():
        for name, value in module.assigned.items():
            made_by = resolve(module.qualified(value)) if isinstance(value, ast.Call) else None
            if made_by == "flask.Flask" or made_by in factories:
                return f"{module.name}:{name}"
    return None


def factories_of(modules: Mapping[str, Module]) -> dict[str, bool]:
    """Return the functions that make a Flask application, and which of them need arguments."""
    return {
        f"{module.name}.{node.name}": _needs_arguments(node.args)
        for module in modules.values()
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef)
        and any(
            isinstance(call, ast.Call) and module.qualified(call) == "flask.Flask"
            for call in ast.walk(node)
        )
    }


def _needs_arguments(given: ast.arguments) -> bool:
    return (
        len(given.posonlyargs) + len(given.args) > len(given.defaults) or None in given.kw_defaults
    )
