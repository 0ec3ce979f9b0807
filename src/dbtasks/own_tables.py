"""The tables that dbtasks keeps in a project's database: their format, and whether they exist.

Nothing that only reads makes them. `migrate` and `protect` make them where a database is marked.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Double,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    func,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateSchema, CreateTable

from dbtasks.engines import Backend
from dbtasks.errors import NOTHING_CHANGED, Refused, Rejected
from dbtasks.hints import command_line

FORMAT = 2
"""The format in which this version makes, reads and writes our tables.

1 is that of tables without a number; 2 adds the number and the checksums of revisions. A
format adds tables, and columns that may be NULL, and changes nothing else: a command of an older
version that began before the upgrade still writes valid rows. `dbtasks_lease` never changes, as
the upgrade is done under that lock.
"""

NUMBER = "format_"
NAME_LENGTH = 100
RIVALS = 10


@cache
def format_number(schema: str | None) -> Table:
    """Return the table whose columns have the numbers of the formats; it has no rows.

    Every role may read the name of a column: one without rights in our schema, which writes to an
    unmarked database, reads the format too.
    """
    return Table("dbtasks_format", MetaData(schema=schema), Column(f"{NUMBER}{FORMAT}", Integer))


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
    may be too. `digest` is that of the statements that are done, `checksum` that of the file.
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
        Column("checksum", String(64)),
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


def all_tables(schema: str | None) -> tuple[Table, ...]:
    """Return all our tables; that of the number is last, as it says that the others are made."""
    made = (environment, journal, lease, migration, load, format_number)
    return tuple(table(schema) for table in made)


def stands(connection: Connection, table: Table) -> bool:
    """Whether one of our tables is in the database."""
    return inspect(connection).has_table(table.name, schema=table.schema)


def check_format(connection: Connection, schema: str | None) -> int:
    """Return the format of our tables in the database, 1 where they have no number.

    Raises Refused where a newer version has made them.
    """
    table = format_number(schema)
    if not stands(connection, table):
        return 1
    columns = inspect(connection).get_columns(table.name, schema=schema)
    names = [column["name"] for column in columns if column["name"].startswith(NUMBER)]
    number = max((int(name.removeprefix(NUMBER)) for name in names), default=1)
    if number > FORMAT:
        raise Refused(
            f"dbtasks' own tables in this database have format {number}, and this version of "
            f"dbtasks knows formats up to {FORMAT}",
            hint="run the newer version that is used on this database: pip install -U dbtasks",
        )
    return number


def is_older(connection: Connection, schema: str | None) -> bool:
    """Whether there are tables of ours in an older format; raise Refused for a newer one."""
    return check_format(connection, schema) < FORMAT and bool(_existing(connection, schema))


def make(backend: Backend, connection: Connection, *tables: Table) -> None:
    """Make those of our tables that are missing, and bring the others to this version's format.

    Only for who holds the lock. The number is written last: where DDL commits, an upgrade that is
    killed is done again.
    """
    schema = backend.own_schema
    with _permitted(backend):
        if check_format(connection, schema) < FORMAT:
            number = format_number(schema)
            known = dict.fromkeys([*_existing(connection, schema), *tables])
            others = [table for table in known if table is not number]
            tables = (*others, number)
        if tables:
            _make(connection, *tables)


def make_alone(backend: Backend, connection: Connection, table: Table) -> None:
    """Make one of our tables on a connection in autocommit, while others may do the same."""
    for _ in range(RIVALS):
        with suppress(DBAPIError):  # another makes the schema, or the table, at this moment
            _make(connection, table)
        if stands(connection, table):
            return
    with _permitted(backend):
        _make(connection, table)


def script(backend: Backend, connection: Connection | None) -> list[str]:
    """Return the SQL that makes and upgrades our tables, for a role that may run it.

    It is what the database of the connection lacks, or all of it without a connection.
    """
    schema = backend.own_schema
    if connection is not None:
        check_format(connection, schema)
    dialect = backend.url.get_dialect()() if connection is None else connection.dialect
    statements = [
        str(statement.compile(dialect=dialect)).strip()
        for statement in _missing(connection, *all_tables(schema))
    ]
    return statements + (_grants(dialect, schema, backend.url.username) if statements else [])


@contextmanager
def _permitted(backend: Backend) -> Iterator[None]:
    """Say what to do where the role may not make our tables."""
    try:
        yield
    except DBAPIError as error:
        explained = backend.explain(error, state=NOTHING_CHANGED)
        if isinstance(explained, Rejected):
            explained.message = f"dbtasks cannot make its own tables: {explained.message}"
            explained.hint = (
                "let a role that may make tables run the SQL that this shows: "
                + command_line("settings", own_tables_sql=True)
            )
        raise explained from error


def _existing(connection: Connection, schema: str | None) -> list[Table]:
    return [*filter(partial(stands, connection), all_tables(schema))]


def _make(connection: Connection, *tables: Table) -> None:
    for statement in _missing(connection, *tables):
        connection.execute(statement)


def _missing(connection: Connection | None, *tables: Table) -> Iterator[Any]:
    """Yield the statements that make what a database lacks of these tables; all without one."""
    schema = tables[0].schema
    look = None if connection is None else inspect(connection)
    # IF NOT EXISTS would ask for the right to make schemas also where it exists.
    if schema and not (look and look.has_schema(schema)):
        yield CreateSchema(schema)
    for table in tables:
        if not (look and look.has_table(table.name, schema=schema)):
            yield CreateTable(table)
            continue
        present = {column["name"] for column in look.get_columns(table.name, schema=schema)}
        for column in table.columns:
            if column.name not in present:
                yield _adding(look.dialect, column)


def _adding(dialect: Dialect, column: Column[Any]) -> TextClause:
    table = dialect.identifier_preparer.format_table(column.table)
    definition = CreateColumn(column).compile(dialect=dialect)
    return text(f"ALTER TABLE {table} ADD {definition}")  # Oracle knows no ADD COLUMN


def _grants(dialect: Dialect, schema: str | None, role: str | None) -> list[str]:
    """Return what lets a role use tables in a schema of their own, which another role makes."""
    if schema is None or role is None:
        return []
    name = dialect.identifier_preparer.quote(role)
    rights = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {name}",
    ]
