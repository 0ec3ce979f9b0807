"""A project whose models a test writes, and all that its database tells of itself."""

import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

from conftest import Database
from dbtasks import Project, migrations
from dbtasks.engines.base.definitions import CONSTRAINTS, FOREIGN_KEY, INDEX, SCHEMA
from dbtasks.engines.sql.quoting import identifier
from dbtasks.migrations.autogenerate.answers import Answers
from dbtasks.migrations.history.fingerprint import digest
from dbtasks.schema.difference import difference
from dbtasks.schema.models import create, names
from dbtasks.schema.snapshot import Snapshot, take

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
    def project(self, metadata: str | None = "company.models:Base") -> Iterator[Project]:
        """Return the project with its code as it is now, imported anew."""
        before = take_modules()
        sys.path_importer_cache.clear()
        project = Project.configure(self.root, metadata=metadata, url=self.database.url)
        try:
            yield project
        finally:
            project.close()
            take_modules()
            sys.modules.update(before)  # other tests go on with theirs
            for path in (str(self.root), str(self.root / "src")):
                while path in sys.path:
                    sys.path.remove(path)

    def make(self, answers: Answers | None = None, *, checks: bool = True) -> str:
        """Make a revision, apply it, and return its text; afterwards nothing is missing.

        The models are afterwards what they were before. Without `checks`, what has been made of
        the same models elsewhere has shown both.
        """
        with self.project() as project:
            models = digest(project.metadata)
            made = migrations.makemigrations(project, answers=answers)
            assert made.revision is not None, "nothing was found"
            assert made.draft.fault == "", (made.draft.fault, made.draft.downgrade.text)
            source = Path(made.revision.path).read_text()
            migrations.migrate(project)
            if checks:
                assert migrations.missing(project) == ()
                assert digest(project.metadata) == models
        return source

    def migrate(self, to: str) -> None:
        with self.project() as project:
            steps = migrations.plan(project, to=to).steps if to != "heads" else ()
            migrations.migrate(project, to=to, reverts=[step.revision.id for step in steps])

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
            quote = partial(identifier, connection.dialect)
            found = {
                name: connection.exec_driver_sql(
                    f"SELECT count(*) FROM {'.'.join(map(quote, name.split('.')))}",
                    execution_options={"no_parameters": True},
                ).scalar_one()
                for name in tables(connection)
            }
        engine.dispose()
        return found

    def snapshot(self) -> Snapshot:
        """Return all that the database has."""
        with self.project() as project, project.connect() as connection:
            return take(project.backend, connection)

    def missing(self, snapshot: Snapshot | None = None) -> list[str]:
        """Return how the database differs from what `create_all` makes of the models elsewhere.

        `snapshot` is the database's, where it has been read.
        """
        with self.project() as project:
            backend = project.backend
            with project.scratch() as scratch, scratch.migrating(writes=True) as connection:
                with connection.begin():
                    create(backend, connection, project.metadata)
                wanted = take(backend, connection)
                given = names(connection.dialect, project.metadata)
        serve = backend.keys_need_indexes
        return [
            *map(str, difference(snapshot or self.snapshot(), wanted, given, indexes_serve=serve))
        ]

    def schema(self, snapshot: Snapshot | None = None) -> Mapping[str, Sequence[str]]:
        """Return what each object of the database is; constraints without their names.

        `snapshot` is the database's, where it has been read.

        A rebuilt table may have given them one. Schemas are left out: nothing drops them, others
        may use them; and the indexes that MariaDB makes, and names, for foreign keys.
        """
        parts: dict[str, list[str]] = defaultdict(list)
        snapshot = snapshot or self.snapshot()
        served = {
            (key.place, definition.columns)
            for key, definition in snapshot.items()
            if key.kind == FOREIGN_KEY and self.database.kind == "mariadb"
        }
        for key, definition in snapshot.items():
            serves = key.kind == INDEX and (key.place, definition.columns) in served
            if key.kind != SCHEMA and not serves:
                told = key._replace(name="") if key.kind in CONSTRAINTS else key
                parts[str(told)].append(repr(sorted(definition.attributes.items())))
        return {name: sorted(told) for name, told in parts.items()}


def tables(connection: Any) -> list[str]:
    """Return the project's tables, those in a schema of their own with its name."""
    looked = inspect(connection)
    found = looked.get_table_names()
    if connection.dialect.name == "postgresql":
        for schema in looked.get_schema_names():
            if schema.startswith("hr"):
                found += [f"{schema}.{one}" for one in looked.get_table_names(schema=schema)]
    return sorted(one for one in found if "dbtasks_" not in one and one != "alembic_version")


def take_modules() -> dict[str, Any]:
    """Take what was imported of the company out of Python, and return it."""
    names = [one for one in sys.modules if one.partition(".")[0] == "company"]
    return {name: sys.modules.pop(name) for name in names}
