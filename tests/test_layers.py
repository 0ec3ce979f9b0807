"""The layers of CONTRIBUTING.md as a test: imports go down, and only the edge prints and exits."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "dbtasks"

# What stands on which level; a package counts with all that is in it.
LEVELS = {
    "cells": 0,
    "errors": 0,
    "hints": 0,
    "interrupts": 0,
    "files": 1,
    "aliases": 1,
    "settings": 1,
    "sources": 1,
    "variables": 1,
    "engines": 1,
    "output": 1,
    "bytecode": 1,
    "references": 1,
    "application": 1,
    "mistakes": 1,
    "models": 1,
    "person": 1,
    "reflection": 1,
    "values": 2,
    "project": 2,
    "lookups": 2,
    "own_tables": 2,
    "guards": 2,
    "locks": 2,
    "report": 2,
    "tally": 2,
    "schema": 2,
    "migrations": 3,
    "records": 3,
    "fixtures": 3,
    "databases": 3,
    "init": 3,
    "tasks": 4,
    "__init__": 5,
    "__main__": 5,
}
LIGHT = {"tasks", "files", "aliases", "settings", "variables", "cells", "output", "errors", "hints"}
LIGHT |= {"__init__", "__main__"}
FAMILIES = {name for name, level in LEVELS.items() if level == 3}

FILES = sorted(SOURCE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file, which is read when a test asks for it."""
    return ast.parse(path.read_text())


def trees() -> dict[Path, ast.Module]:
    """Return the syntax tree of each file of dbtasks."""
    return {path: tree_of(path) for path in FILES}


def place(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def at(path: Path, line: int, what: object) -> str:
    """Return a violation of a rule as editors and terminals link it."""
    return f"{path.relative_to(SOURCE.parent.parent)}:{line}: {what}"


def assert_none(violations: list[str]) -> None:
    """Fail with all of them: of a list, pytest shows the first."""
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)


def imports(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Yield the line of each imported module, its name, and whether the file itself needs it."""
    deferred = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name, id(node) not in deferred
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", id(node) not in deferred
            for name in node.names:
                yield node.lineno, f"{node.module}.{name.name}", id(node) not in deferred


def goes_down(here: str, module: str) -> bool:
    """Whether a place may import a module: one below it, or beside it and no other family."""
    parts = module.split(".")
    if parts[0] != "dbtasks" or len(parts) < 2 or parts[1] == here or parts[1] not in LEVELS:
        return True
    below = LEVELS[parts[1]] - LEVELS[here]
    return below < 0 or (below == 0 and here not in FAMILIES)


def test_imports_go_down() -> None:
    up = [
        at(path, line, f"imports {module}")
        for path, tree in trees().items()
        if place(path) != "__init__"
        for line, module, _ in imports(tree)
        if not goes_down(place(path), module)
    ]
    assert_none(up)


def test_errors_import_nothing() -> None:
    path = SOURCE / "errors.py"
    assert_none([at(path, line, f"imports {module}") for line, module, _ in imports(tree_of(path))])


@pytest.mark.parametrize(
    ("package", "homes"),
    [("invoke", ["tasks"]), ("alembic", ["migrations", "schema", "engines/*/schema.py"])],
)
def test_package_has_its_homes(package: str, homes: list[str]) -> None:
    elsewhere = [
        at(path, line, f"imports {module}")
        for path, tree in trees().items()
        if place(path) not in homes and not any(path.match(home) for home in homes)
        for line, module, _ in imports(tree)
        if module.split(".")[0] == package
    ]
    assert_none(elsewhere)


def test_nothing_heavy_at_the_edge() -> None:
    """Task files, and what they import, leave SQLAlchemy, Alembic and rich to the task's body."""
    heavy = [
        at(path, line, f"imports {module}")
        for path, tree in trees().items()
        if place(path) in LIGHT
        for line, module, at_once in imports(tree)
        if at_once and module.split(".")[0] in ("sqlalchemy", "alembic", "rich", "dotenv")
    ]
    assert_none(heavy)


def test_only_the_edge_prints_asks_and_exits() -> None:
    calls = ("print", "input", "sys.exit", "exit")
    streams = ("sys.stdout", "sys.stderr", "sys.stdin")
    found = [
        at(path, node.lineno, ast.unparse(node))
        for path, tree in trees().items()
        if place(path) not in ("tasks", "output")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and ast.unparse(node.func) in calls)
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in streams)
    ]
    assert_none(found)


def test_engine_differences_live_in_engine_classes() -> None:
    engines = {"sqlite", "postgresql", "mysql", "mariadb", "oracle"}
    found = [
        at(path, node.lineno, ast.unparse(node))
        for path, tree in trees().items()
        if place(path) != "engines"
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and engines & {str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant)}
    ]
    assert_none(found)


def test_engine_folders_know_only_what_is_common() -> None:
    """A database's folder imports no other database's; what is common imports no database's."""
    engines, common = SOURCE / "engines", {"base", "sql"}
    crossed = [
        at(path, line, f"imports {module}")
        for path, tree in trees().items()
        if path.parent.parent == engines
        for line, module, _ in imports(tree)
        if module.startswith("dbtasks.engines.")
        and module.split(".")[2] not in common | ({path.parent.name} - common)
    ]
    assert_none(crossed)


def test_packages_of_migrations_import_those_before_them() -> None:
    order = ["history", "environment", "execution", "autogenerate", "editing"]
    later = {name: order[place + 1 :] for place, name in enumerate(order)}
    up = [
        at(path, line, f"imports {module}")
        for path, tree in trees().items()
        if path.parent.parent == SOURCE / "migrations"
        for line, module, _ in imports(tree)
        if module.startswith("dbtasks.migrations.")
        and module.split(".")[2] in later.get(path.parent.name, ())
    ]
    assert_none(up)


def test_files_of_migrations_import_one_another_in_no_circle() -> None:
    names = {
        ".".join(("dbtasks", *path.relative_to(SOURCE).with_suffix("").parts)): path
        for path in FILES
        if path.is_relative_to(SOURCE / "migrations") and path.stem != "__init__"
    }
    graph = {
        name: {
            known
            for _, module, _ in imports(trees()[path])
            for known in names
            if module == known or module.startswith(f"{known}.")
        }
        for name, path in names.items()
    }
    TopologicalSorter(graph).prepare()  # raises for a circle, and names it


def test_file_says_what_it_is_for() -> None:
    silent = [
        at(path, 1, "no docstring") for path, tree in trees().items() if not ast.get_docstring(tree)
    ]
    assert_none(silent)


def test_file_is_short() -> None:
    lines = {path: path.read_text().count("\n") for path in FILES}
    assert_none([at(path, 400, f"{count} lines") for path, count in lines.items() if count > 400])


def test_no_group_is_possessive() -> None:
    """Python before 3.11.5 loses alternatives in one (python/cpython#106052)."""
    possessive = re.compile(r"\)[*+?]\+")
    found = [
        at(path, number, line.strip())
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if possessive.search(line)
    ]
    assert_none(found)


def test_this_test_sees_every_place() -> None:
    assert {place(path) for path in FILES} == set(LEVELS)
    assert sys.version_info >= (3, 11)
