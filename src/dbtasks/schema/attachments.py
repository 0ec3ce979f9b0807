"""The operations on constraints and indexes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from alembic.operations import ops
from sqlalchemy import Index
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import conv

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import (
    FOREIGN_KEY,
    PRIMARY_KEY,
    Change,
    Definition,
    Key,
    Place,
)
from dbtasks.engines.base.schema import Statements
from dbtasks.schema.models import CONCURRENTLY
from dbtasks.schema.operations import (
    AddCheck,
    AddIndex,
    AddPrimaryKey,
    AddServerNamed,
    DropCheck,
    Operation,
    SetTableOptions,
    sql_of,
)
from dbtasks.schema.tables import State

Columns = Collection[tuple[Place, str]]


@dataclass
class Attachments:
    """Know two states of a database, and what of tables differs beside their columns."""

    backend: Backend
    dialect: Dialect
    source: State
    target: State

    def __post_init__(self) -> None:
        self.before, self.after = self.source.snapshot, self.target.snapshot
        self.schema = self.backend.schema_operations(self.dialect)
        self.again: Columns = ()
        self.fresh: Collection[Key] = ()

    def attached(self, change: Change) -> list[Operation]:
        """Return what changes a constraint or an index."""
        old, new = change.old, change.new
        stays = change.before and old and not self.is_about(old, change.before, self.again)
        if old and new and old.name != new.name and stays:
            renamed = self._rename(old, new)
            if renamed is not None or new.kind == PRIMARY_KEY:
                return [renamed] if renamed else []
        if options := self.schema.table_options(change):
            return [SetTableOptions(options)]
        if old and new and change.attributes == {"comment"}:
            return self._comment(new)
        drop = self._drop(old, change.before) if old and change.before else []
        add = [*self.add(new, replaces=old), *self._comment(new)] if new else []
        return [*drop, *add]

    def is_about(self, key: Key, definition: Definition, columns: Columns) -> bool:
        """Whether a constraint or an index is about one of these columns."""
        refers = definition.refers
        own = {(key.place, name) for name in definition.uses}
        referred = {(refers.place, name) for name in refers.columns} if refers else set()
        return bool((own | referred) & {*columns})

    def _comment(self, key: Key) -> list[Operation]:
        """Return what gives a constraint the comment that it is to have, or none."""
        before, after = (
            state.get(key, Definition()).attributes.get("comment", "")
            for state in (self.before, self.after)
        )
        sql = self.schema.comment_on(key, after) if before != after or after else None
        return [Statements(f"comment on {key.name}", [sql])] if sql else []

    def _rename(self, old: Key, new: Key) -> Operation | None:
        sql = self.schema.rename(old, new) if old.is_named else None
        return Statements(f"rename {old.name} to {new.name}", [sql]) if sql else None

    def _drop(self, key: Key, definition: Definition) -> list[Operation]:
        name: Any = conv(key.name) if key.is_named else None
        item = self.source.objects.get(key)
        match key.kind:
            case "index":
                columns: Any = definition.parts.get("columns") or definition.columns or ()
                back = (
                    ops.CreateIndexOp.from_index(item)
                    if isinstance(item, Index)
                    else ops.CreateIndexOp(name, key.table, [*columns], schema=key.schema)
                )
                return [ops.DropIndexOp(name, key.table, schema=key.schema, _reverse=back)]
            case "check":
                return [DropCheck.of(name, key.place, definition.sql)]
            case "primary key":
                same = AddPrimaryKey(
                    name, key.table, [*(definition.columns or ())], schema=key.schema
                )
                return [
                    ops.DropConstraintOp(
                        name, key.table, type_="primary", schema=key.schema, _reverse=same
                    )
                ]
        if item is not None:
            return [ops.DropConstraintOp.from_constraint(item)]
        return [
            self._alter_table(
                key, f"drop constraint {key.name}", f"DROP CONSTRAINT {self._name(key)}"
            )
        ]

    def add(self, key: Key, *, replaces: Key | None = None) -> list[Operation]:
        """Return what makes a constraint or an index, in the place of another, if there is one."""
        definition, item = self.after[key], self.target.objects.get(key)
        if "statement" in definition.parts:
            statement = str(definition.parts["statement"])
            return [self._add_constraint(key, replace(definition, sql=statement))]
        name = self._name_of(key, replaces)
        match key.kind:
            case "check":
                sql = definition.sql if item is None else sql_of(self.dialect, item.sqltext)
                return [AddCheck.of(name, key.place, sql)]
            case "index" if item is None or isinstance(item, Index):
                return [self._add_index(key, definition, item)]
            case "primary key":
                columns = [*(definition.columns or ())]
                given = name if self.backend.casts_columns else None  # only PostgreSQL keeps one
                return [AddPrimaryKey(given, key.table, columns, schema=key.schema)]
        if item is None:
            return [self._add_constraint(key, definition)]
        if self._is_next_of_server(key):
            add: Any = AddServerNamed.from_constraint(item)
        else:
            add = ops.AddConstraintOp.from_constraint(item)
        add.constraint_name = add.constraint_name or name
        return [add]

    def _is_next_of_server(self, key: Key) -> bool:
        """Whether MariaDB gives a foreign key just this name: it counts on from the highest."""
        numbers = {
            other: int(number)
            for other in self.after.of_table(key.place)
            if other.kind == FOREIGN_KEY and self.backend.keys_need_indexes
            for name, _, number in [other.name.rpartition("_ibfk_")]
            if name == key.table and number.isdigit()
        }
        own = numbers.pop(key, 0)
        stay = [
            number for other, number in numbers.items() if other not in self.fresh or number < own
        ]
        return own == max(stay, default=0) + 1

    def _name_of(self, key: Key, replaces: Key | None) -> conv | None:
        """Return the name that a constraint is to have; None where the database gives one.

        A name of the server's own is written down, so that the way back can use it.
        """
        is_new = key not in self.before and self.backend.casts_columns
        if self.target.is_given(key) or (key.is_named and (key == replaces or is_new)):
            return conv(key.name)
        return None

    def _add_constraint(self, key: Key, definition: Definition) -> Operation:
        sql = f"ADD CONSTRAINT {self._name(key)} {definition.sql}"
        return self._alter_table(key, f"add constraint {key.name}", sql)

    def _add_index(self, key: Key, definition: Definition, index: Index | None) -> Operation:
        if index is not None:
            create = ops.CreateIndexOp.from_index(index)
            create.schema = key.schema
            create.kw.pop(CONCURRENTLY, None)  # it needs a revision of its own
            return create
        sql = definition.sql
        if self.backend.keys_need_indexes:
            sql = f"ALTER TABLE {self._quoted(key.place)} ADD {sql}"
        return AddIndex.of(key, sql)

    def _alter_table(self, key: Key, words: str, sql: str) -> Statements:
        return Statements(words, [f"ALTER TABLE {self._quoted(key.place)} {sql}"])

    def _name(self, key: Key) -> str:
        return self.schema.quote(key.name)

    def _quoted(self, place: Place) -> str:
        return self.schema.quoted(*place)
