"""Names in quotes as the server reads them; SQLAlchemy doubles each % in them for its drivers."""

from typing import Any

from sqlalchemy import Column, Connection, Sequence, Table


def quoted(connection: Connection, named: Table | Column[Any] | Sequence) -> str:
    """Return the name of a table or a sequence with its schema's, or that of a column alone."""
    preparer = connection.dialect.identifier_preparer
    if isinstance(named, Table):
        name = preparer.format_table(named)
    elif isinstance(named, Column):
        name = preparer.format_column(named)
    else:
        name = preparer.format_sequence(named)
    doubles = connection.dialect.paramstyle in ("format", "pyformat")
    return name.replace("%%", "%") if doubles else name
