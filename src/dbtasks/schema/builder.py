"""The operations that bring a database from one state to another.

The same code makes both ways: towards the models, whose objects the operations take over, and
back to what was, of which only the snapshot is known.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import Index, Table
from sqlalchemy.sql.ddl import sort_tables_and_constraints

from dbtasks.engines.base.definitions import (
    COLUMN,
    INDEX,
    PRIMARY_KEY,
    TABLE,
    Change,
    Definition,
    Key,
    Place,
)
from dbtasks.engines.base.schema import Statements
from dbtasks.schema.columns import ColumnChanges
from dbtasks.schema.difference import RENAMABLE, difference
from dbtasks.schema.operations import Operation, SetTableOptions
from dbtasks.schema.order import keys_outermost, ordered
from dbtasks.schema.snapshot import Snapshot
from dbtasks.schema.tables import Models


class Builder(ColumnChanges):
    """Know two states of a database that is in the first of them."""

    def changes(self) -> list[Change]:
        """Return what differs between the two.

        On the way back to a database all its names count, also those that it has given itself: a
        later revision may say them.
        """
        names = self.target.names if isinstance(self.target, Models) else None
        serve = self.backend.keys_need_indexes
        return difference(self.before, self.after, names, indexes_serve=serve)

    def operations(self, changes: Sequence[Change]) -> list[Operation]:
        """Return what makes these changes, in an order in which it can be done."""
        self.again = again = {*self._made_again(changes)}
        changes = [*changes, *self._around(changes, again)]
        self.fresh = {
            change.new for change in changes if change.new and change.key.kind in RENAMABLE
        }
        first, last = self._types(changes)
        tables = [change for change in changes if change.key.kind == TABLE]
        new = [*self._created([change.key.place for change in tables if not change.before])]
        for change in tables:
            if change.before and change.after:
                self.changed[change.key.place] += self._altered_table(change)
        keyed = [*self._keyed_anew(changes)] if self.backend.keys_need_indexes else []
        changes = [change for change in changes if change not in keyed]
        with_columns = self._columns(changes, again)
        for change in changes:
            if change.key.kind in RENAMABLE and change.key not in with_columns:
                self.changed[change.key.place] += self.attached(change)
        dropped = self._dropped([change.key.place for change in tables if not change.after])
        if self.backend.batch_migrations:  # a rebuilt table is reflected with what it refers to
            return [*first, *new, *self._modified(), *dropped, *last]
        return [*first, *keys_outermost([*dropped, *self._modified(), *new]), *last]

    def _modified(self) -> Iterator[Operation]:
        for place, parts in self.changed.items():
            if parts:
                yield ops.ModifyTableOps(place.table, ordered(parts), schema=place.schema)

    def _types(self, changes: Sequence[Change]) -> tuple[list[Operation], list[Operation]]:
        """Return what comes before and after all else: for schemas, types and sequences."""
        return self.schema.beside_tables(self.before, self.after, changes)

    # -- tables -----------------------------------------------------------------------------------

    def _created(self, places: Sequence[Place]) -> Iterator[Operation]:
        """Yield what makes tables, each after those that it refers to, but for circles."""
        by_table = {self.target.tables[place]: place for place in places}
        order = _ordered(by_table, self.after)
        late = {key for table, keys in order if table is None for key in keys}
        for table, _ in order:
            if table is not None:
                yield from self._create(by_table[table], late)
        for key in sorted(late, key=lambda key: (by_table[key.table], str(key.name))):
            schema, name = by_table[key.table]
            yield ops.ModifyTableOps(
                name, [ops.AddConstraintOp.from_constraint(key)], schema=schema
            )

    def _create(self, place: Place, late: Collection[Any]) -> Iterator[Operation]:
        table = self.target.tables[place]
        create = ops.CreateTableOp.from_table(table)
        create.schema = place.schema
        items = (item for item in create.columns if item not in late and self._is_created(item))
        create.columns = [*self._beside(items)]
        yield create
        indexes = [part for key in self._indexes_of(place, table) for part in self.add(key)]
        if indexes:
            yield ops.ModifyTableOps(place.table, indexes, schema=place.schema)

    def _indexes_of(self, place: Place, table: Table) -> Iterator[Key]:
        """Yield the indexes of a new table that do not come with it."""
        constraints = {constraint.name for constraint in table.constraints}
        for key in self.after.of_table(place):
            if key.kind == INDEX and key.name not in constraints:
                item = self.target.objects.get(key)
                serves = self.backend.keys_need_indexes and not self.target.is_given(key)
                if not serves and (item is None or isinstance(item, Index)):
                    yield key

    def _dropped(self, places: Sequence[Place]) -> Iterator[Operation]:
        by_table = {self.source.tables[place]: place for place in places}
        order = _ordered(by_table, self.before)
        circular = [key for table, keys in order if table is None for key in keys]
        for key in circular if not self.backend.batch_migrations else ():
            schema, name = by_table[key.table]
            yield ops.ModifyTableOps(
                name, [ops.DropConstraintOp.from_constraint(key)], schema=schema
            )
        yield from self._unordered_dropped(places)
        for table, _ in reversed(order):
            if table is not None:
                yield ops.DropTableOp.from_table(table)

    def _unordered_dropped(self, places: Sequence[Place]) -> Iterator[Operation]:
        """Yield what drops foreign keys of which SQLAlchemy has no object to order tables by."""
        for place in places:
            for key, definition in self.before.of_table(place).items():
                refers = definition.refers
                if refers and "statement" in definition.parts and refers.place in {*places}:
                    yield ops.ModifyTableOps(
                        place.table, self._drop(key, definition), schema=place.schema
                    )

    def _altered_table(self, change: Change) -> Iterator[Operation]:
        assert change.before is not None
        assert change.after is not None
        place = change.key.place
        old, new = (
            definition.attributes.get("comment") for definition in (change.before, change.after)
        )
        if old != new:
            keywords = {"schema": place.schema, "existing_comment": old}
            if new:
                yield ops.CreateTableCommentOp(place.table, new, **keywords)
            else:
                yield ops.DropTableCommentOp(place.table, **keywords)
        if options := self.schema.table_options(change):
            yield SetTableOptions(options)
        if sql := self.schema.alter_table(change):
            yield Statements(f"change table {place.table}", sql)

    def _keyed_anew(self, changes: Sequence[Change]) -> Iterator[Change]:
        """Yield what MariaDB does in one statement: a column that counts is part of a key always.

        The statement is added to what changes the table.
        """
        for place in {change.key.place for change in changes if change.key.kind == PRIMARY_KEY}:
            own = [change for change in changes if change.key.place == place]
            counting = [change for change in own if _counts(change.before) or _counts(change.after)]
            keys = [change for change in own if change.key.kind == PRIMARY_KEY]
            both = place in self.before.tables & self.after.tables
            new = [change for change in counting if change.before is None]
            if new and any(change.after is None for change in counting):
                continue  # it may be renamed, which is asked first
            if both and any(_counts(item) for item in self._columns_of(place)):
                actions = [*map(self._counting, counting)]
                for change in keys:
                    actions += ["DROP PRIMARY KEY"] if change.before else []
                    actions += [f"ADD {self._key_of(change)}"] if change.after else []
                sql = f"ALTER TABLE {self._quoted(place)} {', '.join(actions)}"
                self.changed[place].append(Statements(f"change key of {place.table}", [sql]))
                yield from (*counting, *keys)

    def _columns_of(self, place: Place) -> Iterator[Definition]:
        for state in (self.before, self.after):
            yield from (item for key, item in state.of_table(place).items() if key.kind == COLUMN)

    def _counting(self, change: Change) -> str:
        if change.after is None:
            return f"DROP COLUMN {self._name(change.key)}"
        return f"{'MODIFY' if change.before else 'ADD COLUMN'} {self._line_of(change.key)}"

    def _key_of(self, change: Change) -> str:
        quote = self.dialect.identifier_preparer.quote
        assert change.after is not None
        return f"PRIMARY KEY ({', '.join(map(quote, change.after.columns or ()))})"


def _counts(definition: Definition | None) -> bool:
    """Whether a column is AUTO_INCREMENT."""
    return definition is not None and "auto_increment" in definition.attributes


def _ordered(tables: Mapping[Table, Place], snapshot: Snapshot) -> list[tuple[Table | None, Any]]:
    """Return tables after those that they refer to, then the foreign keys that make circles.

    A table that inherits comes after its parents.
    """
    names = {".".join(filter(None, place)): table for table, place in tables.items()}
    parents = [
        (names[parent], table)
        for table, place in tables.items()
        for parent in snapshot[Key(TABLE, *place)].attributes.get("parents", "").split(", ")
        if parent in names
    ]
    sort: Any = sort_tables_and_constraints
    return [*sort(tables, extra_dependencies=parents)]
