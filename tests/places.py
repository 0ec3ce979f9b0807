"""A revision that makes a table of places and may stop part way, and what came of it."""

from pathlib import Path

import pytest
from sqlalchemy import inspect

from dbtasks import Project, migrations
from dbtasks.errors import DbtasksError
from trees import add_revision

PLACE = 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True), '
PLACE += 'sa.Column("name", sa.String(50)))'
INSERT = "op.execute(\"INSERT INTO place (name) VALUES ('Oslo')\")"
INDEX = 'op.create_index("ix_place_name", "place", ["name"])'
COLUMN = 'op.add_column("place", sa.Column("code", sa.Integer()))'
BROKEN = 'op.execute("UPDATE nowhere SET a = 1")'
STEPS = [PLACE, INSERT, INDEX, BROKEN, COLUMN]


def tables(project: Project) -> set[str]:
    with project.connect() as connection:
        names = inspect(connection).get_table_names()
    return {name for name in names if not name.startswith("dbtasks_")}


def rows(project: Project, sql: str = "SELECT name FROM place ORDER BY id") -> list[object]:
    with project.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def indexes(project: Project) -> set[str | None]:
    with project.connect() as connection:
        return {one["name"] for one in inspect(connection).get_indexes("place")}


def applied(project: Project) -> list[str]:
    return [one.revision.id for one in migrations.showmigrations(project) if one.applied]


def write(company: Path, *operations: str, downgrade: str = "pass") -> Path:
    return add_revision(company, "0002_more", "\n".join(operations), downgrade=downgrade)


def failed(project: Project, **options: bool) -> DbtasksError:
    with pytest.raises(DbtasksError) as caught:
        migrations.migrate(project, **options)
    return caught.value
