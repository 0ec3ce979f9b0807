"""The operations of a squash as its functions have them, read from the code and written back."""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dbtasks.migrations.autogenerate.layout import lay_out
from dbtasks.migrations.history.source_edit import INDENT

INDEX, COLUMN = ["create_index", "drop_index"], ["drop_column", "alter_column"]
NAMED_TABLE = (
    *("create_table", "drop_table", "rename_table"),
    *("create_table_comment", "drop_table_comment"),
)
CONSTRAINTS = (
    *("create_unique_constraint", "create_check_constraint", "create_foreign_key"),
    *("create_primary_key", "drop_constraint"),
)
KNOWN = (*NAMED_TABLE, *INDEX, *COLUMN, *CONSTRAINTS, "add_column")
"""Operations that change the schema and nothing else."""


CONDITIONS = frozenset(("schema", "if_exists", "if_not_exists", "table_args", "copy_from"))
ABSENT = ("None", "False", "()")
"""Arguments that are not as if they were left out, and values with which they are."""


Edit = tuple[ast.stmt | ast.expr, str]
"""The node whose lines are taken out, and what is written there."""


@dataclass(eq=False)
class Step:
    """Hold one statement: an operation on a table, or what nothing is moved past.

    `kind` is empty for such. `name` is the column or the index that it is about.
    """

    statement: ast.stmt
    function: str
    kind: str = ""
    table: str = ""
    name: str = ""
    call: ast.Call = field(default_factory=lambda: ast.Call(ast.Name(""), [], []))
    depth: int = 1
    gone: bool = False
    changed: bool = False

    @property
    def words(self) -> list[str]:
        """Return the words in all texts of the operation, which may be names."""
        found = (one.value for one in ast.walk(self.call) if isinstance(one, ast.Constant))
        return [self.table, *(word for text in found for word in re.findall(r"\w+", str(text)))]

    def mentions(self, *names: str) -> bool:
        """Whether all these names stand in it."""
        return set(names) <= {*self.words}

    def __str__(self) -> str:
        about = f".{self.name}" if self.name and self.kind not in INDEX else ""
        return f"{self.kind} {self.name if self.kind in INDEX else self.table + about}"


class Code:
    """Hold a squash's code, to take operations out of it, or to write them otherwise."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.functions = {
            one.name: one for one in self.tree.body if isinstance(one, ast.FunctionDef)
        }
        self.uses = [one.id for one in ast.walk(self.tree) if isinstance(one, ast.Name)]
        self.calls: list[tuple[ast.stmt, str]] = []

    def steps(self, name: str) -> list[Step]:
        """Return what upgrade() or downgrade() does, in its order."""
        found: list[Step] = []
        for call in self.functions[name].body:
            match call:
                case ast.Expr(value=ast.Call(func=ast.Name(id=called))):
                    self.calls.append((call, called))
                    body: list[ast.stmt] = [call]
                    if self.uses.count(called) == 1 and called in self.functions:
                        function = self.functions[called]
                        body = body if function.decorator_list else function.body
                    found += [step for one in body for step in _steps(one, called)]
        return found

    def rewritten(self, steps: Sequence[Step]) -> str:
        """Return the code without the steps that are gone, and with those that are changed."""
        lines = self.text.splitlines(keepends=True)
        empty = {name for _, name in self.calls if self._is_empty(name, steps)}
        edits = [*self._emptied(empty)]
        for statement, some in _together(steps):
            if some[0].function not in empty:
                edits += _edits(statement, some)
        for node, new in sorted(edits, key=lambda one: -one[0].lineno):
            end = node.end_lineno or 0
            while isinstance(node, ast.FunctionDef) and lines[end:] and not lines[end].strip():
                end += 1
            lines[node.lineno - 1 : end] = [new]
        text = re.sub(r"(?m)^# -- .+ -+\n+(?=# -- |\Z)", "", "".join(lines))
        return text.rstrip("\n") + "\n"

    def _emptied(self, empty: set[str]) -> Iterator[Edit]:
        """Yield what takes out the functions in which nothing is left."""
        for caller in ("upgrade", "downgrade"):
            body = self.functions[caller].body
            own = [(call, name) for call, name in self.calls if call in body]
            for call, name in own:
                if name in empty:
                    everything = empty.issuperset(name for _, name in own)
                    yield call, f"{INDENT}pass\n" if everything and call is body[-1] else ""
                    yield self.functions[name], ""

    def _is_empty(self, name: str, steps: Sequence[Step]) -> bool:
        own = [one for one in steps if one.function == name]
        return bool(own) and all(one.gone for one in own)


def _steps(statement: ast.stmt, function: str) -> Iterator[Step]:
    """Yield the operations of a statement; several are those of a batch."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="op"))) as call):
            yield _step(statement, function, call)
        case ast.With(
            items=[
                ast.withitem(
                    context_expr=ast.Call(
                        func=ast.Attribute(value=ast.Name(id="op"), attr="batch_alter_table"),
                        args=[ast.Constant(value=str(table))],
                    ) as head,
                    optional_vars=ast.Name(id=name),
                )
            ]
        ) if _is_plain(head):
            calls = [_called_on(name, one) for one in statement.body]
            found = [_step(statement, function, one, table) for one in calls if one]
            yield from found if len(found) == len(calls) else [Step(statement, function)]
        case _:
            yield Step(statement, function)


