"""The layers of CONTRIBUTING.md as a test: imports go down, and only the edge prints and exits."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "dbtasks"

# What stands on which level; a package counts with all that is in it.
LEVELS = {
    "errors": 0,
    "settings": 1,
    "engines": 1,
    "output": 1,
    "references": 1,
    "models": 1,
    "person": 1,
    "values": 2,
    "project": 2,
    "lookups": 2,
    "own_tables": 2,
    "guards": 2,
    "locks": 2,
    "report": 2,
    "migrations": 3,
    "records": 3,
    "fixtures": 3,
    "databases": 3,
    "tasks": 4,
    "__init__": 5,
}
FAMILIES = {name for name, level in LEVELS.items() if level == 3}

FILES = sorted(SOURCE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each imported module, and whether it is imported when the file is."""
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
                yield name.name, id(node) not in deferred
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", id(node) not in deferred
            for name in node.names:
                yield f"{node.module}.{name.name}", id(node) not in deferred


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    here = place(path)
    if here == "__init__":
        return
    for module, _ in imports(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] != "dbtasks" or len(parts) < 2 or parts[1] == here or parts[1] not in LEVELS:
            continue
        assert LEVELS[parts[1]] < LEVELS[here] or (
            LEVELS[parts[1]] == LEVELS[here] and here not in FAMILIES
        ), f"{here} imports {module}"


def test_errors_import_nothing() -> None:
    assert list(imports(ast.parse((SOURCE / "errors.py").read_text()))) == []


@pytest.mark.parametrize(("package", "home"), [("invoke", "tasks"), ("alembic", "migrations")])
def test_package_has_one_home(package: str, home: str) -> None:
    for path in FILES:
        for module, _ in imports(ast.parse(path.read_text())):
            assert module.split(".")[0] != package or place(path) == home, f"{path}: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_heavy_at_the_edge(path: Path) -> None:
    """Task files, and what they import, leave SQLAlchemy, Alembic and rich to the task's body."""
    if place(path) not in ("tasks", "settings", "output", "errors", "__init__"):
        return
    for module, at_once in imports(ast.parse(path.read_text())):
        assert not at_once or module.split(".")[0] not in (
            "sqlalchemy",
            "alembic",
            "rich",
            "dotenv",
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_edge_prints_asks_and_exits(path: Path) -> None:
    if place(path) in ("tasks", "output"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "input", "sys.exit", "exit")
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("sys.stdout", "sys.stderr", "sys.stdin")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_engine_differences_live_in_engine_classes(path: Path) -> None:
    if place(path) == "engines":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            words = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
            assert not words & {"sqlite", "postgresql", "mysql", "mariadb", "oracle"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file_says_what_it_is_for_and_is_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 400


def test_this_test_sees_every_place() -> None:
    assert {place(path) for path in FILES} == set(LEVELS)
    assert sys.version_info >= (3, 11)
