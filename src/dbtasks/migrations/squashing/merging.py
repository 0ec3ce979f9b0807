"""The code of several revisions in one file, each with its own functions, called in order."""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from alembic.util import to_tuple

from dbtasks.errors import Refused
from dbtasks.migrations.history.reader import NAMES
from dbtasks.migrations.history.template import docstring
from dbtasks.migrations.squashing.names import Use
from dbtasks.migrations.squashing.sources import FUNCTIONS, Source

WIDTH = 100
INDENT = "    "
FUTURE = "__future__"


@dataclass(frozen=True)
class Head:
    """Hold what a squash says of its place in the history."""

    revision: str
    down_revision: str | tuple[str, ...] | None
    branch_labels: tuple[str, ...] | None
    depends_on: tuple[str, ...] | None
    replaces: list[str]


def merge(sources: Sequence[Source], head: Head, message: str, irreversible: str | None) -> str:
    """Return the text of one revision that does what several do, the first first.

    `irreversible` names a revision that cannot be reverted, where there is one; then the whole
    cannot.
    """
    renamed = _renames(sources)
    parts = [_docstring(message, head), _imports(sources, renamed), _head(head)]
    told = INDENT + "raise NotImplementedError({!r})"
    back = told.format(f"{irreversible} cannot be reverted") if irreversible else None
    parts += [
        "\n" + _calling("upgrade", sources, renamed, None),
        "\n" + _calling("downgrade", sources[::-1], renamed, back),
    ]
    parts += [_section(one, renamed[one.id]) for one in sources]
    return "\n\n".join(part for part in parts if part) + "\n"


# -- what is called otherwise -----------------------------------------------------------------


def _renames(sources: Sequence[Source]) -> Mapping[str, Mapping[str, str]]:
    """Return for each revision the names that mean something else in another, with new ones."""
    taken = {name for one in sources for name in one.meanings}
    found: dict[str, dict[str, str]] = {}
    for one in sources:
        found[one.id] = {}
        for name, meaning in one.meanings.items():
            others = {other.meanings.get(name, meaning) for other in sources}
            if meaning != "built in" and (name in (*FUNCTIONS, *NAMES) or others != {meaning}):
                new = re.sub(r"\W", "_", f"{name}_{one.id}")
                while new in taken:
                    new += "_"
                taken.add(new)
                found[one.id][name] = new
    return found


def _section(source: Source, renamed: Mapping[str, str]) -> str:
    """Return what stands in a revision's file, by its new names."""
    text = f"\n# -- {source.id} ".ljust(WIDTH, "-")
    before: ast.stmt | None = None
    for node in source.kept:
        begin, end = source.chunk(node)
        uses = [one for one in source.uses if begin <= one.start < end and one.name in renamed]
        apart = before is not None and (_is_definition(before) or _is_definition(node))
        blanks = 1 if before is None else 2 if apart else 0
        text += "\n" * (blanks + 1) + _rewritten(source, begin, end, uses, renamed)
        before = node
    for one in source.uses:
        if one.name in renamed and not one.form:
            raise Refused(
                f"the code of {source.id} cannot be put with others': {one.name} is another "
                "thing there, and is used in a way that cannot be rewritten",
                hint=f"give {one.name} another name in that revision",
            )
    return text


def _rewritten(
    source: Source, begin: int, end: int, uses: Iterable[Use], renamed: Mapping[str, str]
) -> str:
    text = ""
    for one in uses:
        text += source.text[begin : one.start] + one.form.format(renamed[one.name])
        begin = one.end
    return text + source.text[begin:end]


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


# -- what is new ------------------------------------------------------------------------------


def _docstring(message: str, head: Head) -> str:
    after = f"After: {', '.join(to_tuple(head.down_revision, default=()))}".rstrip()
    return docstring(f"{message}\n\nRevision: {head.revision}\n{after}\n")


def _head(head: Head) -> str:
    return "\n".join(_assignment(*one) for one in asdict(head).items())


def _assignment(name: str, value: object) -> str:
    flat = f"{name} = {_literal(value)}"
    if len(flat) <= WIDTH or not isinstance(value, list | tuple):
        return flat
    begin, end = ("[", "]") if isinstance(value, list) else ("(", ")")
    lines = "".join(f"{INDENT}{_literal(one)},\n" for one in value)
    return f"{name} = {begin}\n{lines}{end}"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _calling(
    name: str,
    sources: Sequence[Source],
    renamed: Mapping[str, Mapping[str, str]],
    instead: str | None,
) -> str:
    """Return the function that calls those of the revisions."""
    options = any(one.takes_options for one in sources)
    given, passed = ("**options: object", "**options") if options else ("", "")
    calls = [
        f"{INDENT}{renamed[one.id][name]}({passed})" for one in sources if name in renamed[one.id]
    ]
    body = instead or "\n".join(calls)
    return f"def {name}({given}) -> None:\n{body or INDENT + 'pass'}"


# -- imports ----------------------------------------------------------------------------------


def _imports(sources: Sequence[Source], renamed: Mapping[str, Mapping[str, str]]) -> str:
    """Return the imports of all, each once, those of Python itself first."""
    whole: set[tuple[str, str | None]] = set()
    parts: dict[str, set[tuple[str, str | None]]] = {}
    for source in sources:
        for node in source.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                found = set(_aliases(source, node, renamed[source.id]))
                if isinstance(node, ast.ImportFrom):
                    parts.setdefault(node.module or "", set()).update(found)
                else:
                    whole |= found
    lines = [(name.partition(".")[0], f"import {_alias(name, new)}") for name, new in whole]
    ordered = sorted(lines, key=lambda one: one[1])
    for module, names in sorted(parts.items()):
        if names:
            ordered.append((module.partition(".")[0], _from(module, names)))
    groups: dict[int, list[str]] = {}
    for top, line in ordered:
        rank = 0 if top == FUTURE else 1 if top in sys.stdlib_module_names else 2
        groups.setdefault(rank, []).append(line)
    return "\n\n".join("\n".join(groups[rank]) for rank in sorted(groups))


def _aliases(
    source: Source, node: ast.Import | ast.ImportFrom, renamed: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    for one in node.names:
        name = one.asname or one.name.partition(".")[0]
        if source.is_needed(name):
            yield one.name, renamed.get(name, one.asname)


def _alias(name: str, new: str | None) -> str:
    return f"{name} as {new}" if new else name


def _from(module: str, names: set[tuple[str, str | None]]) -> str:
    listed = sorted(_alias(*one) for one in names)
    flat = f"from {module} import {', '.join(listed)}"
    if len(flat) <= WIDTH:
        return flat
    return f"from {module} import (\n" + "".join(f"{INDENT}{one},\n" for one in listed) + ")"
