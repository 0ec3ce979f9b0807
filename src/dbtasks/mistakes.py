"""Mistakes in the models that SQLAlchemy finds late: the attribute, its file and line.

SQLAlchemy resolves the names of tables, classes and attributes when it first uses the mappers, far
from the code that has them. Their text is looked for in the source files of the project.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.orm import QueryableAttribute

from dbtasks.errors import NOTHING_CHANGED, ProjectFailed
from dbtasks.models import all_mappers, suggest
from dbtasks.references import is_project_file

BACKGROUND = re.compile(r"\s*\(Background on this error at: .*", re.DOTALL)
RELATIONSHIP = re.compile(
    r"(?:on relationship|Can't find strategy .+ for) '?(?P<owner>\w+)\.(?P<name>\w+)"
)


@dataclass(frozen=True)
class Place:
    """Say where in the source a name is: `Product.category`, the file and the line."""

    attribute: str
    path: str
    line: int


@dataclass(frozen=True)
class Mistake:
    """Recognize a message of SQLAlchemy, and say what is wrong in the names of the project."""

    message: re.Pattern[str]
    error: str
    known: Callable[[re.Match[str]], Iterable[str]]


def explain(error: BaseException, state: str = NOTHING_CHANGED) -> ProjectFailed | None:
    """Return the error for a mistake in the models; None where it is another."""
    # A foreign key to nothing is reported as no foreign key, where a relationship needs it.
    unresolved = _unresolved() if "no foreign keys linking" in str(error) else None
    text = BACKGROUND.sub("", str(unresolved or error))
    for mistake in MISTAKES:
        if match := mistake.message.search(text):
            names = match.groupdict()
            place = _find(f"{names.get('owner')}.{names['name']}") or _find(names["name"])
            what = mistake.error.format(**names)
            hint = suggest(names["name"], mistake.known(match))
            return _failed(what, place, hint, state)
    if match := RELATIONSHIP.search(text):
        place = _find_attribute(match["owner"], match["name"])
        return _failed(text, place, "fix the relationship, or its foreign key", state)
    if isinstance(error, NoReferenceError):
        return _failed(text, None, "fix the foreign key", state)
    return None


def _failed(what: str, place: Place | None, hint: str, state: str) -> ProjectFailed:
    where = f"{place.attribute}: " if place and place.attribute not in what else ""
    if place is None:
        return ProjectFailed(f"the models: {what}", hint=hint, state=state)
    return ProjectFailed(f"{where}{what} ({place.path}, line {place.line})", hint=hint, state=state)


def _unresolved() -> NoReferenceError | None:
    """Return the error of the first foreign key whose column does not exist."""
    for table in _all_tables():
        for key in table.foreign_keys:
            try:
                _ = key.column
            except NoReferenceError as error:
                return error
    return None


# -- the names that there are ------------------------------------------------------------------


def _classes(match: re.Match[str]) -> set[str]:
    return {one.class_.__name__ for one in all_mappers()}


def _tables(match: re.Match[str]) -> set[str]:
    return {str(table.key) for table in _all_tables()}


def _columns(match: re.Match[str]) -> set[str]:
    return {
        column.name
        for table in _all_tables()
        if table.key == match["owner"]
        for column in table.columns
    }


def _attributes(match: re.Match[str]) -> set[str]:
    return {
        name
        for one in all_mappers()
        if one.class_.__name__ == match["owner"]
        for parent in one.class_.__mro__
        for name, value in vars(parent).items()
        if isinstance(value, QueryableAttribute)
    }


def _all_tables() -> list[Table]:
    metadata = {getattr(one.local_table, "metadata", None) for one in all_mappers()}
    return [table for one in metadata if one is not None for table in one.tables.values()]


MISTAKES = (
    Mistake(
        re.compile(r"column '.+' could not find table '(?P<name>[^']+)'"),
        "there is no table {name!r}",
        _tables,
    ),
    Mistake(
        re.compile(r"table '(?P<owner>[^']+)' has no column named '(?P<name>[^']+)'"),
        "the table {owner} has no column {name!r}",
        _columns,
    ),
    Mistake(  # `secondary="…"`: a name that is written as a table's
        re.compile(
            r"failed to locate a name \(\W*(?:name ')?(?!name ')(?P<name>[a-z_][a-z0-9_.]*)\b"
        ),
        "there is no table {name!r}",
        _tables,
    ),
    Mistake(
        re.compile(r"failed to locate a name \(\W*(?:name ')?(?P<name>\w+)"),
        "there is no model {name!r}",
        _classes,
    ),
    Mistake(
        re.compile(r"Mapper\[(?P<owner>\w+)\(.*\)\]'? has no property '(?P<name>[^']+)'"),
        "{owner} has no attribute {name!r}",
        _attributes,
    ),
    Mistake(
        re.compile(
            r"Class <class '[^']*?(?P<owner>\w+)'> does not have a mapped column named "
            r"'(?P<name>\w+)'"
        ),
        "{owner} has no column {name!r}",
        _attributes,
    ),
)


# -- the source ----------------------------------------------------------------------------------


def _find(name: str) -> Place | None:
    """Return where the project's source first has a name, in a text or an annotation."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    for path, owner, statement in _statements(word):
        for node in ast.walk(statement):
            text = node.id if isinstance(node, ast.Name) else getattr(node, "value", None)
            if isinstance(text, str) and word.search(text):
                line = getattr(node, "lineno", statement.lineno)
                return Place(_named(owner, statement), path, line)
    return None


def _find_attribute(owner: str, name: str) -> Place | None:
    for path, class_, statement in _statements(re.compile(rf"\b{re.escape(name)}\b")):
        if _named(class_, statement) == f"{owner}.{name}":
            return Place(f"{owner}.{name}", path, statement.lineno)
    return None


def _statements(word: re.Pattern[str]) -> Iterator[tuple[str, str, ast.stmt]]:
    """Yield the statements of modules and classes in the files that have a word."""
    for path in _files():
        source = path.read_text(encoding="utf-8", errors="replace")
        if not word.search(source):
            continue
        tree = ast.parse(source)
        classes = [one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)]
        bodies = [("", tree.body), *((one.name, one.body) for one in classes)]
        for owner, body in bodies:
            for statement in body:
                if not isinstance(statement, ast.ClassDef | ast.Expr):  # a docstring
                    yield str(path), owner, statement


def _named(owner: str, statement: ast.stmt) -> str:
    """Return the attribute or variable that a statement sets or defines."""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", statement)]
    name = getattr(targets[0], "id", getattr(statement, "name", ""))
    return f"{owner}.{name}".strip(".")


def _files() -> list[Path]:
    """Return the source files of the project's modules that are imported."""
    files = {str(getattr(one, "__file__", None) or "") for one in list(sys.modules.values())}
    return [Path(one) for one in sorted(files) if one.endswith(".py") and is_project_file(one)]
