"""The tables that dbtasks keeps in a project's database: where they are, and whether they stand.

Nothing that only reads makes them. `migrate` and `protect` make them where a database is marked.
"""

from contextlib import suppress
from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

NAME_LENGTH = 100
RIVALS = 10


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


@cache
def lease(schema: str | None) -> Table:
    """Return the table of who migrates: one row, or none; times are seconds of its own clock.

    Where a session's lock keeps others out, the row only says who has it: `beat` is NULL.
    """
    return Table(
        "dbtasks_lease",
        MetaData(schema=schema),
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("owner", String(NAME_LENGTH), nullable=False),
        Column("holder", String(2 * NAME_LENGTH), nullable=False),
        Column("started", Double, nullable=False),
        Column("beat", Double),
        Column("connection_id", BigInteger),
    )


@cache
def migration(schema: str | None) -> Table:
    """Return the journal of migrations: a row for each revision that was run, either way.

    `done` of the run's statements are done, and while `state` is `running` the one after them
    may be too. `digest` is that of the statements that are done.
    """
    return Table(
        "dbtasks_migration",
        MetaData(schema=schema),
        Column("id", Integer, Identity(), primary_key=True),
        Column("revision", String(2 * NAME_LENGTH), nullable=False),
        Column("parents", Text, nullable=False),
        Column("backwards", Boolean, nullable=False),
        Column("state", String(20), nullable=False),
        Column("done", Integer, nullable=False),
        Column("what", Text),
        Column("digest", String(64), nullable=False),
        Column("started", Double, nullable=False),
        Column("seconds", Double),
        Column("holder", String(2 * NAME_LENGTH), nullable=False),
    )


@cache
def load(schema: str | None) -> Table:
    """Return the table of loads in batches that have not come to their end.

    The rows of `section` parts of the source are committed, and `done` rows of the next; `digest`
    is that of all these rows.
    """
    return Table(
        "dbtasks_load",
        MetaData(schema=schema),
        Column("id", Integer, Identity(), primary_key=True),
        Column("command", String(NAME_LENGTH), nullable=False),
        Column("tables", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("size", Integer, nullable=False),
        Column("section", Integer, nullable=False),
        Column("done", BigInteger, nullable=False),
        Column("digest", String(64)),
        Column("holder", String(2 * NAME_LENGTH), nullable=False),
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


def make_alone(connection: Connection, table: Table) -> None:
    """Make one of our tables on a connection in autocommit, while others may do the same."""
    for _ in range(RIVALS):
        with suppress(DBAPIError):  # another makes the schema, or the table, at this moment
            make(connection, table)
        if stands(connection, table):
            return
    make(connection, table)
