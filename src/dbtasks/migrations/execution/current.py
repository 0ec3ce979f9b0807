"""Whether the database stands at the newest revision: read without importing Alembic."""

from collections.abc import Sequence

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from dbtasks.migrations.execution.journal import Journal
from dbtasks.migrations.history.reader import RevisionFile, find_heads
from dbtasks.project import Project

VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))


def is_current(project: Project, revisions: Sequence[RevisionFile]) -> bool:
    """Whether there is certainly nothing to apply; where in doubt, False.

    That is where the files have one head, which the database has, and no revision has stopped
    part way.
    """
    heads = find_heads(revisions)
    if heads is None or len(heads) != 1:
        return False
    with project.migrating(writes=False) as connection, connection.begin():
        if not inspect(connection).has_table(VERSION.name):
            return False
        versions = set(connection.scalars(select(VERSION.c.version_num)))
        return versions == heads and Journal(project.backend, connection).unfinished() is None
