"""The tables of a snapshot in SQLAlchemy: those of the models, or ones made of the snapshot."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Connection,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import NullType

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    INDEX,
    PRIMARY_KEY,
    TABLE,
    UNIQUE,
    Definition,
    Key,
    Place,
    Reference,
)
from dbtasks.engines.base.types import Named
from dbtasks.engines.sql.quoting import escape
from dbtasks.schema.difference import Names
from dbtasks.schema.models import KINDS, final_name, names, place_of
from dbtasks.schema.snapshot import Snapshot

OPTIONS = ("sqlite_", "postgresql_")


class State:
    """Hold a snapshot with its tables, and the object of each constraint and index in it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.tables: dict[Place, Table] = {}
        self.objects: dict[Key, Any] = {}
        self.names: Names = {}

    def column(self, key: Key) -> Column[Any]:
        """Return a column."""
        return self.tables[key.place].c[key.name]

    def is_given(self, key: Key) -> bool:
        """Whether somebody has given an object its name."""
        return (key.kind, key.name) in self.names.get(key.place, ())


class Models(State):
    """The models, as they are in a database of their own."""

    def __init__(
        self, dialect: Dialect, metadatas: Collection[MetaData], snapshot: Snapshot
    ) -> None:
        super().__init__(snapshot)
        self.dialect = dialect
        self.names = names(dialect, metadatas)
        for metadata in metadatas:
            for table in metadata.tables.values():
                if not getattr(table, "is_view", False):
                    self._add(table)

    def _add(self, table: Table) -> None:
        place = place_of(self.dialect, table)
        self.tables[place] = table
        of_columns = (item for column in table.columns for item in column.constraints)
        for item in (*table.indexes, *table.constraints, *of_columns):
            kind = INDEX if isinstance(item, Index) else KINDS.get(type(item))
            if kind is None:
                continue
            label = final_name(self.dialect, item)
            for known in (kind, INDEX) if kind == UNIQUE else (kind,):
                if label is not None:
                    self._note(Key(known, *place, label), item)
                elif kind != CHECK:
                    self._note_unnamed(place, known, item)

    def _note(self, key: Key, item: Any) -> None:
        if key in self.snapshot:
            self.objects.setdefault(key, item)

    def _note_unnamed(self, place: Place, kind: str, item: Any) -> None:
        """Find what the database has called a constraint, by its columns."""
        columns = tuple(column.name for column in item.columns)
        refers = None
        if isinstance(item, ForeignKeyConstraint):
            referred = tuple(element.column.name for element in item.elements)
            refers = Reference(place_of(self.dialect, item.referred_table), referred)
        for key, definition in self.snapshot.of_table(place).items():
            if (key.kind, definition.columns, definition.refers) == (kind, columns, refers):
                self.objects.setdefault(key, item)


