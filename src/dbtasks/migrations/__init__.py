"""Migrations: the schema's history, run by Alembic."""

from dbtasks.migrations.history import Entry, showmigrations
from dbtasks.migrations.runner import Plan, Step, migrate, plan, sql
from dbtasks.migrations.scripts import Revision

__all__ = ["Entry", "Plan", "Revision", "Step", "migrate", "plan", "showmigrations", "sql"]
