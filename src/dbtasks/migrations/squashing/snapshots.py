"""What stands in a scratch database: its schema and its rows, to compare two histories by."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, filterwarnings

from sqlalchemy import ColumnClause, Connection, column, inspect, select, table

from dbtasks.engines.base.definitions import COLUMN
from dbtasks.project import Project
from dbtasks.schema import snapshot


@dataclass(frozen=True)
class Snapshot:
    """Hold what each part of a schema is, by its name, and the rows of each table."""

    parts: Mapping[str, str]
    rows: Mapping[str, Counter[str]]

    def difference(self, other: "Snapshot") -> str | None:
        """Return in words the first thing in which another is not the same, or None."""
        for name in sorted(self.parts.keys() | other.parts.keys()):
            one, two = self.parts.get(name), other.parts.get(name)
            if one != two:
                return f"{name} is {one or 'not there'}, and would be {two or 'not there'}"
        for name, rows in self.rows.items():
            lost, new = rows - other.rows[name], other.rows[name] - rows
            if lost or new:
                return f"the rows of {name} differ: {_tell(lost)}, and there would be {_tell(new)}"
        return None


def take(project: Project) -> Snapshot:
    """Return what stands in a database."""
    with project.connect() as connection, catch_warnings():
        filterwarnings("ignore")  # reflection warns of what it cannot tell
        schema = snapshot.take(project.backend, connection)
        look = inspect(connection)
        rows = {
            _full(*place): _rows(connection, look, place.table, place.schema)
            for place in sorted(schema.tables, key=str)
        }
    return Snapshot(_parts(schema), rows)


def _parts(schema: snapshot.Snapshot) -> dict[str, str]:
    """Return what each object is in words; those without a name of a table, together."""
    parts: dict[str, list[str]] = defaultdict(list)
    for key, definition in schema.items():
        parts[f"the {key}"].append(_text(definition.attributes))
        if key.kind == COLUMN:
            parts[f"the order of the columns of {_full(*key.place)}"].append(key.name)
    return {name: "; ".join(told) for name, told in parts.items()}


def _rows(connection: Connection, look: Any, name: str, schema: str | None) -> Counter[str]:
    columns: list[ColumnClause[object]] = [
        column(one["name"]) for one in look.get_columns(name, schema)
    ]
    if not columns:
        return Counter()
    statement = select(*columns).select_from(table(name, *columns, schema=schema))
    return Counter(_text(dict(row)) for row in connection.execute(statement).mappings())


def _text(found: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value!r}" for key, value in found.items() if value not in (None, {}))


def _full(schema: str | None, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _tell(rows: Counter[str]) -> str:
    if not rows:
        return "none more"
    first = next(iter(rows))
    more = f" and {rows.total() - 1} more" if rows.total() > 1 else ""
    return f"({first}){more}"
