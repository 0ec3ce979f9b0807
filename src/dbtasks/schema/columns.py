"""The operations that change the columns of tables, with the checks in them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import CheckConstraint, Column, Constraint, Table, text
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    TABLE,
    Change,
    Definition,
    Key,
    Place,
)
from dbtasks.engines.base.schema import Statements
from dbtasks.engines.sql.quoting import escape
from dbtasks.schema.attachments import Attachments, Columns
from dbtasks.schema.difference import RENAMABLE
from dbtasks.schema.models import final_name, has_check, place_of
from dbtasks.schema.operations import COUNTS, Operation, sql_of


class ColumnChanges(Attachments):
    """Know two states of a database, and what of its columns differs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.changed: dict[Place, list[Operation]] = defaultdict(list)
        self.losing: Collection[Place] = ()

    def _made_again(self, changes: Sequence[Change]) -> Iterator[tuple[Place, str]]:
        """Yield the columns that no ALTER makes of what they are."""
        altered = [
            change
            for change in changes
            if change.key.kind == COLUMN and change.before and change.after
        ]
        for change in altered:
            if "computed" in change.attributes:
                yield change.key.place, change.key.name
        if not self.schema.computed_hold_types:
            return
        retyped = {
            (change.key.place, change.key.name) for change in altered if "type" in change.attributes
        }
        for key, definition in self.before.items():
            uses = {(key.place, name) for name in definition.uses}
            if key.kind == COLUMN and key in self.after and uses & retyped:
                yield key.place, key.name

    def _around(self, changes: Sequence[Change], again: Columns) -> Iterator[Change]:
        """Yield what stays, and has to go while a column that it is about is made again."""
        touched = {change.old for change in changes}
        for key, definition in self.before.items():
            stays = key.kind in RENAMABLE and key in self.after and key not in touched
            if stays and self.is_about(key, definition, again):
                yield Change(key, key, definition, self.after[key])

    def _columns(self, changes: Sequence[Change], again: Columns) -> set[Key]:
        """Add what concerns columns; return the checks that go or come with theirs."""
        checks = [change for change in changes if change.key.kind == CHECK]
        altered = {change.key: change for change in changes if change.key.kind == COLUMN}
        for place, name in again:
            key = Key(COLUMN, *place, name)
            altered[key] = Change(key, key, self.before[key], self.after[key])
        order = {key: number for number, key in enumerate([*self.after, *self.before])}
        keys = sorted(filter(self._is_of_both, altered), key=order.__getitem__)
        consumed: set[Key] = set()
        anew = [key for key in keys if (key.place, key.name) in again]
        self.losing = {key.place for key in keys if altered[key].after is None}
        for key in anew:
            self.changed[key.place].append(self._drop_column(key, checks, consumed))
        for key in keys:
            change, parts = altered[key], self.changed[key.place]
            if change.after is None:
                parts.append(self._drop_column(key, checks, consumed))
            elif change.before is None:
                parts.append(self._add_column(key, checks, consumed))
            elif key not in anew:
                parts += self._alter(change)
        for key in anew:
            self.changed[key.place].append(self._add_column(key, checks, consumed))
        return consumed

    def _is_of_both(self, key: Key) -> bool:
        return key.place in self.before.tables and key.place in self.after.tables

    def _drop_column(self, key: Key, checks: Sequence[Change], consumed: set[Key]) -> Operation:
        if self.backend.batch_migrations:  # a check without a name goes with its column
            consumed |= {
                check.key
                for check in checks
                if check.before is not None
                and check.after is None
                and not check.key.is_named
                and key.name in check.before.uses
            }
        return ops.DropColumnOp.from_column_and_tablename(
            key.schema, key.table, self.source.column(key)
        )

    def _add_column(self, key: Key, checks: Sequence[Change], consumed: set[Key]) -> Operation:
        """Return what adds a column, with the checks in it that have no name."""
        sql = self.schema.add_counting(key, self.after[key])
        if sql and key.place not in self.losing:  # or it may have been renamed
            return Statements(f"add column {key.table}.{key.name}", [sql])
        column = self.target.column(key)
        known = self._checks_of(column)
        within = [check for check in known if final_name(self.dialect, check) is None]
        new = _with_checks(column, within)
        new.type = _without_check(new.type)
        if self.backend.batch_migrations:  # a rebuilt table numbers its rows by such a key
            new.info = {**new.info, COUNTS: column is column.table.autoincrement_column}
        own = [
            check.key
            for check in checks
            if check.before is None
            and check.key.place == key.place
            and check.after is not None
            and key.name in check.after.uses
            and not self.target.is_given(check.key)
        ]
        consumed.update(own[: len(within)])
        if within and not own and not self.backend.keys_need_indexes:
            new = _with_checks(column, [])
        return ops.AddColumnOp.from_column_and_tablename(key.schema, key.table, new)

    def _alter(self, change: Change) -> list[Operation]:
        key, attributes = change.key, change.attributes
        old, new = self.source.column(key), self.target.column(key)
        if attributes & {"check", "auto_increment"}:
            return [self._redefined(key)]
        alter = ops.AlterColumnOp(
            key.table,
            key.name,
            schema=key.schema,
            existing_type=old.type,
            existing_nullable=old.nullable,
            existing_server_default=False if old.server_default is None else old.server_default,
            existing_comment=old.comment,
        )
        if old.autoincrement is True:
            alter.kw["autoincrement"] = True
        self._modify(alter, change, new)
        return self.schema.alter_column(change, alter, new)

    def _modify(self, alter: ops.AlterColumnOp, change: Change, new: Column[Any]) -> None:
        """Let an alteration make what is to be another."""
        assert change.before is not None
        assert change.after is not None
        changed, wanted = change.attributes, change.after.attributes
        if "type" in changed and "identity" in change.before.attributes:
            changed -= {"identity"}  # which follows the type of its column
        if changed & {"type", "collation"}:
            alter.modify_type = _without_check(new.type)
        if "null" in changed:
            alter.modify_nullable = wanted["null"] == "yes"
        if changed & {"default", "identity", "onupdate"}:
            alter.modify_server_default = new.server_default
        if "comment" in changed:
            alter.modify_comment = wanted.get("comment")
        if "auto_increment" in changed:
            alter.kw["autoincrement"] = "auto_increment" in wanted

    def _redefined(self, key: Key) -> Operation:
        """Return what makes of a column of MariaDB what Alembic has no words for."""
        sql = f"ALTER TABLE {self._quoted(key.place)} MODIFY {self._line_of(key)}"
        return Statements(f"alter column {key.table}.{key.name}", [sql])

    def _line_of(self, key: Key) -> str:
        """Return what a column is to be, as MariaDB tells it of a table."""
        table = self.after[Key(TABLE, *key.place)].sql
        quoted = self.dialect.identifier_preparer.quote_identifier(key.name)
        line = next(line for line in table.splitlines() if line.strip().startswith(f"{quoted} "))
        return line.strip().rstrip(",")

    def _beside(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield columns and constraints, with checks that have a name beside the columns."""
        checks: list[CheckConstraint] = []
        for item in items:
            own = self._checks_of(item) if isinstance(item, Column) else []
            named = [check for check in own if final_name(self.dialect, check) is not None]
            checks += named
            yield (
                _with_checks(item, [check for check in own if check not in named]) if own else item
            )
        for check in checks:
            sql = sql_of(self.dialect, check.sqltext)
            yield CheckConstraint(text(escape(sql)), name=check.name)

    def _checks_of(self, parent: Table | Column[Any]) -> list[CheckConstraint]:
        """Return the checks within a table or column that this database gets."""
        checks = [item for item in parent.constraints if isinstance(item, CheckConstraint)]
        wanted = filter(self._is_created, checks)
        return sorted(wanted, key=lambda check: sql_of(self.dialect, check.sqltext))

    def _is_created(self, item: Any) -> bool:
        """Whether a new table gets a column or a constraint.

        `ddl_if` may be for another database, and a parent may have the column.
        """
        compiler: Any = self.dialect.ddl_compiler
        if isinstance(item, Constraint):
            return bool(item._should_create_for_compiler(compiler(self.dialect, None)))
        key = Key(COLUMN, *place_of(self.dialect, item.table), item.name)
        return "inherited" not in self.after.get(key, Definition()).attributes


def _with_checks(column: Any, checks: Sequence[CheckConstraint]) -> Column[Any]:
    """Return a copy of a column that has these checks and no other."""
    new: Column[Any] = column._copy()
    new.constraints = {item for item in new.constraints if not isinstance(item, CheckConstraint)}
    new.constraints.update(check._copy() for check in checks)
    return new


def _without_check(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type without the check that it brings, as labels of an enum that is none there."""
    if not has_check(kind):
        return kind
    if isinstance(kind, TypeDecorator):
        return _without_check(kind.impl_instance)
    plain: Any = kind.copy()
    plain.create_constraint = False
    known: TypeEngine[Any] = plain
    return known
