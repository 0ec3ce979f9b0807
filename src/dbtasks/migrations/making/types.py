"""Types that the database keeps by name, as PostgreSQL its enums: made, changed and dropped."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Enum, Table
from sqlalchemy.dialects.postgresql import ENUM

from dbtasks.migrations.making.reflection import Reflection
from dbtasks.migrations.making.statements import Statements
from dbtasks.migrations.making.uses import Name, Use, Uses, enum_of, place, quote

Operations = list[ops.MigrateOperation]


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with those on schemas, and on types that have a name.

    A type is made before what uses it, and dropped after what has used it.
    """
    schemas = _schemas(context, reflection, operations)
    if not hasattr(reflection.inspector, "get_enums"):
        return [*schemas, *operations]
    known = Types(context, reflection)
    wanted = known.of_models(tables)
    new = [known.create(one) for name, one in wanted.items() if name not in known.there]
    first: Operations = []
    last: Operations = []
    for name, one in wanted.items():
        if name in known.there and known.there[name] != list(one.enums):
            before, after = known.change(name, one, operations)
            first += before
            last += after
    gone = {name for one in operations for name in known.left_by(one)}
    drops = [known.drop(name) for name in sorted(gone - {*wanted}, key=str) if name in known.there]
    return [*schemas, *new, *first, *operations, *last, *drops]


