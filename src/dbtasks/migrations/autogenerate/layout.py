"""Python as a person would write it: double quotes, and a line an argument where it is long."""

import ast
import json
from collections.abc import Iterator, Sequence

from dbtasks.migrations.history.source_edit import INDENT

WIDTH = 100


def lay_out(source: str, *, depth: int = 1) -> str:
    """Return statements laid out within a function, the first line without its indentation."""
    lines = [line for node in ast.parse(source).body for line in _statement(node, depth)]
    return "\n".join(lines).strip()


def _statement(node: ast.stmt, depth: int) -> Iterator[str]:
    indent = INDENT * depth
    match node:
        case ast.With(items=[ast.withitem(context_expr=one, optional_vars=ast.Name(id=name))]):
            tail = f" as {name}:"
            yield f"{indent}with {_expression(one, depth, len('with ' + tail))}{tail}"
            for each in node.body:
                yield from _statement(each, depth + 1)
        case ast.Expr(value=ast.Call() as value):
            yield f"{indent}{_expression(value, depth)}"
        case _:
            yield from (f"{indent}{line}" for line in ast.unparse(node).split("\n"))


def _expression(node: ast.expr, depth: int, beside: int = 0) -> str:
    """Return an expression, on one line if it fits with the characters that stand `beside` it."""
    flat = _flat(node)
    if len(INDENT * depth + flat) + beside <= WIDTH:
        return flat
    match node:
        case ast.Call(func=ast.Call() as function, args=[], keywords=[]):
            return f"{_expression(function, depth, beside + len('()'))}()"
        case ast.Call(func=function, args=arguments, keywords=keywords):
            parts = [_expression(one, depth + 1, len(",")) for one in arguments]
            parts += [_keyword(one, depth + 1) for one in keywords]
            return _wrapped(f"{_flat(function)}(", parts, ")", depth)
        case ast.List(elts=elements):
            parts = [_expression(one, depth + 1, len(",")) for one in elements]
            return _wrapped("[", parts, "]", depth)
        case ast.Constant(value=str() as text):
            return f"\n{INDENT * depth}".join(_pieces(text, WIDTH - len(INDENT * depth) - 1))
    return flat


def _keyword(node: ast.keyword, depth: int) -> str:
    name = f"{node.arg}=" if node.arg else "**"
    return name + _expression(node.value, depth, len(f"{name},"))


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield the literals that make up a text, broken at spaces where it is too wide for one."""
    first, *words = text.split(" ")
    piece = first
    for word in words:
        if len(_quoted(f"{piece} {word} ")) > width:
            yield _quoted(f"{piece} ")
            piece = word
        else:
            piece += f" {word}"
    yield _quoted(piece)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _wrapped(begin: str, parts: Sequence[str], end: str, depth: int) -> str:
    inner, outer = INDENT * (depth + 1), INDENT * depth
    lines = "".join(f"{inner}{one},\n" for one in parts)
    return f"{begin}\n{lines}{outer}{end}"


def _flat(node: ast.expr) -> str:
    """Return an expression on one line."""
    match node:
        case ast.Constant(value=str() as text):
            return _quoted(text)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            parts = [_flat(one) for one in arguments]
            parts += [(f"{one.arg}=" if one.arg else "**") + _flat(one.value) for one in keywords]
            return f"{_flat(function)}({', '.join(parts)})"
        case ast.List(elts=elements):
            return f"[{', '.join(map(_flat, elements))}]"
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            inside = ", ".join(f"{_flat(key)}: {_flat(value)}" for key, value in pairs if key)
            return f"{{{inside}}}"
        case ast.Attribute(value=value, attr=name):
            return f"{_flat(value)}.{name}"
    return ast.unparse(node)
