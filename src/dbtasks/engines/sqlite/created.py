"""What the CREATE TABLE of SQLite says of a table, and neither a PRAGMA nor SQLAlchemy tells."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from dbtasks.engines.base.created import Created, Unique
from dbtasks.engines.sqlite import create_table
from dbtasks.engines.sqlite.create_table import (
    Check,
    Constraint,
    CreateTable,
    ForeignKey,
    NotNull,
    PrimaryKey,
    parse,
)

STATEMENT = "SELECT sql FROM {}sqlite_master WHERE type = 'table' AND name = ?"
SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = ?"


def read_create_table(connection: Connection, table: str, schema: str | None = None) -> CreateTable:
    """Return the statement that made a table; it has no columns where there is no such table."""
    within = f"{connection.dialect.identifier_preparer.quote(schema)}." if schema else ""
    sql = connection.exec_driver_sql(STATEMENT.format(within), (table,)).scalar()
    return parse(sql) if sql else CreateTable(table)


def read_expressions(connection: Connection, table: str) -> Mapping[str, str]:
    """Return the expressions of a table's computed columns by their names."""
    columns = read_create_table(connection, table).columns
    return {one.name: one.generated for one in columns if one.generated is not None}


def read_checks(
    connection: Connection, table: str, schema: str | None
) -> Sequence[dict[str, str | None]]:
    """Return the checks of a table: SQLAlchemy before 2.1 reads some over their end."""
    constraints = read_create_table(connection, table, schema).constraints
    checks = [one for one in constraints if isinstance(one, Check)]
    return [{"name": one.name, "sqltext": one.expression} for one in checks]


def read_created(connection: Connection, table: str) -> Created:
    """Return what the statement that made a table says."""
    statement = read_create_table(connection, table)
    created = Created()
    for column in statement.columns:
        if column.collation:
            created.collations[column.name.lower()] = column.collation
    for constraint in statement.constraints:
        _add(created, constraint)
        if isinstance(constraint, PrimaryKey) and constraint.autoincrement:
            created.numbered = connection.exec_driver_sql(SEQUENCE, (table,)).scalar() or 0
    return created


def _add(created: Created, constraint: Constraint) -> None:
    match constraint:
        case NotNull(conflict=str(conflict), column=str(column)):
            created.required[column.lower()] = conflict
        case PrimaryKey():
            created.key = constraint.conflict
        case create_table.Unique():
            created.uniques.append(_unique(constraint))
        case ForeignKey():
            created.references[_folded(constraint.columns)] = _options(constraint)


def _unique(one: create_table.Unique) -> Unique:
    collations = tuple(part.collation for part in one.parts)
    return Unique(one.name, _folded(one.columns), collations, one.conflict)


def _options(key: ForeignKey) -> dict[str, object]:
    """Return what a foreign key says as SQLAlchemy calls it."""
    said = {
        "ondelete": key.on_delete,
        "onupdate": key.on_update,
        "deferrable": key.deferrable,
        "initially": key.initially,
    }
    return {option: value for option, value in said.items() if value not in (None, "NO ACTION")}


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(one.lower() for one in names)
