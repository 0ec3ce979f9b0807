"""Python as a person would write it: double quotes, and a line an argument where it is long."""

import ast
import json
from collections.abc import Iterator, Sequence

WIDTH = 100
INDENT = "    "


def lay_out(source: str, *, depth: int = 1) -> str:
    """Return statements laid out within a function, the first line without its indentation."""
    lines = [line for node in ast.parse(source).body for line in _statement(node, depth)]
    return "\n".join(lines).strip()


def _statement(node: ast.stmt, depth: int) -> Iterator[str]:
    indent = INDENT * depth
    match node:
        case ast.With(items=items, body=body):
            heads = ", ".join(
                _expression(one.context_expr, depth)
                + (f" as {_expression(one.optional_vars, depth)}" if one.optional_vars else "")
                for one in items
            )
            yield f"{indent}with {heads}:"
            for one in body:
                yield from _statement(one, depth + 1)
        case ast.Expr(value=value):
            yield f"{indent}{_expression(value, depth)}"
        case _:
            yield from (f"{indent}{line}" for line in ast.unparse(node).split("\n"))


def _expression(node: ast.expr, depth: int) -> str:
    """Return an expression, on one line if it fits."""
    flat = _flat(node)
    if len(INDENT * depth + flat) <= WIDTH:
        return flat
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            parts = [_expression(one, depth + 1) for one in arguments]
            parts += [
                (f"{one.arg}=" if one.arg else "**") + _expression(one.value, depth + 1)
                for one in keywords
            ]
            return _wrapped(f"{_flat(function)}(", parts, ")", depth)
        case ast.List(elts=elements):
            return _wrapped("[", [_expression(one, depth + 1) for one in elements], "]", depth)
    return flat


def _wrapped(begin: str, parts: Sequence[str], end: str, depth: int) -> str:
    inner, outer = INDENT * (depth + 1), INDENT * depth
    lines = "".join(f"{inner}{one},\n" for one in parts)
    return f"{begin}\n{lines}{outer}{end}"


def _flat(node: ast.expr) -> str:
    """Return an expression on one line."""
    match node:
        case ast.Constant(value=str() as text):
            return json.dumps(text, ensure_ascii=False)
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
