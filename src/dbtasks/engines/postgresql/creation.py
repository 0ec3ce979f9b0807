"""The statements that make what a PostgreSQL database has, of its definitions alone."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from sqlalchemy.engine import Dialect

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    CONSTRAINTS,
    DOMAIN,
    EXCLUDE,
    FOREIGN_KEY,
    FUNCTION,
    INDEX,
    PRIMARY_KEY,
    SCHEMA,
    SEQUENCE,
    TABLE,
    TRIGGER,
    TYPE,
    UNIQUE,
    VIEW,
    Definition,
    Key,
)
from dbtasks.engines.sql.quoting import identifier

ORDER = (
    *(SCHEMA, TYPE, DOMAIN, FUNCTION, SEQUENCE, TABLE, COLUMN),
    *(PRIMARY_KEY, UNIQUE, EXCLUDE, CHECK, INDEX, FOREIGN_KEY, VIEW, TRIGGER),
)
FORMATS = {
    TYPE: "CREATE TYPE {} AS {}",
    DOMAIN: "CREATE DOMAIN {} AS {}",
    SEQUENCE: "CREATE SEQUENCE {} AS {}",
    FUNCTION: "{1}",
}
STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
COMPRESSION = {"p": "pglz", "l": "lz4"}
ENABLED = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


def statements(definitions: Mapping[Key, Definition], dialect: Dialect) -> Iterator[str]:
    """Yield what makes the objects of a database, in an order in which most can be made.

    Functions, views and types may need each other whatever the order is.
    """
    yield "SET LOCAL check_function_bodies = off"
    creation = _Creation(definitions, dialect)
    for kind in ORDER:
        for key, definition in definitions.items():
            if key.kind == kind:
                yield from creation.statements(key, definition)
    for key, definition in definitions.items():
        if comment := definition.attributes.get("comment"):
            yield f"COMMENT ON {creation.commented(key, definition)} IS {_literal(comment)}"


class _Creation:
    def __init__(self, definitions: Mapping[Key, Definition], dialect: Dialect) -> None:
        self.quote = partial(identifier, dialect)
        self.makers = {
            SCHEMA: self._schema,
            TABLE: self._table,
            COLUMN: self._column_options,
            INDEX: self._index,
            VIEW: self._view,
            TRIGGER: self._trigger,
        }
        self.columns: dict[tuple[str | None, str], dict[str, Definition]] = {}
        for key, definition in definitions.items():
            if key.kind == COLUMN:
                self.columns.setdefault(key.place, {})[key.name] = definition

    def statements(self, key: Key, definition: Definition) -> Iterator[str]:
        """Yield what makes an object."""
        if key.kind in FORMATS:
            name = self._name(key.schema, key.name)
            yield FORMATS[key.kind].format(name, definition.sql)
        elif key.kind in CONSTRAINTS:
            yield self._constraint(key, definition)
        elif key.kind in self.makers:
            yield from self.makers[key.kind](key, definition)

    def _schema(self, key: Key, definition: Definition) -> Iterator[str]:
        if key.schema:
            yield f"CREATE SCHEMA IF NOT EXISTS {self.quote(key.schema)}"

    def _index(self, key: Key, definition: Definition) -> Iterator[str]:
        yield definition.sql.replace(" ON ONLY ", " ON ", 1)  # the parts of a table have it too

    def _trigger(self, key: Key, definition: Definition) -> Iterator[str]:
        yield definition.attributes["sql"]
        if enabled := definition.attributes.get("enabled"):
            name = self.quote(key.name)
            yield f"ALTER TABLE {self._name(*key.place)} {ENABLED[enabled]} TRIGGER {name}"

    def _view(self, key: Key, definition: Definition) -> Iterator[str]:
        attributes = definition.attributes
        kind = "MATERIALIZED VIEW" if "materialized" in attributes else "VIEW"
        options = f" WITH ({attributes['options']})" if "options" in attributes else ""
        yield f"CREATE {kind} {self._name(*key.place)}{options} AS {definition.sql}"

    def _name(self, schema: str | None, name: str) -> str:
        return f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)

    def _table(self, key: Key, definition: Definition) -> Iterator[str]:
        attributes, columns = definition.attributes, self.columns.get(key.place, {})
        for column in columns.values():
            if column.attributes.get("default") == "serial":
                counts = column.attributes["sequence"]
                yield f"CREATE SEQUENCE {column.parts['sequence']} AS {counts}"
        own = [
            f"{self.quote(name)} {_column(column)}"
            for name, column in columns.items()
            if "inherited" not in column.attributes
        ]
        is_part, parents = "bound" in attributes, attributes.get("parents")
        head = f"CREATE {attributes.get('persistence', '')} TABLE {self._name(*key.place)}"
        clauses = [f"PARTITION OF {parents} {attributes['bound']}"] if is_part else []
        clauses += [] if is_part else [f"({', '.join(own)})"]
        clauses += [f"INHERITS ({parents})"] if parents and not is_part else []
        for option, clause in (
            ("partitioned", "PARTITION BY {}"),
            ("method", "USING {}"),
            ("options", "WITH ({})"),
            ("tablespace", "TABLESPACE {}"),
        ):
            clauses += [clause.format(attributes[option])] if option in attributes else []
        yield " ".join((head, *clauses))

    def _column_options(self, key: Key, definition: Definition) -> Iterator[str]:
        attributes = definition.attributes
        table, column = self._name(*key.place), self.quote(key.name)
        alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
        if "storage" in attributes:
            yield f"{alter} SET STORAGE {STORAGE[attributes['storage']]}"
        if "compression" in attributes:
            yield f"{alter} SET COMPRESSION {COMPRESSION[attributes['compression']]}"
        if attributes.get("default") == "serial" and "inherited" not in attributes:
            yield f"ALTER SEQUENCE {definition.parts['sequence']} OWNED BY {table}.{column}"

    def _constraint(self, key: Key, definition: Definition) -> str:
        sql = definition.sql if key.kind != CHECK else f"CHECK ({definition.sql})"
        sql = str(definition.parts.get("statement", sql))
        if options := definition.attributes.get("options"):
            before, deferrable, rest = sql.partition(" DEFERRABLE")
            sql = f"{before} WITH ({options}){deferrable}{rest}"
        return f"ALTER TABLE {self._name(*key.place)} ADD CONSTRAINT {self.quote(key.name)} {sql}"

    def commented(self, key: Key, definition: Definition) -> str:
        """Return an object as COMMENT ON names it."""
        kind, name = key.kind.upper(), self._name(key.schema, key.name or key.table)
        if key.kind in CONSTRAINTS:
            return f"CONSTRAINT {self.quote(key.name)} ON {self._name(*key.place)}"
        if key.kind == COLUMN:
            return f"COLUMN {self._name(*key.place)}.{self.quote(key.name)}"
        materialized = "MATERIALIZED " if "materialized" in definition.attributes else ""
        return f"{materialized}{kind} {name}"


def _column(definition: Definition) -> str:
    """Return what stands behind the name of a column."""
    attributes = definition.attributes
    parts: Mapping[str, Any] = definition.parts
    words = [attributes["type"]]
    words += [f"COLLATE {attributes['collation']}"] if "collation" in attributes else []
    if "computed" in parts:
        how = "STORED" if parts["persisted"] else "VIRTUAL"
        words.append(f"GENERATED ALWAYS AS ({parts['computed']}) {how}")
    elif "identity" in attributes:
        when, counts = attributes["identity"].split(" START ", 1)
        always = when.rpartition(" ")[0]
        options = f"SEQUENCE NAME {parts['sequence']} START {counts}"
        words.append(f"GENERATED {always} AS IDENTITY ({options})")
    elif "default" in parts:
        words.append(f"DEFAULT {parts['default']}")
    words += ["NOT NULL"] if attributes["null"] == "no" else []
    return " ".join(words)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
