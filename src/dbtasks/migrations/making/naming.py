"""What a new revision is called: a number and what it does, or as the project's others are."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alembic.operations import ops
from alembic.script import ScriptDirectory
from alembic.util import rev_id

from dbtasks.engines.base.schema import Statements
from dbtasks.migrations.making.comparing import Operation, single
from dbtasks.migrations.template import DEFAULT_TEMPLATE

LONGEST = 32
"""Characters that Alembic's version table takes."""

LONGEST_NAME = LONGEST - len("0001_")

INITIAL = "initial"
"""The name of a history's first revision, as in Django."""

TEMPLATES = ("%(rev)s", DEFAULT_TEMPLATE)
"""Templates of files whose names begin with the id."""

NUMBERED = re.compile(r"(\d+)(_|$)")


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


def new_id(scripts: ScriptDirectory, name: str, *, number: int | None = None) -> str:
    """Return the id of a new revision: a number and its name, where the others have numbers.

    The first one has none if the project's own template makes other names of files.
    """
    numbers = [NUMBERED.match(one.revision) for one in scripts.walk_revisions()]
    if not all(numbers) or (not numbers and scripts.file_template not in TEMPLATES):
        return str(rev_id())
    width = max((len(one[1]) for one in numbers if one), default=4)
    highest = max((int(one[1]) for one in numbers if one), default=0)
    start = f"{number or highest + 1:0{width}}_"
    return start + _shortened(slug(name), LONGEST - len(start))


def numbered_after(other: str, revision: str, place: int) -> str:
    """Return a revision's id with the number that is `place` after another's, if both have one."""
    theirs, ours = NUMBERED.match(other), NUMBERED.match(revision)
    if theirs is None or ours is None:
        return revision
    return f"{int(theirs[1]) + place:0{len(ours[1])}}{revision[len(ours[1]) :]}"


def number_of(revision: str) -> int:
    """Return the number that an id begins with; 0 where it has none."""
    found = NUMBERED.match(revision)
    return int(found[1]) if found else 0


def _shortened(name: str, most: int) -> str:
    """Return a name without the words that are too many: one that is too long is cut."""
    if len(name) <= most:
        return name
    return (name[: most + 1].rpartition("_")[0] or name[:most]).rstrip("_")


def slug(name: str) -> str:
    """Return a name as it stands in the name of a file."""
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "change"


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
