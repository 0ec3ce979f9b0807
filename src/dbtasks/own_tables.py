"""The tables that dbtasks keeps in a project's database: where they are, and whether they stand.

Nothing that only reads makes them. `migrate` and `protect` make them where a database is marked.
"""

from functools import cache

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
)
from sqlalchemy.schema import CreateSchema

NAME_LENGTH = 100


@cache
def environment(schema: str | None) -> Table:
    """Return the table of the environment marker: one row, or none."""
    return Table(
        "dbtasks_environment",
        MetaData(schema=schema),
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("name", String(NAME_LENGTH), nullable=False),
    )


@cache
def journal(schema: str | None) -> Table:
    """Return the table of the writes on a marked database; the time is the database's."""
    return Table(
        "dbtasks_journal",
        MetaData(schema=schema),
        Column("id", Integer, Identity(), primary_key=True),
        Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("os_user", String(NAME_LENGTH), nullable=False),
        Column("host", String(NAME_LENGTH), nullable=False),
        Column("command", Text, nullable=False),
        Column("row_count", Integer, nullable=False),
    )


def stands(connection: Connection, table: Table) -> bool:
    """Whether one of our tables is in the database."""
    return inspect(connection).has_table(table.name, schema=table.schema)


def make(connection: Connection, *tables: Table) -> None:
    """Make those of our tables that are missing, and the schema that they are in."""
    for table in tables:
        if stands(connection, table):
            continue
        # IF NOT EXISTS would ask for the right to make schemas also where it stands.
        if table.schema and not inspect(connection).has_schema(table.schema):
            connection.execute(CreateSchema(table.schema))
        table.create(connection, checkfirst=False)
