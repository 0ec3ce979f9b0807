"""The models as a database has them: made in an empty one, or in a savepoint."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import Boolean, Enum, TypeDecorator, TypeEngine

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import (
    CHECK,
    DOMAIN,
    EXCLUDE,
    FOREIGN_KEY,
    INDEX,
    PRIMARY_KEY,
    SEQUENCE,
    TABLE,
    TYPE,
    UNIQUE,
    VIEW,
    Place,
)
from dbtasks.engines.sql.quoting import identifier, undoubled
from dbtasks.errors import DbtasksError, ProjectFailed
from dbtasks.references import project_raised
from dbtasks.schema.difference import Names
from dbtasks.schema.snapshot import VERSION_TABLE, Snapshot, take

KINDS = {
    PrimaryKeyConstraint: PRIMARY_KEY,
    UniqueConstraint: UNIQUE,
    ForeignKeyConstraint: FOREIGN_KEY,
    CheckConstraint: CHECK,
}

CONCURRENTLY = "postgresql_concurrently"

DROPS = {
    VIEW: "VIEW",
    TABLE: "TABLE",
    DOMAIN: "DOMAIN",
    TYPE: "TYPE",
    SEQUENCE: "SEQUENCE",
}
"""What makes room for the models, in an order in which it goes."""


def create(backend: Backend, connection: Connection, metadatas: Collection[MetaData]) -> None:
    """Create the tables of the models, and what belongs to them.

    Raises ProjectFailed for models that SQLAlchemy does not create.
    """
    _check_indexes(metadatas)
    schemas = sorted({table.schema for table in _tables(metadatas) if table.schema})
    backend.scratch(backend).make_schemas(connection, schemas)
    for metadata in metadatas:
        with _creatable(metadata), _explained():
            metadata.create_all(connection, tables=[*_tables([metadata])])


@contextmanager
def _explained() -> Iterator[None]:
    """Report what the code of the models raises; what the database refuses is for the caller."""
    try:
        yield
    except (DBAPIError, DbtasksError):
        raise
    except Exception as error:  # constructors of types, and compilers, are the project's code
        raise project_raised("creating the models", error) from error


def _check_indexes(metadatas: Collection[MetaData]) -> None:
    for table in _tables(metadatas):
        for index in table.indexes:
            if not index.expressions:
                raise ProjectFailed(
                    f"the index {index.name} of the table {table.fullname} has no columns",
                    hint=f'name them in the models: Index("{index.name}", "COLUMN")',
                )


def _tables(metadatas: Collection[MetaData]) -> Iterator[Table]:
    """Yield the tables of the models; SQLAlchemy 2.1 keeps views among them."""
    for metadata in metadatas:
        for table in metadata.tables.values():
            if not getattr(table, "is_view", False):
                yield table


@contextmanager
def _creatable(metadata: MetaData) -> Iterator[None]:
    """Let the models be created in one transaction, and on any database, in the block.

    MariaDB takes no CHECK with a name within a column, and PostgreSQL makes no index CONCURRENTLY
    in a transaction. A copy of the models would lose what `Table.to_metadata` does not copy, as
    prefixes, operator classes of EXCLUDE and listeners.
    """
    with ExitStack() as stack:
        for table in _tables([metadata]):
            for column in table.columns:
                for check in _named(column.constraints):
                    column.constraints.discard(check)
                    table.constraints.add(check)
                    stack.callback(column.constraints.add, check)
                    stack.callback(table.constraints.discard, check)
            for index in table.indexes:
                if index.dialect_kwargs.get(CONCURRENTLY):
                    stack.callback(index.dialect_kwargs.__setitem__, CONCURRENTLY, True)
                    index.dialect_kwargs[CONCURRENTLY] = False
        yield


def _named(constraints: Collection[Constraint]) -> list[CheckConstraint]:
    checks = (item for item in constraints if isinstance(item, CheckConstraint))
    return [check for check in checks if check.name is not None]


def taken_within(
    backend: Backend,
    connection: Connection,
    metadatas: Collection[MetaData],
    there: Snapshot,
    *,
    without: Collection[str] = (VERSION_TABLE,),
) -> Snapshot:
    """Return what a database of the models alone has, made in a savepoint of one that is full.

    So functions and extensions of the history are there for the models. The connection is in a
    transaction, which knows nothing of it afterwards; `there` is what its database has but for the
    tables `without`.
    """
    savepoint = connection.begin_nested()
    try:
        return taken_instead(backend, connection, metadatas, there, without=without)
    finally:
        savepoint.rollback()


def taken_instead(
    backend: Backend,
    connection: Connection,
    metadatas: Collection[MetaData],
    there: Snapshot,
    *,
    without: Collection[str] = (VERSION_TABLE,),
) -> Snapshot:
    """Return what a database has once the models have taken the place of what was there."""
    quote = partial(identifier, connection.dialect)
    cascade = "" if backend.batch_migrations else " CASCADE"
    for key in there:
        if key.kind in DROPS:
            schema = f"{quote(key.schema)}." if key.schema else ""
            name = f"{schema}{quote(key.name or key.table)}"
            connection.exec_driver_sql(
                f"DROP {DROPS[key.kind]} IF EXISTS {name}{cascade}",
                execution_options={"no_parameters": True},
            )
    create(backend, connection, metadatas)
    return take(backend, connection, without=without)


def names(dialect: Dialect, metadatas: Collection[MetaData]) -> Names:
    """Return the names of constraints and indexes that the models give, as a database has them."""
    return {
        place_of(dialect, table): {*_names_within(dialect, table)} for table in _tables(metadatas)
    }


def place_of(dialect: Dialect, table: Table) -> Place:
    """Return where a table is in a snapshot."""
    is_own = table.schema == dialect.default_schema_name
    return Place(None if is_own else table.schema, table.name)


def _names_within(dialect: Dialect, table: Table) -> Iterator[tuple[str, str]]:
    of_columns = (constraint for column in table.columns for constraint in column.constraints)
    for constraint in (*table.constraints, *of_columns):
        name = final_name(dialect, constraint)
        if name is not None:
            kind = KINDS.get(type(constraint), EXCLUDE)
            yield kind, name
            if kind == UNIQUE:  # which MySQL keeps as an index
                yield INDEX, name
    for index in table.indexes:
        yield INDEX, str(final_name(dialect, index))


def final_name(dialect: Dialect, constraint: Any) -> str | None:
    """Return the name of a constraint or an index after conventions, cut to the database's limit.

    What is asked for without quotes is what SQLAlchemy offers to Alembic.
    """
    if constraint.name is None:
        return None
    name: str | None = dialect.identifier_preparer.format_constraint(
        constraint, _alembic_quote=False
    )
    return undoubled(dialect, name) if name else name


def has_check(kind: TypeEngine[Any]) -> bool:
    """Whether a type brings a check, as values of an enum that is none in the database."""
    if isinstance(kind, TypeDecorator):
        return has_check(kind.impl_instance)
    return isinstance(kind, Enum | Boolean) and kind.create_constraint
