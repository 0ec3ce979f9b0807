"""Where a module uses its own names: what has to change so that two modules can be one."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Hidden = frozenset[str]

DEFINED = re.compile(r"(?:async\s+)?(?:def|class)\s+")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Use:
    """Point at one use of a module's name: where it stands, and what is written for another.

    `form` has {} for the new name; it is empty where the name cannot be written otherwise.
    """

    name: str
    start: int
    end: int
    form: str = "{}"


class Places:
    """Find the names of a module that are used in it, each with its place in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines = text.split("\n")
        self.encoded = [line.encode() for line in lines]
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        """Return where in the text a node's line and column, which counts bytes, are."""
        return self.starts[line - 1] + len(self.encoded[line - 1][:column].decode())

    def find(self, node: ast.AST, hidden: Hidden = frozenset()) -> Iterator[Use]:
        """Yield the uses in a node of names that nothing between hides."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from self._function(node, hidden)
            case ast.ClassDef():
                yield from self._class(node, hidden)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                yield from self._loop(node, hidden)
            case _:
                yield from self._used(node, hidden)
                yield from self._all(ast.iter_child_nodes(node), hidden)

    def _used(self, node: ast.AST, hidden: Hidden) -> Iterator[Use]:
        """Yield what a node itself uses, which has no names of its own."""
        match node:
            case ast.Name(id=name) if name not in hidden:
                start = self.offset(node.lineno, node.col_offset)
                form = "{}" if self.text.startswith(name, start) else ""
                yield Use(name, start, start + len(name), form)
            case ast.Import() | ast.ImportFrom():
                yield from self._imported(node, hidden)
            case ast.Global(names=names):
                yield from self._declared(node, names)
        yield from (Use(name, 0, 0, "") for name in _plain(node) if name not in hidden)

    def _class(self, node: ast.ClassDef, hidden: Hidden) -> Iterator[Use]:
        yield from self._defined(node, hidden)
        yield from self._all((*node.decorator_list, *node.bases, *node.keywords), hidden)
        mine = bound(node.body) - hidden
        own = hidden | mine
        plain = [one for one in node.body if not isinstance(one, (*FUNCTIONS, ast.ClassDef))]
        for one in (name for statement in plain for name in ast.walk(statement)):
            # It may be the module's still, up to where the class has one of its own.
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load) and one.id in mine:
                yield Use(one.id, 0, 0, "")
        for one in node.body:
            # A function in a class does not see the names of the class.
            yield from self.find(one, hidden if isinstance(one, FUNCTIONS) else own)

    def _all(self, nodes: Iterable[ast.AST], hidden: Hidden) -> Iterator[Use]:
        for one in nodes:
            yield from self.find(one, hidden)

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, hidden: Hidden
    ) -> Iterator[Use]:
        arguments = node.args
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        listed += [one for one in (arguments.vararg, arguments.kwarg) if one]
        outside: list[ast.AST] = [*arguments.defaults, *filter(None, arguments.kw_defaults)]
        outside += [one.annotation for one in listed if one.annotation]
        body: list[ast.AST] = []
        if isinstance(node, ast.Lambda):
            body.append(node.body)
        else:
            yield from self._defined(node, hidden)
            outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
            body += node.body
        yield from self._all(outside, hidden)
        declared = {name for one in body for name in _globals(one)}
        own = {one.arg for one in listed} | bound(body) - declared
        yield from self._all(body, hidden - declared | own)

    def _defined(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, hidden: Hidden
    ) -> Iterator[Use]:
        if node.name not in hidden:
            found = DEFINED.match(self.text, self.offset(node.lineno, node.col_offset))
            start = found.end() if found else 0
            form = "{}" if found and self.text.startswith(node.name, start) else ""
            yield Use(node.name, start, start + len(node.name), form)

    def _loop(self, node: ast.AST, hidden: Hidden) -> Iterator[Use]:
        loops: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]  # all have
        targets = {
            one.id for loop in loops for one in ast.walk(loop.target) if isinstance(one, ast.Name)
        }
        yield from self.find(loops[0].iter, hidden)
        rest = [one for one in ast.iter_child_nodes(node) if one not in loops]
        for loop in loops:
            rest += [loop.target, *loop.ifs, *([] if loop is loops[0] else [loop.iter])]
        yield from self._all(rest, hidden | targets)

    def _imported(self, node: ast.Import | ast.ImportFrom, hidden: Hidden) -> Iterator[Use]:
        for one in node.names:
            name = bound_by(one)
            if name not in hidden:
                start = self.offset(one.lineno, one.col_offset)
                end = self.offset(one.end_lineno or 0, one.end_col_offset or 0)
                whole = one.asname or isinstance(node, ast.ImportFrom) or "." not in one.name
                yield Use(name, start, end, f"{one.name} as {{}}" if whole else "")

    def _declared(self, node: ast.Global, names: Iterable[str]) -> Iterator[Use]:
        start = self.offset(node.lineno, node.col_offset)
        for name in names:
            found = re.compile(rf"\b{re.escape(name)}\b").search(self.text, start + len("global"))
            assert found is not None
            yield Use(name, found.start(), found.end())


def bound(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that are bound in a scope, which those of a module or function share."""
    return frozenset(name for node in nodes for name in _bound(node))


def bound_by(alias: ast.alias) -> str:
    """Return the name that an import binds."""
    return alias.asname or alias.name.partition(".")[0]


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return
        case ast.Lambda():
            return
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from map(bound_by, names)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
    yield from _plain(node)
    if isinstance(node, LOOPS):  # only := binds outside of it
        yield from (one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr))
        return
    for one in ast.iter_child_nodes(node):
        yield from _bound(one)


def _plain(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds without an ast.Name of its own."""
    match node:
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            yield name


def _globals(node: ast.AST) -> Iterator[str]:
    """Yield the names that a function declares as its module's."""
    if isinstance(node, ast.Global):
        yield from node.names
    elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        for one in ast.iter_child_nodes(node):
            yield from _globals(one)
