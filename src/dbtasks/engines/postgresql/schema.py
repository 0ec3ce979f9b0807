"""What PostgreSQL needs around Alembic's operations: types with a name, sequences and casts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import Column, DefaultClause
from sqlalchemy.engine import Dialect

from dbtasks.engines.base import schema as base
from dbtasks.engines.base.definitions import (
    COLUMN,
    DOMAIN,
    INDEX,
    SEQUENCE,
    Change,
    Definition,
    Key,
)
from dbtasks.engines.base.schema import Definitions, Operation, Statements
from dbtasks.engines.base.types import Named
from dbtasks.engines.postgresql.types import enum_of
from dbtasks.engines.sql.quoting import identifier

SERIALS = {"smallint": "SMALLSERIAL", "integer": "SERIAL", "bigint": "BIGSERIAL"}


class Use(NamedTuple):
    """Say which column is of a type, as it stands in SQL."""

    name: str
    table: str
    column: str
    brackets: str
    default: str | None


class SchemaOperations(base.SchemaOperations):
    """Know types with a name, sequences of columns, and casts."""

    computed_hold_types = True

    def rename(self, old: Key, new: Key) -> str | None:
        """Return it; an index is in a schema, a constraint in its table."""
        quote = self.quote
        if old.kind == INDEX:
            return f"ALTER INDEX {self.quoted(old.schema, old.name)} RENAME TO {quote(new.name)}"
        table = self.quoted(*old.place)
        return f"ALTER TABLE {table} RENAME CONSTRAINT {quote(old.name)} TO {quote(new.name)}"

    def beside_tables(
        self, before: Definitions, after: Definitions, changes: Sequence[Change]
    ) -> tuple[list[Operation], list[Operation]]:
        """Return those on schemas, types, domains and sequences."""
        types = Types(self, before, after)
        types.add(changes)
        return types.first, types.last

    def alter_column(
        self, change: Change, alter: ops.AlterColumnOp, column: Column[Any]
    ) -> list[Operation]:
        """Return it with the default off while the type changes, and the sequence around it."""
        off, on = _sequence_operations(self.dialect, change, alter)
        parts = _by_steps(alter, column) if _is_cast(self.dialect, alter) else [alter]
        return [*off, *(part for part in parts if part.has_changes()), *on]

    def add_counting(self, key: Key, definition: Definition) -> str | None:
        """Return it for a serial, which Alembic would add without its sequence."""
        if definition.attributes.get("default") != "serial":
            return None
        kind = SERIALS[definition.attributes["type"]]
        column = self.quote(key.name)
        return f"ALTER TABLE {self.quoted(*key.place)} ADD COLUMN {column} {kind}"

    def cast(self, alter: ops.AlterColumnOp) -> str | None:
        """Return the expression that makes values of the new type of the old."""
        if not _is_cast(self.dialect, alter):
            return None
        old, new = alter.existing_type, alter.modify_type
        assert new is not None
        column = self.quote(alter.column_name)
        kind = new.dialect_impl(self.dialect).compile(dialect=self.dialect)
        named = isinstance(old, Named) or isinstance(new, Named)
        by_text = named or enum_of(old, self.dialect) or enum_of(new, self.dialect)
        return f"{column}::text::{kind}" if by_text else f"{column}::{kind}"

    def alter_table(self, change: Change) -> list[str]:
        """Return what changes how a table is stored, and from which others it inherits."""
        assert change.before is not None
        assert change.after is not None
        old, new = change.before.attributes, change.after.attributes
        alter = f"ALTER TABLE {self.quoted(*change.key.place)}"
        sql = []
        for name in sorted(change.attributes):
            match name:
                case "persistence":
                    sql.append(f"SET {new.get(name, 'LOGGED')}")
                case "tablespace":
                    sql.append(f"SET TABLESPACE {new.get(name, 'pg_default')}")
                case "method":
                    sql.append(f"SET ACCESS METHOD {new.get(name, 'heap')}")
                case "options":
                    was, is_now = (_listed(told.get(name, "")) for told in (old, new))
                    gone = sorted(was.keys() - is_now.keys())
                    sql += [f"RESET ({', '.join(gone)})"] if gone else []
                    sql += [f"SET ({new[name]})"] if is_now else []
                case "parents":
                    was, is_now = (_listed(told.get(name, "")) for told in (old, new))
                    sql += [f"NO INHERIT {parent}" for parent in was if parent not in is_now]
                    sql += [f"INHERIT {parent}" for parent in is_now if parent not in was]
        return [f"{alter} {action}" for action in sql]

    def comment_on(self, key: Key, comment: str) -> str | None:
        """Return it for a constraint; an index has none from SQLAlchemy."""
        if key.kind == INDEX:
            return None
        told = _literal(comment) if comment else "NULL"
        name = self.quote(key.name)
        return f"COMMENT ON CONSTRAINT {name} ON {self.quoted(*key.place)} IS {told}"


def _listed(told: str) -> dict[str, str]:
    """Return what is told with commas: values by their names, where they have any."""
    parts = (part.partition("=") for part in told.split(", ") if part)
    return {name: value for name, _, value in parts}


class Types:
    """Make, change and drop the types, domains, sequences and schemas of a database.

    Labels of an enum come before the operations on tables, which may use them, and go after
    them, when rows and defaults have others.
    """

    def __init__(
        self, operations: base.SchemaOperations, before: Definitions, after: Definitions
    ) -> None:
        self.operations, self.quote = operations, operations.quote
        self.before, self.after = before, after
        self.first: list[Operation] = []
        self.last: list[Operation] = []

    def add(self, changes: Sequence[Change]) -> None:
        """Take in the changes of schemas, and of what is in them beside tables."""
        for change in changes:
            match change.key.kind:
                case "schema":
                    name = str(change.key.schema)
                    sql = f"CREATE SCHEMA IF NOT EXISTS {self.quote(name)}"
                    self.first.append(Statements(f"create schema {name}", [sql]))
                case "type" if _is_enum(change):
                    self._enum(change)
                case "domain" | "sequence" | "type":
                    self._other(change)

    def _enum(self, change: Change) -> None:
        key, quoted = change.key, self._quoted(change.key)
        old, new = (
            [*map(str, definition.parts["labels"])] if definition else []  # type: ignore[call-overload]  # the reader's tuple of texts
            for definition in (change.before, change.after)
        )
        if change.before is None:
            self.first.append(Statements(f"create type {key.name}", [_create(quoted, new)]))
        elif change.after is None:
            self.last.append(Statements(f"drop type {key.name}", [f"DROP TYPE {quoted}"]))
        else:
            self._change(key, old, new)

    def _change(self, key: Key, old: Sequence[str], new: Sequence[str]) -> None:
        words, quoted = f"change type {key.name}", self._quoted(key)
        gone = [label for label in old if label not in new]
        more = [label for label in new if label not in old]
        now, later = [*self._uses(self.before, quoted)], [*self._uses(self.after, quoted)]
        if more:
            # A label cannot be used in the transaction that adds it to a type that was there.
            in_use = [use for use in later if use not in now]
            if [label for label in new if label in old] == [*old] and not in_use:
                self.first.append(Statements(words, [*_add_labels(quoted, old, new)]))
            else:
                labels = [*old, *more] if gone else new
                self.first.append(Statements(words, [*self._make_again(key, labels, now, ())]))
        if gone or not more:
            known = {use.name for use in now}
            removed = {use.name: gone for use in later if gone and use.name in known}
            sql = [*self._make_again(key, new, later, gone)]
            self.last.append(Statements(words, sql, removed))

    def _uses(self, definitions: Definitions, quoted: str) -> Iterator[Use]:
        for key, definition in definitions.items():
            kind = definition.attributes.get("type", "")
            if key.kind == COLUMN and kind.removesuffix("[]") == quoted:
                default: Any = definition.parts.get("default")
                yield Use(
                    ".".join((*filter(None, key.place), key.name)),
                    self._quoted(key._replace(name=key.table)),
                    self.quote(key.name),
                    "[]" if kind.endswith("[]") else "",
                    default,
                )

    def _make_again(
        self, key: Key, labels: Sequence[str], uses: Sequence[Use], gone: Sequence[str]
    ) -> Iterator[str]:
        """Yield what makes a type beside the old one, and lets the columns change over."""
        quoted, old = self._quoted(key), key._replace(name=f"{key.name}_before")
        yield f"ALTER TYPE {quoted} RENAME TO {self.quote(old.name)}"
        yield _create(quoted, labels)
        for _, table, column, brackets, default in uses:
            alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
            if default:
                yield f"{alter} DROP DEFAULT"
            using = f"{column}::text{brackets}::{quoted}{brackets}"
            yield f"{alter} TYPE {quoted}{brackets} USING {using}"
            if default and not any(_has_label(default, label) for label in gone):
                yield f"{alter} SET DEFAULT {default}"
        yield f"DROP TYPE {self._quoted(old)}"

    def _other(self, change: Change) -> None:
        key = change.key
        kind, quoted = key.kind.upper(), self._quoted(key)
        if change.before is not None and change.after is not None and change.key.kind == SEQUENCE:
            sql = f"ALTER SEQUENCE {quoted} AS {_counting(change.after.sql)}"
            self.first.append(Statements(f"change {key.kind} {key.name}", [sql]))
            return
        if change.before is not None and change.after is not None:
            if sqls := [f"ALTER DOMAIN {quoted} {action}" for action in _of_domain(change)]:
                self.first.append(Statements(f"change {key.kind} {key.name}", sqls))
        elif change.after is None:
            self.last.append(Statements(f"drop {key.kind} {key.name}", [f"DROP {kind} {quoted}"]))
        elif change.before is None:
            sql = f"CREATE {kind} {quoted} AS {_counting(change.after.sql)}"
            self.first.append(Statements(f"create {key.kind} {key.name}", [sql]))

    def _quoted(self, key: Key) -> str:
        return self.operations.quoted(key.schema, key.name)


def _by_steps(alter: ops.AlterColumnOp, column: Column[Any]) -> list[ops.AlterColumnOp]:
    before, after = alter.existing_server_default, alter.modify_server_default
    if after is False:
        after = column.server_default
    if not any(isinstance(default, DefaultClause) for default in (before, after)):
        return [alter]
    off, on = _default(alter, before, None), _default(alter, None, after)
    on.existing_type = alter.modify_type
    alter.existing_server_default = None
    alter.modify_server_default = False
    return [*([off] if before else []), alter, *([on] if after else [])]


def _default(alter: ops.AlterColumnOp, before: Any, after: Any) -> ops.AlterColumnOp:
    """Return what gives a column another default; None is none."""
    return ops.AlterColumnOp(
        alter.table_name,
        alter.column_name,
        schema=alter.schema,
        existing_type=alter.existing_type,
        existing_server_default=before,
        modify_server_default=after,
    )


def _is_cast(dialect: Dialect, alter: ops.AlterColumnOp) -> bool:
    """Whether rows need a cast that PostgreSQL does not do by itself."""
    old, new = alter.existing_type, alter.modify_type
    if old is None or new is None:
        return False
    enums = enum_of(old, dialect), enum_of(new, dialect)
    names = [kind.name for kind in (old, new) if isinstance(kind, Named)]
    return any(enums) or len({*names}) > 1 or old._type_affinity is not new._type_affinity


def _sequence_operations(
    dialect: Dialect, change: Change, alter: ops.AlterColumnOp
) -> tuple[list[Operation], list[Operation]]:
    """Return what takes the sequence of a serial off before an alteration, and puts one on."""
    assert change.before is not None
    assert change.after is not None
    was, is_now = (
        definition.attributes.get("default") == "serial"
        for definition in (change.before, change.after)
    )
    serial = _Serial(dialect, change.key)
    if was and not is_now:
        alter.existing_server_default = False
        alter.kw.pop("autoincrement", None)
        identity = change.after.attributes.get("identity")
        return [serial.off(change.before)], [serial.identity(identity)] if identity else []
    if is_now and not was:
        had_one = {"identity", "default"} & {*change.before.attributes}
        alter.modify_server_default = None if had_one else False
        return [], [serial.on(change.after)]
    if was and "sequence" in change.attributes:
        return [], [serial.sized(change.before, change.after)]
    return [], []


class _Serial:
    """Write the statements on the sequence of a column."""

    def __init__(self, dialect: Dialect, key: Key) -> None:
        quote = partial(identifier, dialect)
        schema = f"{quote(key.schema)}." if key.schema else ""
        self.key = key
        self.table, self.column = f"{schema}{quote(key.table)}", quote(key.name)
        self.base = f"ALTER TABLE {self.table} ALTER COLUMN {self.column}"
        self.go_on = f"(SELECT COALESCE(MAX({self.column}), 0) + 1 FROM {self.table})"

    def off(self, old: Definition) -> Operation:
        """Return what leaves the column without its sequence."""
        return self._run(f"{self.base} DROP DEFAULT", f"DROP SEQUENCE {old.parts['sequence']}")

    def identity(self, counts: str) -> Operation:
        """Return what lets an identity go on behind the rows."""
        start = counts.split(" START ")[1].split()[0]
        own = f"pg_get_serial_sequence({_literal(self.table)}, {_literal(self.key.name)})"
        return self._run(f"SELECT setval({own}, GREATEST({self.go_on}, {start}), false)")

    def on(self, new: Definition) -> Operation:
        """Return what gives the column a sequence that goes on behind the rows."""
        name, kind = str(new.parts["sequence"]), new.parts["sequence_type"]
        return self._run(
            f"CREATE SEQUENCE {name} AS {kind} OWNED BY {self.table}.{self.column}",
            f"SELECT setval({_literal(name)}, {self.go_on}, false)",
            f"{self.base} SET DEFAULT {new.parts['default']}",
        )

    def sized(self, old: Definition, new: Definition) -> Operation:
        """Return what lets the sequence count as far as another type."""
        counts = _counting(new.attributes["sequence"])
        return self._run(f"ALTER SEQUENCE {old.parts['sequence']} AS {counts}")

    def _run(self, *statements: str) -> Operation:
        return Statements(f"let {self.key.table}.{self.key.name} count", statements)


def _counting(counts: str) -> str:
    """Return what a sequence counts, complete: without CYCLE it ends."""
    return counts if counts.endswith(" CYCLE") or " START " not in counts else f"{counts} NO CYCLE"


def _of_domain(change: Change) -> Iterator[str]:
    """Yield what gives a domain another default and other checks; nothing gives it a type."""
    assert change.before is not None
    assert change.after is not None
    if change.attributes & {"type", "collation"} or change.key.kind != DOMAIN:
        return
    old: Mapping[str, Any] = change.before.parts
    new: Mapping[str, Any] = change.after.parts
    if old["default"] != new["default"]:
        yield f"SET DEFAULT {new['default']}" if new["default"] else "DROP DEFAULT"
    if "required" in change.attributes:
        yield "SET NOT NULL" if "required" in change.after.attributes else "DROP NOT NULL"
    for check in old["checks"]:
        if check not in new["checks"]:
            yield f"DROP {check.partition(' CHECK ')[0]}"
    yield from (f"ADD {check}" for check in new["checks"] if check not in old["checks"])


def _is_enum(change: Change) -> bool:
    return any("labels" in one.parts for one in (change.before, change.after) if one)


def _add_labels(quoted: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for number, label in enumerate(new):
        if label not in old:
            where = f"AFTER {_literal(new[number - 1])}" if number else f"BEFORE {_literal(old[0])}"
            yield f"ALTER TYPE {quoted} ADD VALUE {_literal(label)} {where}"


def _create(quoted: str, labels: Sequence[str]) -> str:
    return f"CREATE TYPE {quoted} AS ENUM ({', '.join(map(_literal, labels))})"


def _has_label(default: str, label: str) -> bool:
    """Whether a default is a label, or that of an array has it."""
    return re.search(rf"['{{,\"]{re.escape(label)}['}},\"]", default) is not None


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
