"""What stands in a scratch database: its schema and its rows, to compare two histories by."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from warnings import catch_warnings, filterwarnings

from sqlalchemy import ColumnClause, Connection, Inspector, column, inspect, select, table

from dbtasks.project import Project


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
        look = inspect(connection)
        assert isinstance(look, Inspector)
        scratch = project.backend.scratch(project.backend)
        parts = {f"the {kind} {name}": text for kind, name, text in scratch.programs(connection)}
        rows: dict[str, Counter[str]] = {}
        for schema in scratch.schemas(connection):
            for name in look.get_view_names(schema):
                parts[f"the view {_full(schema, name)}"] = str(
                    look.get_view_definition(name, schema)
                )
            for name in look.get_table_names(schema):
                full = _full(schema, name)
                parts |= {f"{what} of {full}": text for what, text in _describe(look, name, schema)}
                rows[full] = _rows(connection, look, name, schema)
    return Snapshot(parts, rows)


def _describe(look: Inspector, name: str, schema: str | None) -> Iterator[tuple[str, str]]:
    """Yield what a table has, part by part."""
    listed = look.get_columns(name, schema)
    yield "the order of the columns", ", ".join(one["name"] for one in listed)
    for one in listed:
        yield f"the column {one['name']}", _text({**one, "type": repr(one["type"])})
    yield "the primary key", _text(look.get_pk_constraint(name, schema))
    for what, found in (
        ("foreign keys", look.get_foreign_keys(name, schema)),
        ("unique constraints", look.get_unique_constraints(name, schema)),
        ("checks", look.get_check_constraints(name, schema)),
        ("indexes", look.get_indexes(name, schema)),
    ):
        yield f"the {what}", "; ".join(sorted(map(_text, found)))
    if look.dialect.supports_comments:
        yield "the comment", str(look.get_table_comment(name, schema)["text"])


def _rows(connection: Connection, look: Inspector, name: str, schema: str | None) -> Counter[str]:
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
