"""The modules of a project, read as text: nothing of it is imported."""

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path

SKIPPED = frozenset(
    ("__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env", "docs")
) | {"tests"}
"""Folders without modules of the project; those that begin with a dot neither."""

SOURCE_FILE = re.compile(r"(?!conftest\.py|test_).*\.py")
"""Files with modules of the project: those for pytest have models and URLs of their own."""

LIBRARIES = ("sqlalchemy", "sqlmodel", "flask_sqlalchemy", "advanced_alchemy")
"""Packages whose names say what is a model: `from … import *` imports them from there."""

LARGEST = 1_000_000
"""Bytes of a module that is still read."""


@dataclass
class Module:
    """Describe a module: its imports, classes, assignments and calls."""

    name: str
    path: Path
    tree: ast.Module
    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    @property
    def package(self) -> str:
        """Return the package that a relative import begins at."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """Return the classes of the module, in their order."""
        return [node for node in self.tree.body if isinstance(node, ast.ClassDef)]

    @cached_property
    def assigned(self) -> dict[str, ast.expr]:
        """Return the values that are assigned to names of the module."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found |= {node.target.id: node.value} if node.value is not None else {}
        return found

    @property
    def public(self) -> list[str]:
        """Return the names that `from … import *` takes from the module."""
        listed = self.assigned.get("__all__")
        if isinstance(listed, ast.List | ast.Tuple):
            return [str(one.value) for one in listed.elts if isinstance(one, ast.Constant)]
        return [name for name in [*self.defined, *self.imports] if not name.startswith("_")]

    @property
    def defined(self) -> list[str]:
        """Return the names of the classes, functions and values that the module has itself."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return [
            *(node.name for node in self.tree.body if isinstance(node, kinds)),
            *self.assigned,
        ]

    def calls(self) -> Iterator[ast.Call]:
        """Yield the calls anywhere in the module."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def qualified(self, node: ast.expr) -> str:
        """Return the full dotted name of an expression, or "" where it is no name."""
        if isinstance(node, ast.Subscript):  # Base[int], Mapped[...]
            return self.qualified(node.value)
        if isinstance(node, ast.Call):
            return self.qualified(node.func)
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        first = self.imports.get(node.id, f"{self.name}.{node.id}")
        return ".".join([first, *reversed(parts)])


def read_module(name: str, path: Path) -> Module | None:
    """Return a module, or None where it cannot be read as Python."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    module = Module(name, path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                module.imports[one.asname or one.name.partition(".")[0]] = (
                    one.name if one.asname else one.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            source = absolute(module, node)
            names = [one for one in node.names if one.name != "*"]
            module.imports |= {one.asname or one.name: f"{source}.{one.name}" for one in names}
            module.stars += [source] if len(names) < len(node.names) else []
    return module


def read_modules(root: Path) -> dict[str, Module]:
    """Return the modules of the project in a folder by their names; of src first."""
    source = root / "src"
    places = [source, root] if source.is_dir() and not (source / "__init__.py").exists() else [root]
    found: dict[str, Module] = {}
    for place in places:
        for path in _files(place, leave_out=source if place != source else None):
            name = _module_name(path.relative_to(place))
            module = read_module(name, path) if name else None
            if module is not None:
                found.setdefault(name, module)
    for module in found.values():
        read_stars(module, found)
    return found


def read_stars(module: Module, modules: Mapping[str, Module]) -> None:
    """Add what a module imports by `from … import *`; the names that it has itself go before."""
    own = {*module.defined, *module.imports}
    stars, module.stars = module.stars, []  # a module may import itself, by others
    for star in stars:
        source = modules.get(star)
        if source is not None:
            read_stars(source, modules)
        names = _library_names(star) if source is None else source.public
        module.imports |= {name: f"{star}.{name}" for name in names if name not in own}


def _library_names(name: str) -> list[str]:
    """Return the public names of a module of a library; none where it is not installed."""
    if name.partition(".")[0] not in LIBRARIES:
        return []
    try:
        library = import_module(name)
    except ImportError:
        return []
    return list(getattr(library, "__all__", [one for one in vars(library) if one[:1] != "_"]))


def _files(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            one
            for one in folders
            if one not in SKIPPED
            and not one.startswith(".")
            and (here / one) != leave_out
            and not (here / one / "pyvenv.cfg").exists()
        )
        yield from (here / one for one in sorted(files) if SOURCE_FILE.fullmatch(one))


def _module_name(path: Path) -> str:
    parts = list(path.with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if all(one.isidentifier() for one in parts) else ""


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Return the full name of the module that names are imported from."""
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)
