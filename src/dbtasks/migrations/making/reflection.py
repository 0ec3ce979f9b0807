"""What a database tells of its tables, also what Alembic does not ask for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.sql.elements import ClauseElement

from dbtasks.engines import Backend
from dbtasks.engines.created import Created
from dbtasks.migrations.environment import HANDOVER
from dbtasks.migrations.making.splitting import split_checks
from dbtasks.migrations.making.words import mentions

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

    def place(self, table: Table) -> Place:
        """Return where the database has a table of the models."""
        default = self.dialect.default_schema_name
        return (None if table.schema == default else table.schema), table.name

    @cached_property
    def tables(self) -> frozenset[Place]:
        """Return the tables there are."""
        schemas: set[str | None] = {None}
        if self.context.opts.get("include_schemas"):
            schemas |= {*self.inspector.get_schema_names()} - {self.dialect.default_schema_name}
        return frozenset(
            (one, name) for one in schemas for name in self.inspector.get_table_names(schema=one)
        )

    def columns(self, place: Place) -> dict[str, Any]:
        """Return the columns of a table by name."""
        found = self.inspector.get_columns(place[1], schema=place[0])
        columns: dict[str, Any] = {one["name"]: one for one in found}
        computed = [one for one in found if "computed" in one]
        known = self.backend.computed(self.connection, place[1]) if computed else {}
        for one in computed:
            one["computed"]["sqltext"] = known.get(one["name"], one["computed"]["sqltext"])
        return columns

    def created(self, place: Place) -> Created:
        """Return what a table says that is not reflected."""
        return self.backend.created(self.connection, place[1])

    def checks(self, place: Place) -> dict[str, str]:
        """Return the checks that have a name, as the database tells them."""
        return {str(one["name"]): one["sqltext"] for one in self._checks(place) if one["name"]}

    def unnamed_checks(self, place: Place) -> list[str]:
        """Return the checks that have none."""
        return [one["sqltext"] for one in self._checks(place) if not one["name"]]

    def unnamed_uniques(self, place: Place) -> list[list[str]]:
        """Return the columns of the unique constraints that have no name."""
        found = self.inspector.get_unique_constraints(place[1], schema=place[0])
        return [one["column_names"] for one in found if not one["name"]]

    def indexes(self, place: Place) -> dict[str, Any]:
        """Return the indexes by name, each with all that is known of it."""
        known = self.inspector.get_indexes(place[1], schema=place[0])
        return {**{str(one["name"]): one for one in known}, **self.hidden_indexes(place)}

    def hidden_indexes(self, place: Place) -> Mapping[str, str]:
        """Return the statements of the indexes that are not reflected."""
        return self.backend.hidden_indexes(self.connection, place[1])

    def index_parts(self, place: Place) -> Mapping[str, Sequence[str]]:
        """Return the columns, as they stand in SQL, of indexes that are reflected in part."""
        return self.backend.index_parts(self.connection, place[1], place[0])

    def index_statements(self, place: Place) -> Mapping[str, str]:
        """Return what makes the indexes as they are that are reflected in part, or not at all."""
        return self.backend.index_statements(self.connection, place[1], place[0])

    def column_checks(self, place: Place) -> Mapping[str, str]:
        """Return the checks by their columns that go where these are altered."""
        return self.backend.column_checks(self.connection, place[1], place[0])

    def mentions(self, sql: str, column: str) -> bool:
        """Whether an expression, as the database tells it, is about a column."""
        return mentions(self.dialect, sql, column, exact=self.backend.exact_names)

    def subject(self, operation: ops.MigrateOperation) -> object:
        """Return what the database tells of the thing that an operation changes."""
        one: Any = operation
        if about := getattr(one, "about", ()):
            return [self._told(self.columns(place).get(name)) for place, name in about]
        place = (getattr(one, "schema", None), getattr(one, "table_name", ""))
        if place not in self.tables:
            return None
        if isinstance(one, ops.AlterColumnOp | ops.DropColumnOp):
            return self._told(self.columns(place).get(one.column_name))
        if isinstance(one, ops.AddColumnOp):
            return self._told(self.columns(place).get(one.column.name))
        if isinstance(one, ops.CreateIndexOp | ops.DropIndexOp):
            name = str(one.index_name)
            return self._told(self.indexes(place).get(name)), self.index_parts(place).get(name)
        return sorted(map(self._told, self._constraints(place)))

    def _told(self, value: object) -> str:
        return told(self.backend, value)

    def _checks(self, place: Place) -> Sequence[Any]:
        try:
            found = self.inspector.get_check_constraints(place[1], schema=place[0])
        except NotImplementedError:
            return ()
        return [
            {**one, **each} for one in found for each in split_checks(one["name"], one["sqltext"])
        ]

    def _constraints(self, place: Place) -> Iterator[Any]:
        name, schema = place[1], place[0]
        yield from self._checks(place)
        yield from self.inspector.get_unique_constraints(name, schema=schema)
        yield from self.inspector.get_foreign_keys(name, schema=schema)
        if self.dialect.supports_comments:
            yield self.inspector.get_table_comment(name, schema=schema)


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
    doubled = context.dialect.identifier_preparer._double_percents  # for a driver's parameters
    return sql.replace("%%", "%") if doubled else sql


def alike(one: str | None, other: str | None) -> bool:
    """Whether two texts are the same expression, as far as a glance tells."""
    return _bare(one) == _bare(other)


def _bare(text: str | None) -> str | None:
    """Return an expression without what databases add to it: casts, parentheses, quotes."""
    if text is None:
        return None
    text = re.sub(
        r"::\s*(\w+( varying| precision)?|\"\w+\")(\.\w+)?(\([\d, ]*\))?(\[\])?", "", text
    )
    return re.sub(r"[\s()\"`]", "", text).lower()


def table_op(operations: list[ops.MigrateOperation], place: Place) -> ops.ModifyTableOps:
    """Return what changes a table, a new one at the end where there is none yet."""
    for one in operations:
        if isinstance(one, ops.ModifyTableOps) and (one.schema, one.table_name) == place:
            return one
    new = ops.ModifyTableOps(place[1], [], schema=place[0])
    operations.append(new)
    return new


def told(backend: Backend, value: object) -> str:
    """Return what a database tells as a text to compare."""
    if isinstance(value, Mapping):
        return repr(sorted((str(key), told(backend, one)) for key, one in value.items()))
    if isinstance(value, list | tuple):
        return repr([told(backend, one) for one in value])
    if isinstance(value, str | ClauseElement):
        return backend.retold(str(value))
    return repr(value)


def escape(sql: str) -> str:
    """Return SQL in which no colon is taken for a parameter."""
    return re.sub(r"(?<!:):(?=\w)", r"\\:", sql)
