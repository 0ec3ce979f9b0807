"""The WHERE and the expressions of indexes, in the code of a revision."""

import ast

from alembic.runtime.migration import MigrationContext

from dbtasks.engines.sql.quoting import escape


def as_meant(context: MigrationContext, line: str) -> str:
    """Return the code of an index with its SQL as it is meant.

    Alembic doubles each % where the driver has it for a parameter, and SQLAlchemy does so again;
    a colon is a parameter within `text`.
    """
    code = ast.parse(line, mode="eval").body
    doubled = context.dialect.identifier_preparer._double_percents
    for node in ast.walk(code):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="text" | "literal_column" as kind),
                args=[ast.Constant(value=str(sql)) as told],
            ):
                sql = sql.replace("%%", "%") if doubled else sql
                told.value = escape(sql) if kind == "text" else sql
    return ast.unparse(code)