class Stored(State):
    """A database: types as SQLAlchemy reflects them, all else of the snapshot."""

    def __init__(self, backend: Backend, connection: Connection, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.backend = backend
        self.inspector: Any = inspect(connection)
        self.metadata = MetaData()
        for place in snapshot.tables:
            self.tables[place] = self._table(place)
        self.names = {place: {*_given(snapshot, place)} for place in snapshot.tables}

    def _table(self, place: Place) -> Table:
        own = self.snapshot.of_table(place)
        primary = next((own[key] for key in own if key.kind == PRIMARY_KEY), Definition())
        reflected = self.inspector.get_columns(place.table, schema=place.schema)
        kinds = {column["name"]: column for column in reflected}
        columns = [
            self._column(kinds[key.name], own[key], key.name in (primary.columns or ()))
            for key in own
            if key.kind == COLUMN
        ]
        options: dict[str, Any] = (
            {"sqlite_autoincrement": True} if primary.parts.get("autoincrement") else {}
        ) | _options(own[Key(TABLE, *place)])
        table = Table(
            place.table,
            self.metadata,
            *columns,
            schema=place.schema,
            comment=own[Key(TABLE, *place)].attributes.get("comment"),
            **options,
        )
        for key, definition in own.items():
            self._attach(table, key, definition)
        return table

    def _column(self, reflected: Any, definition: Definition, primary: bool) -> Column[Any]:
        attributes, parts = definition.attributes, definition.parts
        kind, items = reflected["type"], [*_items(definition)]
        if isinstance(kind, NullType) or "type" in parts:
            kind = Named(attributes.get("type", ""))
        if "identity" in attributes and reflected.get("identity"):
            items.append(Identity(**reflected["identity"]))
        if "collation" in parts and isinstance(kind, String):
            kind = kind.copy()
            kind.collation = str(parts["collation"])
        counts = attributes.get("default") == "serial" or "auto_increment" in attributes
        generated = "identity" in attributes or (primary and self.backend.batch_migrations)
        return Column(
            reflected["name"],
            kind,
            *items,
            primary_key=primary,
            nullable=attributes["null"] == "yes",
            server_default=_default(definition),
            comment=attributes.get("comment"),
            autoincrement=True if counts else "auto" if generated else False,
            **_options(definition),
        )

    def _attach(self, table: Table, key: Key, definition: Definition) -> None:
        """Give a table a constraint or an index, and note it."""
        item = self._item(table, key, definition)
        label = key.name if key.is_named else None
        if key.kind == PRIMARY_KEY and not self.backend.batch_migrations:
            table.primary_key.name = label
        elif key.kind == PRIMARY_KEY and len(definition.columns or ()) == 1:
            for option, value in _options(definition).items():
                column = table.primary_key.columns[0]
                column.dialect_kwargs[f"{option}_primary_key"] = value
        if item is None:
            return
        if isinstance(item, CheckConstraint) and label is None and len(definition.uses) == 1:
            (name,) = definition.uses
            item._set_parent_with_dispatch(table.c[name])
            return
        if not isinstance(item, Index):
            table.append_constraint(item)
        self.objects[key] = item

    def _item(self, table: Table, key: Key, definition: Definition) -> Any:
        label = key.name if key.is_named else None
        columns = definition.columns or ()
        parts: Mapping[str, Any] = definition.parts
        if "statement" in parts:  # no object says all of it
            return None
        match key.kind:
            case "unique":
                return UniqueConstraint(*columns, name=label, **parts)
            case "foreign key":
                assert definition.refers is not None
                place, referred = definition.refers
                full = ".".join(filter(None, place))
                return ForeignKeyConstraint(
                    columns, [f"{full}.{column}" for column in referred], name=label, **parts
                )
            case "check":
                return CheckConstraint(text(escape(definition.sql)), name=label)
            case "index" if definition.columns is not None:
                unique = definition.attributes["unique"] == "yes"
                return Index(label, *(table.c[column] for column in columns), unique=unique)
        return None


def _items(definition: Definition) -> Iterator[Any]:
    """Yield what a column has within it."""
    parts: Mapping[str, Any] = definition.parts
    if "computed" in parts:
        yield Computed(text(escape(parts["computed"])), persisted=parts["persisted"])
    if "check" in parts:
        yield CheckConstraint(text(escape(parts["check"])))


def _options(definition: Definition) -> dict[str, Any]:
    """Return what SQLAlchemy takes of a definition by the name of its dialect."""
    return {name: value for name, value in definition.parts.items() if name.startswith(OPTIONS)}


def _default(definition: Definition) -> Any:
    parts: Mapping[str, Any] = definition.parts
    if "default" not in parts or definition.attributes.get("default") == "serial":
        return None
    onupdate = f" ON UPDATE {parts['onupdate']}" if "onupdate" in parts else ""
    return text(escape(f"{parts['default']}{onupdate}"))


def _given(snapshot: Snapshot, place: Place) -> Iterator[tuple[str, str]]:
    """Yield the names that somebody has given, as far as a database can tell."""
    own = snapshot.of_table(place)
    keys = [(key.name, own[key].columns or ()) for key in own if key.kind == FOREIGN_KEY]
    served = {name for name, _ in keys} | {columns[0] for _, columns in keys if columns}
    for key, definition in own.items():
        serves = key.kind == INDEX and definition.columns and key.name in served
        if key.is_named and not serves:
            yield key.kind, key.name
