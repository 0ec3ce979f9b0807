"""What env.py leaves out of a comparison: names, objects, types and defaults."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import UniqueConstraint

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    INDEX,
    TABLE,
    UNIQUE,
    Change,
    Key,
)
from dbtasks.schema.tables import Models, State

KINDS = {
    TABLE: "table",
    COLUMN: "column",
    INDEX: "index",
    UNIQUE: "unique_constraint",
    FOREIGN_KEY: "foreign_key_constraint",
    CHECK: "check_constraint",
}
"""What Alembic calls the kinds of objects that it asks env.py about."""


class Filters:
    """Ask env.py's include_name, include_object, compare_type and compare_server_default."""

    def __init__(self, context: MigrationContext, source: State, models: Models) -> None:
        self.context, self.source, self.models = context, source, models
        self.include_name = _all_of(context.opts.get("include_name"))
        self.include_object = _all_of(context.opts.get("include_object"))
        self.schemas = bool(context.opts.get("include_schemas"))

    def includes(self, change: Change) -> bool:
        """Whether a change is about what env.py lets be compared."""
        key = change.key
        if key.kind not in KINDS:
            return True
        if change.new is None and key.schema is not None and not self.schemas:
            return False  # a table that Alembic does not look at
        if change.old is not None and not self.include_name(key.schema, "schema", {}):
            return False
        keys = {Key(TABLE, *key.place), key}
        return all(self._includes(known) for known in keys)

    def _includes(self, key: Key) -> bool:
        old, new = self._object(self.source, key), self._object(self.models, key)
        kind = KINDS[key.kind]
        name = key.table if key.kind == TABLE else key.name
        if key in self.source.snapshot and not self.include_name(name, kind, _parents(key)):
            return False
        item = new if new is not None else old
        if item is None:
            return True
        if isinstance(item, UniqueConstraint):  # which MySQL keeps as an index
            kind = KINDS[UNIQUE]
        return self.include_object(item, name, kind, new is None, old if new is not None else None)

    def _object(self, state: State, key: Key) -> Any:
        if key not in state.snapshot:
            return None
        table = state.tables.get(key.place)
        if key.kind == TABLE or table is None:
            return table
        return table.c.get(key.name) if key.kind == COLUMN else state.objects.get(key)

    def without_ignored(self, change: Change) -> Change | None:
        """Return a change of a column without what env.py does not let be compared, if any."""
        if change.key.kind != COLUMN or change.before is None or change.after is None:
            return change
        ignored = {name for name in change.attributes if self._is_ignored(change, name)}
        return change if not ignored else _without(change, ignored)

    def _is_ignored(self, change: Change, attribute: str) -> bool:
        if attribute == "type":
            compare = self.context.opts.get("compare_type", True)
        elif attribute in ("default", "onupdate"):
            compare = self.context.opts.get("compare_server_default", False)
        else:
            return False
        if not callable(compare):
            return compare is False
        old, new = self.source.column(change.key), self.models.column(change.key)
        arguments: list[Any] = [old.type, new.type]
        if attribute != "type":
            arguments = [
                change.before.parts.get("default") if change.before else None,
                new.server_default,
                change.after.parts.get("default") if change.after else None,
            ]
        return compare(self.context, old, new, *arguments) is False


def _parents(key: Key) -> dict[str, str | None]:
    full = ".".join(filter(None, key.place))
    return {
        "schema_name": key.schema,
        "table_name": key.table,
        "schema_qualified_table_name": full,
    }


def _all_of(theirs: Callable[..., bool] | None) -> Callable[..., bool]:
    return theirs if theirs is not None else lambda *arguments: True


def _without(change: Change, ignored: set[str]) -> Change | None:
    """Return a change with some attributes left as they were; None where nothing is left."""
    assert change.before is not None
    assert change.after is not None
    attributes = {
        **change.after.attributes,
        **{name: change.before.attributes[name] for name in ignored & {*change.before.attributes}},
    }
    for name in ignored - {*change.before.attributes}:
        attributes.pop(name, None)
    after = replace(change.after, attributes=attributes)
    changed = replace(change, after=after)
    return changed if changed.attributes else None