def _called_on(name: str, statement: ast.stmt) -> ast.Call | None:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=found))) as call):
            return call if found == name else None
    return None


def _step(statement: ast.stmt, function: str, call: ast.Call, batch: str | None = None) -> Step:
    """Return an operation, or one that nothing is moved past where it is not a plain one."""
    assert isinstance(call.func, ast.Attribute)
    kind = call.func.attr
    texts = [_text(one) for one in call.args]
    if batch is not None:
        at = 1 if kind in (*INDEX, *CONSTRAINTS) else 0
        texts.insert(at, batch)
    place = 1 if kind in (*INDEX, *CONSTRAINTS) else 0
    named = {one.arg: _text(one.value) for one in call.keywords}
    table = texts[place] if len(texts) > place else named.get("table_name")
    if kind not in KNOWN or not _is_plain(call) or not (table or kind == "drop_index"):
        return Step(statement, function)
    name = texts[1 - place] if len(texts) > 1 - place else None
    if kind == "add_column":
        name = column_name(call.args[-1]) if call.args else None
    if kind in (*INDEX, *COLUMN, "add_column") and not name:
        return Step(statement, function)
    depth = 1 if batch is None else 2
    return Step(statement, function, kind, table or "", name or "", call, depth)


def _is_plain(call: ast.Call) -> bool:
    """Whether its arguments are all written out, with none that makes it another operation.

    What is done only if something is there, or is not, is another in every database.
    """
    return not any(isinstance(one, ast.Starred) for one in call.args) and not any(
        one.arg is None or (one.arg in CONDITIONS and ast.unparse(one.value) not in ABSENT)
        for one in call.keywords
    )


def column_name(node: ast.expr) -> str | None:
    """Return the name of a column that is written out, as sa.Column("name", ...)."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="Column") | ast.Name(id="Column"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return name
    return None


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="op"), attr="f"),
            args=[ast.Constant(value=str(text))],
        ):
            return text
    return None


def _together(steps: Iterable[Step]) -> Iterator[tuple[ast.stmt, list[Step]]]:
    found: dict[ast.stmt, list[Step]] = {}
    for one in steps:
        found.setdefault(one.statement, []).append(one)
    yield from found.items()


def _edits(statement: ast.stmt, steps: Sequence[Step]) -> Iterator[Edit]:
    """Yield what is written in the place of a statement, or of the operations of a batch."""
    if all(one.gone for one in steps):
        yield statement, ""
        return
    for one in steps:
        if one.gone:
            yield one.call, ""
        elif one.changed:
            code = lay_out(ast.unparse(one.call), depth=one.depth)
            yield one.call, f"{INDENT * one.depth}{code}\n"
