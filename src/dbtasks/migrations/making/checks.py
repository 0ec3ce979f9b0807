"""The CHECK constraints of models, as a database gets them."""

from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.util import sqla_compat
from sqlalchemy import CheckConstraint, Column, Table

from dbtasks.migrations.making.reflection import sql_of


def checks_of(context: MigrationContext, parent: Table | Column[Any]) -> list[CheckConstraint]:
    """Return the checks that a table has beside its columns, or that a column has by itself."""
    compiler = context.dialect.ddl_compiler(context.dialect, None)  # type: ignore[arg-type]  # as Alembic
    checks = [one for one in parent.constraints if isinstance(one, CheckConstraint)]
    kept = [one for one in checks if one._create_rule is None or one._create_rule(compiler)]
    return sorted(kept, key=lambda one: sql_of(context, one.sqltext))


def final_name(context: MigrationContext, check: CheckConstraint) -> str | None:
    """Return the name that the database sees; None for a check that is given none."""
    return sqla_compat._get_constraint_final_name(check, context.dialect)
