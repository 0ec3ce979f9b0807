"""`init` in an empty folder: the reference project, under the user's names."""

import keyword
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from dbtasks.errors import UsageError
from dbtasks.init.plan import File, Plan

REFERENCE = "company"
SUFFIX = ".template"
EXTRAS = {"sqlite": "dbtasks", "postgresql": "dbtasks[postgresql]", "mysql": "dbtasks[mysql]"}
"""The databases that a project may start with, and what it depends on then."""

DEFAULT_DATABASE, *_ = EXTRAS

TAKEN = frozenset(("dbtasks", "tasks", "migrations", "tests", "src", "alembic", "sqlalchemy"))


def start(
    folder: Path, name: str, *, database: str = DEFAULT_DATABASE, empty: bool = False
) -> Plan:
    """Return the plan of a new project: the reference project with the package `name`.

    `empty` leaves out the models, rows and the revision of the reference project. Raises
    UsageError for a name that cannot be a package's.
    """
    package = package_name(name)
    texts = dict(_templates("project"))
    if empty:
        texts = {path: text for path, text in texts.items() if "/versions/" not in path}
        texts |= dict(_templates("empty"))
    plan = Plan(folder)
    for path, text in sorted(texts.items()):
        named = text.replace(REFERENCE, package).replace(REFERENCE.title(), package.title())
        target = folder / path.replace(REFERENCE, package)
        plan.files.append(File(target, _on(database, path, named)))
    commands = ("makemigrations", "migrate") if empty else ("migrate", "seed", "query")
    plan.next_commands = commands
    return plan


def package_name(name: str) -> str:
    """Return a project's name as a package's: `my-shop` is `my_shop`."""
    package = name.lower().replace("-", "_").replace(" ", "_").replace(".", "_")
    reserved = keyword.iskeyword(package) or package in TAKEN or package in sys.stdlib_module_names
    if not package.isidentifier() or not package.isascii() or reserved:
        raise UsageError(
            f"{name!r} cannot be the name of a package"
            + (": it is taken" if reserved else "")
            + ", and that is the folder's name",
            hint="start the project in a folder with another name: dbtasks init shop",
        )
    return package


def template(path: str) -> str:
    """Return the text of one file of the reference project."""
    return dict(_templates("project"))[path]


def _templates(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder of templates: their paths and their texts."""
    yield from _walk(files("dbtasks.init") / "templates" / kind, "")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _walk(one, f"{prefix}{one.name}/")
        elif one.name.endswith(SUFFIX):
            text = one.read_text(encoding="utf-8")
            yield f"{prefix}{one.name.removesuffix(SUFFIX)}", text


def _on(database: str, path: str, text: str) -> str:
    """Return a file's text for another database than SQLite: without the file app.db."""
    if database == DEFAULT_DATABASE:
        return text
    if path == "pyproject.toml":
        return text.replace('"dbtasks"', f'"{EXTRAS[database]}"')
    if path == "tasks.py":
        return text.replace('    default_url="sqlite:///app.db",\n', "")
    if path == ".env.example":
        _, _, variables = text.partition("#\n")
        url = variables.replace("postgresql://", f"{database}://").replace("# DATABASE", "DATABASE")
        return f"# Copy this file to .env, which Git ignores.\n\n{url}"
    return text
