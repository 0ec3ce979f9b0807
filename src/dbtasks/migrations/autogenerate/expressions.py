"""SQL within the models as a database gets it: CHECKs, and the expressions of indexes."""

import ast
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, Column, Table

from dbtasks.engines.sql.quoting import escape, undoubled
from dbtasks.migrations.autogenerate.reflection import sql_of


def checks_of(context: MigrationContext, parent: Table | Column[Any]) -> list[CheckConstraint]:
    """Return the checks that a table has beside its columns, or that a column has by itself."""
    compiler = context.dialect.ddl_compiler(context.dialect, None)  # type: ignore[arg-type]  # as Alembic
    checks = [one for one in parent.constraints if isinstance(one, CheckConstraint)]
    kept = [one for one in checks if one._create_rule is None or one._create_rule(compiler)]
    return sorted(kept, key=lambda one: sql_of(context, one.sqltext))


def final_name(context: MigrationContext, check: CheckConstraint) -> str | None:
    """Return the name that the database sees; None for a check that is given none."""
    return sqla_compat._get_constraint_final_name(check, context.dialect)


def as_meant(context: MigrationContext, line: str) -> str:
    """Return the code of an index with its SQL as it is meant.

    Alembic doubles each % where the driver has it for a parameter, and SQLAlchemy does so again;
    a colon is a parameter within `text`.
    """
    code = ast.parse(line, mode="eval").body
    for node in ast.walk(code):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="text" | "literal_column" as kind),
                args=[ast.Constant(value=str(sql)) as told],
            ):
                sql = undoubled(context.dialect, sql)
                told.value = escape(sql) if kind == "text" else sql
    return ast.unparse(code)
