"""The code of one revision: what it imports, and what else stands in its file."""

import ast
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from alembic.script import Script

from dbtasks.errors import Refused
from dbtasks.migrations.history.fingerprint import LINE
from dbtasks.migrations.history.reader import NAMES, WAYS_AROUND
from dbtasks.migrations.squashing.mapped import find_in_texts
from dbtasks.migrations.squashing.names import Places, Use, bound, bound_by

FUNCTIONS = ("upgrade", "downgrade")


@dataclass(frozen=True)
class Import:
    """Say what an imported name stands for, so that the same of two files is one."""

    module: str
    name: str | None


@dataclass(frozen=True)
class Source:
    """Hold the text and the syntax tree of a revision's file."""

    id: str
    text: str
    tree: ast.Module

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Return where the module's own names are used, in the order of the text."""
        places = Places(self.text)
        found = {one for node in self.tree.body for one in places.find(node)}
        found |= {*find_in_texts(self.tree, places)}
        return tuple(sorted(found, key=lambda one: one.start))

    @cached_property
    def imports(self) -> Mapping[str, Import]:
        """Return the names that are imported at the top of the file."""
        return {
            bound_by(alias): _import(node, alias)
            for node in self.tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }

    @cached_property
    def meanings(self) -> Mapping[str, object]:
        """Return what each name of the module stands for; those of two files may differ."""
        found: dict[str, object] = {one.name: "built in" for one in self.uses}
        found |= dict.fromkeys(bound(self.tree.body), self.id)
        found.update(self.imports)
        return found

    @cached_property
    def kept(self) -> tuple[ast.stmt, ...]:
        """Return the statements that go into the squash beside the imports."""
        counted = [one.name for one in self.uses]
        return tuple(
            one
            for one in self.tree.body
            if not isinstance(one, ast.Import | ast.ImportFrom)
            and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
            and not any(counted.count(name) == 1 for name in _assigned(one))
        )

    def is_needed(self, name: str) -> bool:
        """Whether an import is, and was not there only for the types of the file's head."""
        head = [self.chunk(one) for one in self.tree.body if any(_assigned(one))]
        dropped = [one for one in head if one not in map(self.chunk, self.kept)]
        places = [one.start for one in self.uses if one.name == name][1:]
        inside = [any(begin <= at < end for begin, end in dropped) for at in places]
        return not inside or not all(inside)

    @property
    def takes_options(self) -> bool:
        """Whether a function of the revision is called with what env.py gives it."""
        return any(
            isinstance(one, ast.FunctionDef)
            and one.name in FUNCTIONS
            and bool(one.args.args or one.args.kwonlyargs or one.args.kwarg)
            for one in self.tree.body
        )

    def chunk(self, node: ast.stmt) -> tuple[int, int]:
        """Return where a statement begins and ends, with the comments before and inside it."""
        lines = self.text.split("\n")
        at = self.tree.body.index(node)
        begin = self._end(self.tree.body[at - 1], lines) if at else 0
        while not lines[begin].strip():
            begin += 1
        places = Places(self.text)
        return places.starts[begin], places.starts[self._end(node, lines)] - 1

    def _end(self, node: ast.stmt, lines: list[str]) -> int:
        """Return the number of lines up to a statement's end; indented comments are its own."""
        assert node.end_lineno is not None
        end = last = node.end_lineno
        while last < len(lines) and (not lines[last].strip() or lines[last].lstrip()[0] == "#"):
            last += 1
            if lines[last - 1][:1] in (" ", "\t") and lines[last - 1].strip():
                end = last
        return end


def read_source(script: Script) -> Source:
    """Read a revision's file. Raises Refused where its code cannot be put with another's."""
    path = Path(script.path)
    try:
        with tokenize.open(path) as file:
            text = LINE.sub("", file.read())  # one alone says what the models are
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(script, f"{path.name} cannot be read: {error}") from error
    for node in ast.walk(tree):
        for what in _reaching(node):
            raise _unreadable(script, f"line {getattr(node, 'lineno', 1)} has {what}")
    for one, other in pairwise(tree.body):
        if one.end_lineno == other.lineno:
            raise _unreadable(script, f"line {other.lineno} has two statements")
    if not hasattr(script.module, "upgrade"):
        raise _unreadable(script, "it has no upgrade()")
    return Source(script.revision, text, tree)


def _reaching(node: ast.AST) -> Iterator[str]:
    """Yield what reaches the names of a module in a way that cannot be followed."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in WAYS_AROUND:
            yield name
        case ast.alias(name="*"):
            yield "import *"
        case ast.ImportFrom(level=level) if level:
            yield "a relative import"


def _assigned(node: ast.stmt) -> Iterator[str]:
    """Yield which name of the file's head a statement gives its value, where it does no more."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if (
            name in NAMES
        ):
            yield name


def _import(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> Import:
    if isinstance(node, ast.ImportFrom):
        return Import(node.module or "", alias.name)
    return Import(alias.name if alias.asname else bound_by(alias), None)


def _unreadable(script: Script, why: str) -> Refused:
    return Refused(
        f"the code of {script.revision} cannot be put with others': {why}",
        hint=f"write it plainly in {script.path}, or squash the revisions before and behind it",
    )
