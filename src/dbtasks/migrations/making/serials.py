"""Sequences that count for a column of PostgreSQL, which go along with what is altered of it."""

import re
from typing import Any, NamedTuple

from alembic.operations import ops
from sqlalchemy import Identity, text
from sqlalchemy.types import TypeEngine

from dbtasks.migrations.making.reflection import Reflection
from dbtasks.migrations.making.statements import Statements

Operations = list[ops.MigrateOperation]

NEXT = re.compile(r"nextval\('(.+)'::regclass\)")

COUNTED = ("SMALLINT", "INTEGER", "BIGINT")
"""The types that a sequence can have."""

OWNED = text(
    "SELECT upper(format_type(seqtypid, NULL)) FROM pg_sequence "
    "WHERE seqrelid = CAST(pg_get_serial_sequence(:table, :column) AS regclass)"
)


class Serial(NamedTuple):
    """Say what counts for a column, by which type, and how the two stand in SQL."""

    sequence: str
    kind: str
    default: str
    table: str
    column: str
    own: str


def around(
    reflection: Reflection, operation: ops.MigrateOperation, parts: Operations
) -> Operations:
    """Return the parts of an alteration with what the sequence of a serial needs around them."""
    if not isinstance(operation, ops.AlterColumnOp):
        return parts
    serial = _serial(reflection, operation)
    if serial is None:
        return parts
    if isinstance(operation.modify_server_default, Identity):
        off, on = _around_identity(serial, operation.modify_server_default)
        return [off, *parts, on]
    kind = _counted(reflection, operation.modify_type)
    if kind is None or kind == serial.kind or operation.modify_server_default is not False:
        return parts
    return [*parts, _retyped(serial, kind)]


def _serial(reflection: Reflection, operation: ops.AlterColumnOp) -> Serial | None:
    """Return the serial that a column is; None where nothing counts for it alone."""
    place = (operation.schema, operation.table_name)
    default = reflection.columns(place)[operation.column_name].get("default") or ""
    sequence = NEXT.fullmatch(default)
    if sequence is None:
        return None
    preparer = reflection.dialect.identifier_preparer
    schema = f"{preparer.quote_schema(place[0])}." if place[0] else ""
    table, name = f"{schema}{preparer.quote(place[1])}", operation.column_name
    kind = reflection.connection.scalar(OWNED, {"table": table, "column": name})
    if kind is None:
        return None
    own = f"pg_get_serial_sequence('{table}', '{name}')"
    return Serial(sequence[1], kind, default, table, preparer.quote(name), own)


def _counted(reflection: Reflection, kind: TypeEngine[Any] | None) -> str | None:
    """Return a type as a sequence can have it; None for no or another type."""
    if kind is None:
        return None
    name = kind.dialect_impl(reflection.dialect).compile(dialect=reflection.dialect)
    return name if name in COUNTED else None


def _retyped(serial: Serial, kind: str) -> Statements:
    """Return what lets a sequence count as far as its column, whose type alone has changed."""
    alter = f"ALTER SEQUENCE {serial.sequence} AS"
    words = f"let {serial.table}.{serial.column} count as {{}}".format
    return Statements(
        words(kind), [f"{alter} {kind}"], [f"{alter} {serial.kind}"], words(serial.kind)
    )


def _around_identity(serial: Serial, identity: Identity) -> tuple[Statements, Statements]:
    """Return what stands around an alteration that makes an identity of a serial.

    The sequence of the serial goes, and that of the identity goes on behind the rows.
    """
    sequence, kind, default, table, column, own = serial
    alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
    next_value = f"(SELECT GREATEST(MAX({column}) + 1, {identity.start or 1}) FROM {table})"
    off = Statements(
        f"let {table}.{column} be no serial",
        [f"{alter} DROP DEFAULT", f"DROP SEQUENCE {sequence}"],
        [
            f"CREATE SEQUENCE {sequence} AS {kind} OWNED BY {table}.{column}",
            f"SELECT setval('{sequence}', {next_value}, false)",
            f"{alter} SET DEFAULT {default}",
        ],
    )
    on = Statements(
        f"let {table}.{column} go on", [f"SELECT setval({own}, {next_value}, false)"], []
    )
    return off, on
