"""Types that the database keeps by name, as PostgreSQL its enums: made, changed and dropped."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Enum, Table
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.engine import Dialect
from sqlalchemy.types import ARRAY, TypeDecorator, TypeEngine

from dbtasks.migrations.making.reflection import Reflection
from dbtasks.migrations.making.statements import Statements

Operations = list[ops.MigrateOperation]
Name = tuple[str | None, str]


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
            only_less = set(one.enums) <= set(known.there[name])
            (last if only_less else first).append(known.change(name, one, operations))
    gone = {name for one in operations for name in known.left_by(one)}
    drops = [known.drop(name) for name in sorted(gone - {*wanted}, key=str) if name in known.there]
    return [*schemas, *new, *first, *operations, *last, *drops]


def enum_of(kind: TypeEngine[Any] | None, dialect: Dialect) -> ENUM | None:
    """Return the enum of the database that a type is, or that its elements are of."""
    if isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    found = kind.dialect_impl(dialect) if kind is not None else None
    if isinstance(found, ARRAY):
        return enum_of(found.item_type, dialect)
    return found if isinstance(found, ENUM) else None


class Place(NamedTuple):
    """Say where a type is used: by name, and as it stands in SQL."""

    name: str
    table: str
    column: str
    brackets: str
    default: str | None


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

    def change(self, name: Name, one: ENUM, operations: Operations) -> Statements:
        """Return what gives a type other values.

        A value can be added in place, unless something uses it in the same transaction; for all
        else the type is made anew.
        """
        before, after = self.there[name], list(one.enums)
        columns = list(self._columns(name))
        in_place = [each for each in after if each in before] == before
        used = any(self._uses(each, name) for each in operations)
        forth = (
            list(self._add_values(name, before, after))
            if in_place and not used
            else list(self._remake(name, after, columns))
        )
        back = list(self._remake(name, before, columns))
        words = f"change type {name[1]}"
        gone = [each for each in before if each not in after]
        removed = {one.name: gone for one in columns if gone}
        return Statements(words, forth, back, words, removed)

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

    def _columns(self, name: Name) -> Iterator[Place]:
        """Yield the columns that are of a type."""
        quote = self.dialect.identifier_preparer.quote
        for place in sorted(self.reflection.tables, key=str):
            for column in self.reflection.columns(place).values():
                found = enum_of(column["type"], self.dialect)
                if found is not None and self._name(found.schema, str(found.name)) == name:
                    brackets = "[]" if isinstance(column["type"], ARRAY) else ""
                    yield Place(
                        ".".join((*filter(None, place), column["name"])),
                        self._quote(place),
                        quote(column["name"]),
                        brackets,
                        column.get("default"),
                    )

    def _add_values(self, name: Name, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
        for place, value in enumerate(after):
            if value not in before:
                where = (
                    f"AFTER {_literal(after[place - 1])}"
                    if place
                    else f"BEFORE {_literal(before[0])}"
                )
                yield f"ALTER TYPE {self._quote(name)} ADD VALUE {_literal(value)} {where}"

    def _remake(
        self,
        name: Name,
        values: Sequence[str],
        columns: Sequence[Place],
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
            if default and any(_literal(one) in default for one in values):
                yield f"{alter} SET DEFAULT {default}"
        yield f"DROP TYPE {self._quote(old)}"

    def _create(self, quoted: str, values: Sequence[str]) -> str:
        return f"CREATE TYPE {quoted} AS ENUM ({', '.join(map(_literal, values))})"

    def _name(self, schema: str | None, name: str) -> Name:
        return (None if schema == self.dialect.default_schema_name else schema), name

    def _quote(self, name: Name) -> str:
        preparer = self.dialect.identifier_preparer
        prefix = f"{preparer.quote_schema(name[0])}." if name[0] else ""
        return f"{prefix}{preparer.quote(name[1])}"


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
