"""Revision files changed by their syntax: what is not meant stays as somebody wrote it."""

import ast
import json
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from dbtasks.errors import UsageError
from dbtasks.migrations.history import fingerprint
from dbtasks.migrations.history.reader import NAMES

INDENT = "    "

Value = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Code:
    """Hold statements as they stand in a function, and the imports that they need.

    `notes` say what could not be written as the models have it.
    """

    text: str
    imports: frozenset[str] = frozenset()
    notes: frozenset[str] = frozenset()


def rename(
    source: str, names: Mapping[str, str], told: Mapping[str, str], **assigned: Value
) -> str:
    """Return a file with other values assigned to names, as `revision` or `down_revision`.

    `names` are the new ids by the old ones, for `depends_on` and `replaces`; `told` those that the
    docstring has. Raises UsageError for a file that does not assign such a name at its beginning.
    """
    lines = source.split("\n")
    tree = ast.parse(source)
    places = dict(pair for node in tree.body for pair in assignments(node))
    for name, value in assigned.items():
        if name not in places:
            raise UsageError(f"a revision does not say its {name}", hint="write it into the file")
        lines = _replaced(lines, places[name], _literal(value))
    for node, new in _listed(places, names):
        lines = _replaced(lines, node, _literal(new))
    if ast.get_docstring(tree) is not None:
        end = tree.body[0].end_lineno or 0
        lines[:end] = [_renamed(line, told) for line in lines[:end]]
    return "\n".join(lines)


def _listed(
    places: Mapping[str, ast.expr], names: Mapping[str, str]
) -> Sequence[tuple[ast.Constant, str]]:
    """Return the ids that stand in a list and are others now, the last first."""
    lists = (places[name] for name in ("depends_on", "replaces") if name in places)
    found = [one for each in lists for one in ast.walk(each) if isinstance(one, ast.Constant)]
    known = [(one, names[str(one.value)]) for one in found if one.value in names]
    return sorted(known, key=lambda one: (one[0].lineno, one[0].col_offset), reverse=True)


def assignments(node: ast.stmt) -> Iterable[tuple[str, ast.expr]]:
    """Yield the names that a statement assigns, and the expression."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value


def extend(source: str, upgrade: Code, downgrade: Code) -> str:
    """Return a file whose upgrade() does more at its end, and its downgrade() at its beginning."""
    lines = source.split("\n")
    functions = {
        one.name: one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)
    }
    missing = {"upgrade", "downgrade"} - functions.keys()
    if missing:
        raise UsageError(
            f"the revision has no {' and no '.join(sorted(missing))}()",
            hint="make another one: leave out --update",
        )
    changes = [
        _added(lines, functions["upgrade"], upgrade.text, first=False),
        _added(lines, functions["downgrade"], downgrade.text, first=True),
    ]
    for begin, end, text in sorted(changes, reverse=True):
        lines[begin:end] = text.split("\n")
    return _with_imports("\n".join(lines), upgrade.imports | downgrade.imports)


def note(source: str, line: str) -> str:
    """Return a file that says in a line what the models are, in the place of what it said."""
    if fingerprint.LINE.search(source):
        return fingerprint.LINE.sub(line, source, count=1)
    ends = [
        node.end_lineno or 0
        for node in ast.parse(source).body
        for name, _ in assignments(node)
        if name in NAMES
    ]
    lines = source.split("\n")
    lines.insert(max(ends, default=0), line)
    return "\n".join(lines)


def read(path: Path) -> str:
    """Return a file's text as Python reads it: by its BOM, or the coding that it says."""
    with tokenize.open(path) as file:
        return file.read()


def encode(text: str, *, like: Path) -> bytes:
    """Return a text as the content of a file: in another's coding, and its lines end so."""
    content = like.read_bytes()
    coding, _ = tokenize.detect_encoding(BytesIO(content).readline)
    lines = text.replace("\n", "\r\n") if b"\r\n" in content else text
    try:
        return lines.encode(coding)
    except UnicodeEncodeError as error:
        sign = error.object[error.start]
        raise UsageError(
            f"{like.name} is written in {coding}, which has no {sign!r}",
            hint=f"write {like} in UTF-8, without its line of the coding",
        ) from error


def _replaced(lines: list[str], node: ast.expr, text: str) -> list[str]:
    """Put another expression in the place of one, where it stands on lines of its own."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[last].encode()[node.end_col_offset :].decode()
    # The lines after it keep their numbers, for what is put in place next.
    return [*lines[:first], before + text + after, *[""] * (last - first), *lines[last + 1 :]]


def _literal(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))},)" if value else "()"
    # Not in ASCII: JSON has two escapes for what is one character in Python.
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def _renamed(line: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        line = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new.replace("\\", r"\\"), line)
    return line


def _added(
    lines: list[str], function: ast.FunctionDef, text: str, *, first: bool
) -> tuple[int, int, str]:
    """Return which lines of a function are replaced, and by what."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if not body or isinstance(body[0], ast.Pass):
        begin = body[0].lineno - 1 if body else function.end_lineno or 0
        return begin, begin + len(body[:1]), f"{INDENT}{text}"
    place = body[0].lineno - 1 if first else function.end_lineno or 0
    return place, place, f"{INDENT}{text}"


def _with_imports(source: str, imports: Iterable[str]) -> str:
    new = [one for one in sorted(imports) if one not in source.split("\n")]
    if not new:
        return source
    lines = source.split("\n")
    known = [one for one in ast.parse(source).body if isinstance(one, ast.Import | ast.ImportFrom)]
    place = (known[-1].end_lineno or 0) if known else 0
    return "\n".join([*lines[:place], *new, *lines[place:]])
