"""Names and statements as the server reads them: for some drivers each % in them is doubled."""

import re
from typing import Any

from sqlalchemy import Column, Connection, Sequence, Table
from sqlalchemy.engine import Dialect


def quoted(connection: Connection, named: Table | Column[Any] | Sequence) -> str:
    """Return the name of a table or a sequence with its schema's, or that of a column alone."""
    preparer = connection.dialect.identifier_preparer
    if isinstance(named, Table):
        name = preparer.format_table(named)
    elif isinstance(named, Column):
        name = preparer.format_column(named)
    else:
        name = preparer.format_sequence(named)
    return as_read(connection, name)


def as_read(connection: Connection, sql: str) -> str:
    """Return what a driver sends of a statement that is given no parameters."""
    doubles = connection.dialect.paramstyle in ("format", "pyformat")
    return sql.replace("%%", "%") if doubles else sql


def identifier(dialect: Dialect, name: str) -> str:
    """Return a name in quotes where it needs them, as a server reads it."""
    return undoubled(dialect, dialect.identifier_preparer.quote(name))


def undoubled(dialect: Dialect, sql: str) -> str:
    """Return SQL of SQLAlchemy's with each % once: for some drivers' parameters it has two."""
    doubles = "%%" in dialect.identifier_preparer.quote_identifier("%")
    return sql.replace("%%", "%") if doubles else sql


def escape(sql: str) -> str:
    """Return SQL for SQLAlchemy's `text`, which takes no colon in it for a parameter."""
    return re.sub(r"(?<!:):(?=\w)", r"\\:", sql)
