"""What was renamed, of what looks dropped and added: asked, and applied before all else."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Table

from dbtasks.errors import UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate.answers import Answers, Kind, Question, rename_flags
from dbtasks.migrations.autogenerate.comparing import Operation, full_name
from dbtasks.schema.operations import RenameColumn

Rename = ops.RenameTableOp | ops.ModifyTableOps


def find_rename(
    context: MigrationContext, operations: Sequence[Operation], answers: Answers
) -> tuple[Operation, Operation] | None:
    """Return the operation of the first rename that is answered with yes, and its reverse.

    Tables come before columns: of a table that is new nothing else can be said. One that nobody
    answers for is taken as renamed, so that what else is to be asked can be told with it.
    """
    for name, new in _gone(operations):
        answers.note_gone(name, new)
    for question in _moved(operations, answers):
        if answers.renamed(question):
            raise UsageError(
                f"{question.old} goes to another schema, which is written by hand",
                hint=f"{command_line('makemigrations', empty=True, name='NAME')}, as ALTER TABLE … "
                "SET SCHEMA …",
            )
    tables = [*_tables(operations, answers)]
    for question, pair in [*tables, *_columns(context, operations)]:
        if answers.renamed(question):
            return pair
    return next((pair for question, pair in tables if answers.is_open(question)), None)


def check_emptied(operations: Sequence[Operation], answers: Answers) -> None:
    """Ask about each column that is dropped and made anew, as it is computed now, or no more."""
    for table in operations:
        if isinstance(table, ops.ModifyTableOps):
            gone, new = ({one.name for one in some} for some in _gone_and_new(table))
            for name in sorted(gone & new):
                full = f"{full_name(table)}.{name}"
                notes = (f"{name} is computed now, or no more: it is dropped, and made anew",)
                answers.check_values_go(
                    Question(Kind.VALUES, full, rename_flags(full), notes=notes)
                )


def _tables(
    operations: Sequence[Operation], answers: Answers
) -> Iterator[tuple[Question, tuple[Operation, Operation]]]:
    """Yield what may be the rename of a table: one is gone, and another has some of its columns."""
    for old, new in _pairs(operations):
        notes = (
            f'without a migration: __tablename__ = "{old.table_name}" leaves the table as it is',
            _breaks(old.table_name),
        )
        question = _question(Kind.TABLE, full_name(old), full_name(new), notes)
        alike = _alike(old.to_table(), new.to_table())
        if old.schema == new.schema and (alike or answers.names(question)):
            forth = ops.RenameTableOp(old.table_name, new.table_name, schema=new.schema)
            back = ops.RenameTableOp(new.table_name, old.table_name, schema=new.schema)
            yield question, (forth, back)


def _moved(operations: Sequence[Operation], answers: Answers) -> Iterator[Question]:
    """Yield what may be a table that is in another schema now."""
    for old, new in _pairs(operations):
        question = _question(Kind.TABLE, full_name(old), full_name(new), ())
        alike = _alike(old.to_table(), new.to_table())
        if old.schema != new.schema and (alike or answers.names(question)):
            yield question


def _pairs(operations: Sequence[Operation]) -> Iterator[tuple[ops.DropTableOp, ops.CreateTableOp]]:
    """Yield each table that is gone with each that is new."""
    gone = [one for one in operations if isinstance(one, ops.DropTableOp)]
    for new in operations:
        if isinstance(new, ops.CreateTableOp):
            yield from ((old, new) for old in gone)


def _gone(operations: Sequence[Operation]) -> Iterator[tuple[str, list[str]]]:
    """Yield the names of all tables and columns that are gone, each with what it may be now."""
    tables = [full_name(one) for one in operations if isinstance(one, ops.CreateTableOp)]
    for one in operations:
        if isinstance(one, ops.DropTableOp):
            yield full_name(one), tables
        elif isinstance(one, ops.ModifyTableOps):
            gone, new = (
                [f"{full_name(one)}.{each.name}" for each in some] for some in _gone_and_new(one)
            )
            yield from ((name, [one for one in new if one != name]) for name in gone)


def _gone_and_new(
    table: ops.ModifyTableOps,
) -> tuple[list[Column[object]], list[Column[object]]]:
    """Return the columns that a table has no more, and those that it has now.

    One that is computed otherwise is dropped and added, but is there as before.
    """
    drops = (one.to_column() for one in table.ops if isinstance(one, ops.DropColumnOp))
    gone = {one.name: one for one in drops}
    new = {one.column.name: one.column for one in table.ops if isinstance(one, ops.AddColumnOp)}
    for name in gone.keys() & new.keys():
        if gone[name].computed is not None and new[name].computed is not None:
            del gone[name], new[name]
    return [*gone.values()], [*new.values()]


def _alike(old: Table, new: Table) -> bool:
    """Whether two tables have columns in common besides their keys, or as many of the same kinds.

    With less in common a rename would keep nothing but the keys.
    """
    names, others = ({one.name for one in t.columns if not one.primary_key} for t in (old, new))
    kinds, other_kinds = ([one.type._type_affinity for one in t.columns] for t in (old, new))
    return bool(names & others) or kinds == other_kinds


def _columns(
    context: MigrationContext, operations: Sequence[Operation]
) -> Iterator[tuple[Question, tuple[Operation, Operation]]]:
    """Yield what may be the rename of a column: one is gone, and another is new in its table.

    Those of one kind come first. Of the others is asked too: what is dropped is lost.
    """
    for table in operations:
        if not isinstance(table, ops.ModifyTableOps):
            continue
        gone, new = _gone_and_new(table)
        pairs = [(old, one) for one in new for old in gone if old.name != one.name]
        name = f"{full_name(table)}.{{}}".format
        # Alembic compares sets of columns, whose order is another in each process.
        for old, one in sorted(pairs, key=lambda pair: _order(context, *pair)):
            notes = _notes(context, old, one)
            types = _types(context, old, one)
            asked = (name(old.name), name(one.name))
            question = _question(Kind.COLUMN, *asked, notes, types)
            yield question, _renamed(table, old, one.name)


def _order(
    context: MigrationContext, old: Column[object], new: Column[object]
) -> tuple[bool, bool, bool, float, str, str]:
    """Return the place of a pair among all: the likeliest first."""
    alike = SequenceMatcher(None, old.name, new.name).ratio()
    return (
        not _is_kin(context, old, new),
        bool(context.impl.compare_type(old, new)),
        old.nullable != new.nullable,
        -alike,
        new.name,
        old.name,
    )


def _is_kin(context: MigrationContext, old: Column[object], new: Column[object]) -> bool:
    """Whether a column may be another by a new name: of the same type, longer or shorter, or so."""
    same = not context.impl.compare_type(old, new)
    return same or old.type._type_affinity is new.type._type_affinity


def _renamed(
    table: ops.ModifyTableOps, old: Column[object], new: str
) -> tuple[Operation, Operation]:
    kept: dict[str, Any] = {"autoincrement": True} if old.autoincrement is True else {}

    def rename(before: str, after: str) -> Operation:
        alter = RenameColumn(
            table.table_name,
            before,
            schema=table.schema,
            modify_name=after,
            existing_type=old.type,
            existing_nullable=old.nullable,
            existing_server_default=old.server_default or False,
            existing_comment=old.comment,
            **kept,
        )
        return ops.ModifyTableOps(table.table_name, [alter], schema=table.schema)

    return rename(old.name, new), rename(new, old.name)


def _question(kind: Kind, old: str, new: str, notes: tuple[str, ...], types: str = "") -> Question:
    return Question(kind, new, rename_flags(old, new), old, notes, types)


def _types(context: MigrationContext, old: Column[object], new: Column[object]) -> str:
    """Return the types of both columns, as a question shows them."""
    types = [one.type.compile(context.dialect) for one in (old, new)]
    return f" ({types[0]})" if types[0] == types[1] else f" ({' → '.join(types)})"


def _notes(context: MigrationContext, old: Column[object], new: Column[object]) -> tuple[str, ...]:
    breaks = _breaks(old.name)
    if _is_kin(context, old, new):
        keeps = f'{new.name} = mapped_column("{old.name}", …) leaves the column as it is'
        return f"without a migration: {keeps}", breaks
    types = (one.type.compile(context.dialect) for one in (old, new))
    return f"its type changes too, from {' to '.join(types)}", breaks


def _breaks(old: str) -> str:
    return f"while old code still runs, it asks for {old}, and fails from the migration on"
