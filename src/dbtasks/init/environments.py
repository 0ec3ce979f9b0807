"""An Alembic environment that a project has: where it is, and what is in its files."""

import ast
import configparser
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dbtasks.init.source import SKIPPED, Module, read_module

DEPTH = 3
"""Folders below the project's in which an alembic.ini is looked for."""

PLACEHOLDER = "driver://"
"""How the URL begins in the alembic.ini that Alembic writes."""


@dataclass(frozen=True)
class Revision:
    """What a revision's file says of it."""

    id: str
    parents: tuple[str, ...]
    labels: tuple[str, ...]
    text: str
    has_downgrade: bool


@dataclass(frozen=True)
class Environment:
    """An alembic.ini or pyproject.toml, and the folder that has env.py."""

    path: Path
    scripts: Path
    options: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str | None:
        """Return the URL in the file, unless it is Alembic's placeholder."""
        url = self.options.get("sqlalchemy.url", "")
        return url if url and not url.startswith(PLACEHOLDER) else None

    @cached_property
    def env(self) -> Module | None:
        """Return env.py, as text."""
        return read_module("env", self.scripts / "env.py")

    @cached_property
    def revisions(self) -> tuple[Revision, ...]:
        """Return the revisions beside env.py."""
        paths = sorted((self.scripts / "versions").rglob("*.py"))
        return tuple(one for one in map(_read_revision, paths) if one is not None)

    @property
    def heads(self) -> list[Revision]:
        """Return the revisions that no other comes after."""
        below = {parent for one in self.revisions for parent in one.parents}
        return [one for one in self.revisions if one.id not in below]

    @property
    def leaves_out_our_tables(self) -> bool:
        """Whether env.py is ours, or has a filter by the names of our tables."""
        if self.env is None or any(one.startswith("dbtasks") for one in self.env.imports.values()):
            return True
        values = (node.value for node in ast.walk(self.env.tree) if isinstance(node, ast.Constant))
        return any(isinstance(value, str) and "dbtasks" in value for value in values)

    def configured(self) -> list[str]:
        """Return the names of what env.py passes to `context.configure`."""
        if self.env is None:
            return []
        names = {
            key.arg
            for call in self.env.calls()
            if self.env.qualified(call).endswith("context.configure")
            for key in call.keywords
            if key.arg
        }
        known = {"url", "connection", "target_metadata", "literal_binds", "dialect_opts"}
        return sorted(names - known)


def find_environments(root: Path) -> list[Environment]:
    """Return the project's Alembic environments, the nearest first."""
    found = []
    toml = root / "pyproject.toml"
    if (options := _toml_options(toml)) is not None:
        found.append(Environment(toml, _scripts(root, toml, options), options))
    for path in _ini_files(root):
        options = _ini_options(path)
        if options is not None:
            found.append(Environment(path, _scripts(root, path, options), options))
    return [one for one in found if (one.scripts / "env.py").is_file()]


def _ini_files(root: Path) -> Iterator[Path]:
    patterns = ("*/" * depth + "alembic.ini" for depth in range(DEPTH + 1))
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            folders = path.relative_to(root).parts[:-1]
            if not any(one in SKIPPED or one.startswith(".") for one in folders):
                yield path


def _ini_options(path: Path) -> dict[str, str] | None:
    parser = configparser.ConfigParser({"here": str(path.parent)}, interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    return dict(parser["alembic"]) if parser.has_section("alembic") else None


def _toml_options(path: Path) -> dict[str, str] | None:
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    given = tool.get("alembic")
    return {key: str(value) for key, value in given.items()} if isinstance(given, dict) else None


def _scripts(root: Path, path: Path, options: dict[str, str]) -> Path:
    """Return the folder that has env.py; Flask-Migrate's file does not name it."""
    location = options.get("script_location", ".").replace("%(here)s", str(path.parent))
    package, colon, folder = location.partition(":")
    if colon and package.isidentifier():
        for place in (root / "src", root):
            if (place / package / folder).is_dir():
                return place / package / folder
    return path.parent / location


def _read_revision(path: Path) -> Revision | None:
    module = read_module(path.stem, path)
    if module is None or "revision" not in module.assigned:
        return None
    values = {name: _texts(node) for name, node in module.assigned.items()}
    if not values["revision"]:
        return None
    return Revision(
        values["revision"][0],
        values.get("down_revision", ()),
        values.get("branch_labels", ()),
        path.read_text(encoding="utf-8", errors="replace"),
        _does_something(module, "downgrade") or not _does_something(module, "upgrade"),
    )


def _texts(node: ast.expr) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ()
    given = value if isinstance(value, tuple | list | set) else (value,)
    return tuple(one for one in given if isinstance(one, str))


def _does_something(module: Module, name: str) -> bool:
    """Whether a revision has a function, and it is more than `pass` or `raise`."""
    return any(
        not isinstance(one, ast.Pass | ast.Raise)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for function in module.tree.body
        if isinstance(function, ast.FunctionDef) and function.name == name
        for one in function.body
    )
