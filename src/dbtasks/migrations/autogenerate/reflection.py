"""What a database tells of its tables, also what Alembic does not ask for."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.sql.elements import ClauseElement

from dbtasks.engines import Backend
from dbtasks.engines.sql.expressions import alike, mentions
from dbtasks.engines.sql.quoting import undoubled
from dbtasks.migrations.environment.body import HANDOVER

Place = tuple[str | None, str]
"""A schema, None for the connection's own, and a table."""


class Reflection:
    """Look at a database as it is now; what was read once is not read again."""

    def __init__(self, context: MigrationContext) -> None:
        assert context.connection is not None
        self.context = context
        self.connection = context.connection
        self.inspector = inspect(self.connection)
        self.backend = backend_of(context)
        self.dialect = context.dialect

    @cached_property
    def tables(self) -> frozenset[Place]:
        """Return the tables there are."""
        schemas: set[str | None] = {None}
        if self.context.opts.get("include_schemas"):
            schemas |= {*self.inspector.get_schema_names()} - {self.dialect.default_schema_name}
        return frozenset(
            (one, name) for one in schemas for name in self.inspector.get_table_names(schema=one)
        )

    def unnamed_checks(self, place: Place) -> list[str]:
        """Return the checks that have none."""
        return [one["sqltext"] for one in self._checks(place) if not one["name"]]

    def index_statements(self, place: Place) -> Mapping[str, str]:
        """Return what makes the indexes as they are that are reflected in part, or not at all."""
        return self.backend.index_statements(self.connection, place[1], place[0])

    def column_checks(self, place: Place) -> Mapping[str, str]:
        """Return the checks by their columns that go where these are altered."""
        return self.backend.column_checks(self.connection, place[1], place[0])

    def mentions(self, sql: str, column: str) -> bool:
        """Whether an expression, as the database tells it, is about a column."""
        return mentions(self.backend.syntax.lexer, sql, column, exact=self.backend.exact_names)

    def alike(self, one: str | None, other: str | None) -> bool:
        """Whether two texts are the same expression, as far as a glance tells."""
        return alike(self.backend.syntax.lexer, one, other)

    def _checks(self, place: Place) -> Sequence[Any]:
        return self.backend.checks(self.connection, place[1], place[0])


def backend_of(context: MigrationContext) -> Backend:
    """Return the engine class of the project that a comparison is for."""
    assert context.config is not None
    backend: Backend = context.config.attributes[HANDOVER].project.backend
    return backend


def tables_of(metadata: MetaData | Sequence[MetaData]) -> Iterator[Table]:
    """Yield the tables of the models, without views."""
    for one in [metadata] if isinstance(metadata, MetaData) else metadata:
        yield from (each for each in one.tables.values() if not getattr(each, "is_view", False))


def sql_of(context: MigrationContext, element: ClauseElement | str) -> str:
    """Return an expression of the models as this database is sent it."""
    if isinstance(element, str):
        return element
    keywords = {"literal_binds": True, "include_table": False}
    sql = str(element.compile(dialect=context.dialect, compile_kwargs=keywords))
    return undoubled(context.dialect, sql)
