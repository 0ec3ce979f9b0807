"""Names of mapped classes that stand in texts, as in relationship("Employee")."""

import ast
from collections.abc import Iterator, Sequence

from dbtasks.migrations.squashing.names import Places, Use

RELATIONSHIPS = ("relationship", "dynamic_loader")
EVALUATED = frozenset(
    ("argument", "primaryjoin", "secondaryjoin", "foreign_keys", "remote_side", "order_by")
)
"""Arguments whose texts SQLAlchemy evaluates with the names of classes first."""

VALUES = ("Literal", "Annotated")
"""Types in whose brackets a text may be a value."""


def find_in_texts(tree: ast.Module, places: Places) -> Iterator[Use]:
    """Yield where texts that SQLAlchemy reads as code have the name of a class of the module.

    A name that another class has, which is not at the top of the module, may mean that one.
    """
    top = {one.name for one in tree.body if isinstance(one, ast.ClassDef)}
    every = [one.name for one in ast.walk(tree) if isinstance(one, ast.ClassDef)]
    classes = {name for name in top if every.count(name) == 1}
    for text in _texts(tree):
        yield from _names(text, classes, places)


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the texts that are read as code."""
    for one in ast.walk(node):
        match one:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in RELATIONSHIPS
            ):
                read = [*one.args[:1], *(k.value for k in one.keywords if k.arg in EVALUATED)]
                yield from _constants(read)
            case ast.ClassDef(body=body):
                yield from _constants([o.annotation for o in body if isinstance(o, ast.AnnAssign)])


def _constants(nodes: Sequence[ast.AST]) -> Iterator[ast.Constant]:
    for node in nodes:
        match node:
            case ast.Constant(value=str()):
                yield node
            case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in VALUES
            ):
                continue
            case ast.Call():
                continue
            case _:
                yield from _constants([*ast.iter_child_nodes(node)])


def _names(text: ast.Constant, classes: set[str], places: Places) -> Iterator[Use]:
    """Yield the names in a text that is written in one piece, without escapes."""
    code = str(text.value)
    start = places.offset(text.lineno, text.col_offset)
    end = places.offset(text.end_lineno or 0, text.end_col_offset or 0)
    if places.text[start:end] not in (f'"{code}"', f"'{code}'"):
        return
    try:
        found = [one for one in ast.walk(ast.parse(code, mode="eval")) if isinstance(one, ast.Name)]
    except (SyntaxError, ValueError):
        return
    for one in found:
        if one.id in classes:
            begin = start + 1 + Places(code).offset(one.lineno, one.col_offset)
            yield Use(one.id, begin, begin + len(one.id))
