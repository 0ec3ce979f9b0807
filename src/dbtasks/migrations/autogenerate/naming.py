"""What a new revision does, in words for a person and for its name."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alembic.operations import ops

from dbtasks.engines.base.schema import Statements
from dbtasks.migrations.autogenerate.comparing import Operation, single
from dbtasks.migrations.history.revision_ids import LONGEST_NAME, slug

INITIAL = "initial"
"""The name of a history's first revision, as in Django."""


def describe(operations: Sequence[Operation]) -> str:
    """Return what operations do, in a few words, as employee_email; never cut within them."""
    told = [tell(one) for one in single(operations) if not isinstance(one, ops.ExecuteSQLOp)]
    words = [re.sub(r"^(create table|add column|create index) ", "", one) for one in told]
    names = (slug(name) for name in _names([*dict.fromkeys(words)]))
    return next((name for name in names if len(name) <= LONGEST_NAME), "changes")


def _names(words: Sequence[str]) -> Iterator[str]:
    """Yield names for what is done, each one shorter and less exact than the one before."""
    if not words:
        return
    first, more = words[0], len(words) - 1
    table = next((one.partition(".")[0] for one in first.split() if "." in one), "schema")
    if more <= 1:
        yield " and ".join(words)
    counted = f" and {more} more" if more else ""
    yield f"{first}{counted}"
    yield f"{table}{counted}" if more else f"change {table}"


def tell_all(operations: Sequence[Operation]) -> tuple[str, ...]:
    """Return what operations do, each once: a type is made anew twice where values are swapped."""
    return tuple(dict.fromkeys(tell(one) for one in single(operations)))


def tell(operation: Operation) -> str:
    """Return what an operation does, as a line for a person."""
    if isinstance(operation, Statements):
        return operation.words
    for kind, words in WORDS.items():
        if isinstance(operation, kind):
            return words(operation)
    return type(operation).__name__.removesuffix("Op")


def _alter(operation: Any) -> str:
    column = f"column {operation.table_name}.{operation.column_name}"
    if operation.modify_name:
        return f"rename {column} to {operation.modify_name}"
    return f"alter {column}"


WORDS: Mapping[type[Operation], Callable[[Any], str]] = {
    ops.CreateTableOp: lambda one: f"create table {one.table_name}",
    ops.DropTableOp: lambda one: f"drop table {one.table_name}",
    ops.RenameTableOp: lambda one: f"rename table {one.table_name} to {one.new_table_name}",
    ops.AddColumnOp: lambda one: f"add column {one.table_name}.{one.column.name}",
    ops.DropColumnOp: lambda one: f"drop column {one.table_name}.{one.column_name}",
    ops.AlterColumnOp: _alter,
    ops.CreateIndexOp: lambda one: f"create index {one.index_name}",
    ops.DropIndexOp: lambda one: f"drop index {one.index_name}",
    ops.DropConstraintOp: lambda one: f"drop constraint {one.constraint_name}",
    ops.CreateForeignKeyOp: lambda one: f"add foreign key {one.constraint_name}",
    ops.AddConstraintOp: lambda one: f"add constraint {one.constraint_name}",
    ops.CreateTableCommentOp: lambda one: f"comment on {one.table_name}",
    ops.DropTableCommentOp: lambda one: f"drop comment on {one.table_name}",
    ops.ExecuteSQLOp: lambda one: str(one.sqltext),
}
"""By kind of operation, the more particular first, what it does."""
