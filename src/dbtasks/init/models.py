"""The models of a project, found in its text: where their metadata is, and who adds to it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dbtasks.init.source import Module, absolute

BASE_CLASSES = frozenset(
    f"sqlalchemy.orm.{name}" for name in ("DeclarativeBase", "DeclarativeBaseNoMeta")
) | {"advanced_alchemy.base.CommonTableAttributes"}
BASE_CALLS = frozenset(
    (
        "sqlalchemy.orm.declarative_base",
        "sqlalchemy.ext.declarative.declarative_base",
        "sqlalchemy.MetaData",
        "sqlalchemy.schema.MetaData",
        "flask_sqlalchemy.SQLAlchemy",
    )
)
TABLE_CALLS = frozenset(("sqlalchemy.Table", "sqlalchemy.schema.Table"))
SQLMODEL = "sqlmodel.SQLModel"
PACKAGED_BASES = ("advanced_alchemy.base.", "litestar.plugins.sqlalchemy.base.")
"""Bases that a package brings: their metadata is reached through any class on them."""


@dataclass
class Models:
    """Hold what was found: the bases by full name, and the modules that add to each."""

    modules: Mapping[str, Module]
    bases: set[str] = field(default_factory=set)
    adders: dict[str, list[str]] = field(default_factory=dict)

    def resolve(self, name: str, seen: frozenset[str] = frozenset()) -> str:
        """Return where a full name is defined, behind the modules that import it."""
        module_name, _, rest = name.rpartition(".")
        module = self.modules.get(module_name)
        if module is None or name in seen:
            outer, _, attribute = module_name.rpartition(".")
            if module is None and outer and attribute and outer in self.modules:
                resolved = self.resolve(module_name, seen | {name})
                return f"{resolved}.{rest}" if resolved != module_name else name
            return name
        imported = module.imports.get(rest)
        defined = rest in module.assigned or any(one.name == rest for one in module.classes)
        if imported is None or defined or imported == name:
            return name
        return self.resolve(imported, seen | {name})


def find_models(modules: Mapping[str, Module]) -> Models:
    """Return the bases that the modules define or use, and the modules with a table on each."""
    found = Models(modules)
    for module in modules.values():
        found.bases |= set(_defined_bases(found, module))
    for module in modules.values():
        for base in _used_bases(found, module):
            users = found.adders.setdefault(base, [])
            if module.name not in users:
                users.append(module.name)
    return found


def references(found: Models) -> dict[str, str]:
    """Return what `metadata=` has to be, `module:name` for each module that adds tables; its base.

    A module that imports all the others of a base stands for them.
    """
    result: dict[str, str] = {}
    for base, users in sorted(found.adders.items()):
        for name in _enough(found, users, base):
            reference = _reference(found, found.modules[name], base)
            if reference is not None:
                result[reference] = base
    return result


def _defined_bases(found: Models, module: Module) -> Iterator[str]:
    for one in module.classes:
        if any(found.resolve(module.qualified(base)) in BASE_CLASSES for base in one.bases):
            yield f"{module.name}.{one.name}"
    for name, value in module.assigned.items():
        if isinstance(value, ast.Call) and module.qualified(value) in BASE_CALLS:
            yield f"{module.name}.{name}"


def _used_bases(found: Models, module: Module) -> Iterator[str]:
    """Yield the bases that tables of a module are on."""
    for one in module.classes:
        base = _base_of(found, module, one, frozenset())
        if base is not None and _is_mapped(one, base):
            yield base
    for call in module.calls():
        if module.qualified(call) in TABLE_CALLS and len(call.args) > 1:
            base = base_named(found, module.qualified(call.args[1]))
            if base in found.bases:
                yield base


def base_named(found: Models, name: str) -> str:
    """Return the base that a full name means: a MetaData, or the owner of `Base.metadata`."""
    base = found.resolve(name)
    return base if base in found.bases else found.resolve(name.removesuffix(".metadata"))


def _base_of(found: Models, module: Module, one: ast.ClassDef, seen: frozenset[str]) -> str | None:
    """Return the base that a class is on, through the classes between them."""
    for node in one.bases:
        name = found.resolve(module.qualified(node))
        owner = name.removesuffix(".Model")  # of Flask-SQLAlchemy's db
        for base in (name, owner):
            if base in found.bases or base == SQLMODEL or base.startswith(PACKAGED_BASES):
                return base
        parent = found.modules.get(name.rpartition(".")[0])
        if parent is None or name in seen:
            continue
        for other in parent.classes:
            if other.name == name.rpartition(".")[2]:
                base_name = _base_of(found, parent, other, seen | {name})
                if base_name is not None:
                    return base_name
    return None


def _is_mapped(one: ast.ClassDef, base: str) -> bool:
    """Whether a class has a table; an abstract one and a schema of SQLModel have none."""
    if base == SQLMODEL:
        return any(
            key.arg == "table" and isinstance(key.value, ast.Constant) and key.value.value is True
            for key in one.keywords
        )
    return not any(
        isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "__abstract__" for name in node.targets)
        for node in one.body
    )


def _enough(found: Models, users: list[str], base: str) -> list[str]:
    """Return one module that imports all of them and has the base, where there is one; or all."""
    for name in sorted(found.modules, key=lambda one: (one.count("."), one)):
        if name.split(".")[-1] in ("tests", "conftest", "env"):
            continue
        if set(users) <= _imported(found, name, set()) and len(users) > 1:
            package = name
            inside = any(one == name or one.startswith(f"{package}.") for one in users)
            if inside and _reference(found, found.modules[name], base) is not None:
                return [name]
    return users


def _imported(found: Models, name: str, seen: set[str]) -> set[str]:
    """Return the project's modules that importing one imports, itself and packages included."""
    if name in seen or name not in found.modules:
        return seen
    seen.add(name)
    if "." in name:
        _imported(found, name.rpartition(".")[0], seen)
    for target in _import_targets(found.modules[name]):
        _imported(found, target, seen)
        _imported(found, target.rpartition(".")[0], seen)
    return seen


def _import_targets(module: Module) -> Iterator[str]:
    """Yield what a module imports when it is imported, as full names."""
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                if one.name == "*":
                    yield absolute(module, node)
                yield module.imports.get(one.asname or one.name, "")


def _reference(found: Models, module: Module, base: str) -> str | None:
    """Return `module:name` for a base: by a name for it, for a class on it, or by a module's."""
    names = [*module.assigned, *(one.name for one in module.classes), *module.imports]
    last = base.rpartition(".")[2]
    for name in names:
        if found.resolve(f"{module.name}.{name}") == base:
            return f"{module.name}:{name}"
    for name in names:
        if _is_class_on(found, found.resolve(f"{module.name}.{name}"), base):
            return f"{module.name}:{name}"
    for name, target in module.imports.items():
        if target in found.modules and found.resolve(f"{target}.{last}") == base:
            return f"{module.name}:{name}.{last}"
    return None


def _is_class_on(found: Models, name: str, base: str) -> bool:
    """Whether a full name is that of a class on a base."""
    module = found.modules.get(name.rpartition(".")[0])
    return module is not None and any(
        one.name == name.rpartition(".")[2] and _base_of(found, module, one, frozenset()) == base
        for one in module.classes
    )
