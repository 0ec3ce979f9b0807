"""A project whose models a test writes, and all that its database tells of itself."""

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

from conftest import Database
from dbtasks import Project, migrations
from dbtasks.migrations.making.questions import Answers

HEAD = """
import enum
from datetime import datetime
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql import func

class Base(DeclarativeBase):
    pass

def table(name, *args, **keywords):
    return sa.Table(name, Base.metadata, *args, **keywords)

def key():
    return sa.Column("id", sa.Integer, primary_key=True)
"""

CONVENTION = """
Base.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""

TYPES = """
import sqlalchemy as sa

class Upper(sa.TypeDecorator):
    impl = sa.String
    cache_ok = True

    def __init__(self, length):
        super().__init__(length)

class Day(sa.TypeDecorator):
    impl = sa.Date
    cache_ok = True

class Instant(sa.TypeDecorator):
    impl = sa.DateTime
    cache_ok = True

class Blob(sa.TypeDecorator):
    impl = sa.LargeBinary
    cache_ok = True
"""


INDEXES = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"

TURNED = """
SELECT table_name, index_name, seq_in_index FROM information_schema.statistics
WHERE table_schema = database() AND collation = 'D'
"""


class World:
    """A project without revisions, whose models a test writes, on a database."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        for path in (root / "migrations" / "versions").glob("*.py"):
            path.unlink()
        self.package = root / "src" / "company"
        (self.package / "types.py").write_text(TYPES)
        (self.package / "__init__.py").write_text("")

    def models(self, body: str) -> None:
        (self.package / "models.py").write_text(textwrap.dedent(HEAD) + body)

    @contextmanager
    def project(self) -> Iterator[Project]:
        """Return the project with its code as it is now, imported anew."""
        before = take_modules()
        sys.path_importer_cache.clear()
        project = Project.configure(
            self.root, metadata="company.models:Base", url=self.database.url
        )
        try:
            yield project
        finally:
            project.close()
            take_modules()
            sys.modules.update(before)  # other tests go on with theirs
            for path in (str(self.root), str(self.root / "src")):
                while path in sys.path:
                    sys.path.remove(path)

    def make(self, answers: Answers | None = None) -> str:
        """Make a revision, apply it, and return its text; afterwards nothing is missing."""
        with self.project() as project:
            made = migrations.makemigrations(project, answers=answers)
            assert made.revision is not None, "nothing was found"
            assert made.draft.fault == "", (made.draft.fault, made.draft.downgrade.text)
            source = Path(made.revision.path).read_text()
            migrations.migrate(project)
            assert migrations.missing(project) == ()
        return source

    def migrate(self, to: str) -> None:
        with self.project() as project:
            back = [one.revision.id for one in migrations.plan(project, to=to).steps]
            migrations.migrate(project, to=to, reverts=back)

    def run(self, statements: Sequence[str]) -> None:
        engine = create_engine(self.database.url)
        try:
            with engine.begin() as connection:
                for one in statements:
                    connection.execute(text(one))
        finally:
            engine.dispose()

    def counts(self) -> dict[str, int]:
        engine = create_engine(self.database.url)
        with engine.connect() as connection:
            found = {
                name: connection.scalar(text(f"SELECT count(*) FROM {name}"))
                for name in tables(connection)
            }
        engine.dispose()
        return found

    def schema(self) -> dict[str, Any]:
        """Return all that the inspector tells of the database."""
        engine = create_engine(self.database.url)
        with engine.connect() as connection:
            looked = inspect(connection)
            found = {name: describe(looked, *split(name)) for name in tables(connection)}
            if self.database.kind == "postgresql":
                found["types"] = looked.get_enums(schema="*")
            if self.database.kind == "mariadb":  # nor the checks within columns, and no order
                found["within"] = sorted(checked_columns(connection))
                found["turned"] = sorted(map(str, connection.execute(text(TURNED))))
            if self.database.kind == "sqlite":  # the inspector knows no order
                statements = connection.scalars(text(INDEXES))
                found["statements"] = sorted(one.replace('"', "") for one in statements)
        engine.dispose()
        return found


def tables(connection: Any) -> list[str]:
    """Return the project's tables, those in a schema of their own with its name."""
    looked = inspect(connection)
    found = looked.get_table_names()
    if connection.dialect.name == "postgresql" and "hr" in looked.get_schema_names():
        found += [f"hr.{one}" for one in looked.get_table_names(schema="hr")]
    return sorted(one for one in found if "dbtasks_" not in one and one != "alembic_version")


def checked_columns(connection: Any) -> Iterator[str]:
    """Yield the columns of MariaDB that have a check within them, each with all that it is."""
    for table in tables(connection):
        told = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
        yield from re.findall(r"(?m)^ +(`.* CHECK \(.*\)),?$", told)


def split(name: str) -> tuple[str | None, str]:
    schema, _, table = name.rpartition(".")
    return schema or None, table


def describe(looked: Any, schema: str | None, table: str) -> dict[str, Any]:
    columns = [
        {**one, "type": repr(one["type"])} for one in looked.get_columns(table, schema=schema)
    ]
    try:
        comment = looked.get_table_comment(table, schema=schema)
    except NotImplementedError:  # SQLite keeps no comments
        comment = None
    return {
        "columns": sorted(columns, key=lambda one: one["name"]),
        "key": looked.get_pk_constraint(table, schema=schema)["constrained_columns"],
        "indexes": by_name(
            one
            for one in looked.get_indexes(table, schema=schema)
            if not is_of_a_key(looked, str(one["name"]), one["column_names"])
        ),
        "unique": by_columns(looked.get_unique_constraints(table, schema=schema)),
        "checks": by_text(looked.get_check_constraints(table, schema=schema)),
        "foreign": by_columns(looked.get_foreign_keys(table, schema=schema)),
        "comment": comment,
    }


def is_of_a_key(looked: Any, name: str, columns: Sequence[str]) -> bool:
    """Whether MySQL has made an index for a foreign key, by its name."""
    named = "_ibfk_" in name or name[:3] == "fk_" or [name] == columns
    return looked.dialect.name in ("mysql", "mariadb") and named


def by_name(found: Iterable[Any]) -> list[str]:
    plain = [
        {**one, "dialect_options": {k: str(v) for k, v in one["dialect_options"].items()}}
        if "dialect_options" in one
        else one
        for one in found
    ]
    return sorted(map(repr, plain))


def by_text(found: Sequence[Any]) -> list[str]:
    """Return checks without the casts that PostgreSQL adds at each turn."""
    plain = (re.sub(r"::[a-z ]+(\[\])?", "", one["sqltext"]) for one in found)
    return sorted(re.sub(r"[()\s]", "", one) for one in plain)


def by_columns(found: Sequence[Any]) -> list[str]:
    """Return constraints without their names, which the server may have given."""
    return sorted(repr({k: v for k, v in one.items() if "name" not in k}) for one in found)


def take_modules() -> dict[str, Any]:
    """Take what was imported of the company out of Python, and return it."""
    names = [one for one in sys.modules if one.partition(".")[0] == "company"]
    return {name: sys.modules.pop(name) for name in names}