@dataclass
class Types:
    """Know which types a database has, and write the SQL that changes them."""

    context: MigrationContext
    reflection: Reflection

    def __post_init__(self) -> None:
        self.dialect = self.context.dialect
        inspector: Any = self.reflection.inspector
        self.there = {
            self._name(one["schema"], one["name"]): list(one["labels"])
            for one in inspector.get_enums(schema="*")
        }

    def of_models(self, tables: Iterable[Table]) -> dict[Name, ENUM]:
        """Return the types that the models have, and that are not a person's own to make."""
        found = {}
        for table in tables:
            for column in table.columns:
                one = enum_of(column.type, self.dialect)
                if one is not None and one.create_type and one.name:
                    found[self._name(one.schema, one.name)] = one
        return found

    def create(self, one: ENUM) -> Statements:
        """Return what makes a type."""
        name = self._name(one.schema, str(one.name))
        quoted = self._quote(name)
        return Statements(
            f"create type {name[1]}",
            [self._create(quoted, one.enums)],
            [f"DROP TYPE {quoted}"],
            f"drop type {name[1]}",
        )

    def drop(self, name: Name) -> Statements:
        """Return what drops a type."""
        quoted = self._quote(name)
        back = [self._create(quoted, self.there[name])]
        return Statements(
            f"drop type {name[1]}", [f"DROP TYPE {quoted}"], back, f"create type {name[1]}"
        )

    def change(
        self, name: Name, one: ENUM, operations: Operations
    ) -> tuple[list[Statements], list[Statements]]:
        """Return what gives a type other values, before the operations and after them.

        A value can be added in place, unless something uses it in the same transaction; for all
        else the type is made anew. Values come before the operations, which may use them, and go
        after them, when rows and defaults have changed over.
        """
        before, after = self.there[name], list(one.enums)
        uses = Uses(self.reflection, name)
        there, later = uses.now(), uses.after(operations)
        gone = [each for each in before if each not in after]
        removed = {one.name: gone for one in later if gone and one.name in {c.name for c in there}}
        if {*after} <= {*before}:
            return [], [self._changed(name, before, after, later, removed)]
        if gone:
            both = [*before, *(each for each in after if each not in before)]
            first = self._changed(name, before, both, there)
            return [first], [self._changed(name, both, after, later, removed)]
        first = self._changed(name, before, after, there)
        in_place = [each for each in after if each in before] == before
        if in_place and not any(self._uses(each, name) for each in operations):
            first.forth = list(self._add_values(name, before, after))
        return [first], []

    def _changed(
        self,
        name: Name,
        before: Sequence[str],
        after: Sequence[str],
        columns: Sequence[Use],
        removed: Mapping[str, Sequence[str]] | None = None,
    ) -> Statements:
        """Return what makes a type anew with other values."""
        words = f"change type {name[1]}"
        forth, back = (
            list(self._remake(name, some, {*others} - {*some}, columns))
            for some, others in ((after, before), (before, after))
        )
        return Statements(words, forth, back, words, removed or {})

    def left_by(self, operation: ops.MigrateOperation) -> Iterator[Name]:
        """Yield the types of the columns that an operation drops, or gives another type."""
        if isinstance(operation, ops.ModifyTableOps):
            for one in operation.ops:
                yield from self.left_by(one)
        kinds: list[Any] = []
        if isinstance(operation, ops.DropTableOp):
            kinds = [one.type for one in operation.to_table().columns]
        elif isinstance(operation, ops.DropColumnOp):
            kinds = [operation.to_column().type]
        elif isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
            kinds = [operation.existing_type]
        for kind in kinds:
            found = enum_of(kind, self.dialect)
            if found is not None and found.name:
                yield self._name(found.schema, found.name)

    def _uses(self, operation: ops.MigrateOperation, name: Name) -> bool:
        if isinstance(operation, ops.ModifyTableOps):
            return any(self._uses(one, name) for one in operation.ops)
        kind: Any = None
        if isinstance(operation, ops.AddColumnOp):
            kind = operation.column.type
        elif isinstance(operation, ops.AlterColumnOp):
            kind = operation.modify_type or operation.existing_type
        found = enum_of(kind, self.dialect)
        return found is not None and self._name(found.schema, str(found.name)) == name

    def _add_values(self, name: Name, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
        for number, value in enumerate(after):
            if value not in before:
                where = (
                    f"AFTER {_literal(after[number - 1])}"
                    if number
                    else f"BEFORE {_literal(before[0])}"
                )
                yield f"ALTER TYPE {self._quote(name)} ADD VALUE {_literal(value)} {where}"

    def _remake(
        self,
        name: Name,
        values: Sequence[str],
        gone: Collection[str],
        columns: Sequence[Use],
    ) -> Iterator[str]:
        """Yield what makes a type anew beside the old one, and lets the columns change over."""
        quoted, old = self._quote(name), (name[0], f"{name[1]}_before")
        yield f"ALTER TYPE {quoted} RENAME TO {self._quote((None, old[1]))}"
        yield self._create(quoted, values)
        for _, table, column, brackets, default in columns:
            alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
            if default:
                yield f"{alter} DROP DEFAULT"
            using = f"{column}::text{brackets}::{quoted}{brackets}"
            yield f"{alter} TYPE {quoted}{brackets} USING {using}"
            if default and not any(_is_in(default, one, brackets) for one in gone):
                yield f"{alter} SET DEFAULT {default}"
        yield f"DROP TYPE {self._quote(old)}"

    def _create(self, quoted: str, values: Sequence[str]) -> str:
        return f"CREATE TYPE {quoted} AS ENUM ({', '.join(map(_literal, values))})"

    def _name(self, schema: str | None, name: str) -> Name:
        return place(self.dialect, schema, name)

    def _quote(self, name: Name) -> str:
        return quote(self.dialect, name)


def _is_in(default: str, value: str, brackets: str) -> bool:
    """Whether a default is a value, or that of an array has it, in whatever form."""
    sql = _literal(value)
    if not brackets:
        return sql in default
    return bool(re.search(rf"['{{,\"]{re.escape(sql[1:-1])}['}},\"]", default))


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _schemas(
    context: MigrationContext, reflection: Reflection, operations: Operations
) -> list[Statements]:
    """Return what makes the schemas of new tables; nothing drops them, others may use them."""
    named = {one.schema for one in operations if isinstance(one, ops.CreateTableOp) and one.schema}
    missing = named - {*reflection.inspector.get_schema_names()} if named else set()
    quote = context.dialect.identifier_preparer.quote_schema
    return [
        Statements(f"create schema {one}", [f"CREATE SCHEMA IF NOT EXISTS {quote(one)}"], [])
        for one in sorted(missing)
    ]


def removed_values(operation: ops.AlterColumnOp) -> Sequence[str]:
    """Return the values that a column's enum has no more."""
    old, new = operation.existing_type, operation.modify_type
    if isinstance(old, Enum) and isinstance(new, Enum):
        return [one for one in old.enums if one not in new.enums]
    return ()


def with_both(operation: ops.AlterColumnOp) -> Enum | None:
    """Return an enum with the values that are removed and with those that are new, if both are."""
    old, new = operation.existing_type, operation.modify_type
    if not (removed_values(operation) and isinstance(old, Enum) and isinstance(new, Enum)):
        return None
    more = [one for one in new.enums if one not in old.enums]
    return Enum(*old.enums, *more) if more else None
