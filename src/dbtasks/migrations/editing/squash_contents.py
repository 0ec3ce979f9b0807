"""What a scratch database has, its schema and its rows, to compare two histories by."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from warnings import catch_warnings, filterwarnings

from sqlalchemy import ColumnClause, Connection, column, inspect, select, table

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import COLUMN
from dbtasks.schema import snapshot
from dbtasks.schema.difference import difference

Rows = Mapping[str, Counter[str]]


@dataclass(frozen=True)
class Contents:
    """Hold the schema of a database, and the rows of each table."""

    schema: snapshot.Snapshot
    rows: Rows = field(default_factory=dict)

    def difference(
        self, other: "Contents", *, indexes_serve: bool, without: Collection[str] = ()
    ) -> str | None:
        """Return in words the first thing in which another is not the same, or None.

        `without` are the tables of which only the number of rows counts.
        """
        for change in difference(self.schema, other.schema, indexes_serve=indexes_serve):
            key = change.key
            old, new = (
                _text(definition.attributes) if definition else "not there"
                for definition in (change.before, change.after)
            )
            if change.old and change.new and change.old != change.new:
                return f"the {change.old} would be called {change.new.name}"
            return f"the {key} is {old}, and would be {new}"
        for name, columns in _orders(self.schema).items():
            if columns != _orders(other.schema)[name]:
                return f"the order of the columns of {name} would be another"
        for name, rows in self.rows.items():
            gone, more = rows - other.rows[name], other.rows[name] - rows
            if (gone or more) and (name not in without or gone.total() != more.total()):
                return f"the rows of {name} differ: {_tell(gone)}, and there would be {_tell(more)}"
        return None


def take(backend: Backend, connection: Connection) -> Contents:
    """Return what a database has."""
    with catch_warnings():
        filterwarnings("ignore")  # reflection warns of what it cannot tell
        schema = snapshot.take(backend, connection)
        look = inspect(connection)
        rows = {
            full_name(*place): _rows(connection, look, place.table, place.schema)
            for place in sorted(schema.tables, key=str)
        }
    return Contents(schema, rows)


def _orders(schema: snapshot.Snapshot) -> Mapping[str, list[str]]:
    orders: dict[str, list[str]] = defaultdict(list)
    for key in schema:
        if key.kind == COLUMN:
            orders[full_name(*key.place)].append(key.name)
    return orders


def _rows(connection: Connection, look: Any, name: str, schema: str | None) -> Counter[str]:
    columns: list[ColumnClause[object]] = [
        column(known["name"]) for known in look.get_columns(name, schema)
    ]
    if not columns:
        return Counter()
    statement = select(*columns).select_from(table(name, *columns, schema=schema))
    return Counter(_text(dict(row)) for row in connection.execute(statement).mappings())


def _text(attributes: Mapping[str, object]) -> str:
    return ", ".join(
        f"{key} {value!r}" for key, value in attributes.items() if value not in (None, {})
    )


def full_name(schema: str | None, name: str) -> str:
    """Return a table's name with its schema's."""
    return f"{schema}.{name}" if schema else name


def _tell(rows: Counter[str]) -> str:
    if not rows:
        return "none more"
    first = next(iter(rows))
    more = f" and {rows.total() - 1} more" if rows.total() > 1 else ""
    return f"({first}){more}"
