"""What a command works on: a mapped class, a table of the metadata, or a table of the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, Inspector, MetaData, Table, inspect
from sqlalchemy.exc import NoSuchTableError, OperationalError
from sqlalchemy.orm import Mapper, QueryableAttribute

from dbtasks.errors import UsageError
from dbtasks.lookups.names import column_names
from dbtasks.models import suggest
from dbtasks.project import Project

LIBRARIES = ("builtins", "sqlalchemy", "pydantic", "sqlmodel")


@dataclass(frozen=True)
class Target:
    """Give a mapped class and a bare table one face: named columns, keys and relationships."""

    name: str
    table: Table
    mapper: Mapper[Any] | None = None

    @cached_property
    def columns(self) -> Mapping[str, ColumnElement[Any]]:
        """Return the columns by the names that users give them, the primary key first."""
        keys = {name: self._columns[name] for name in self.key}
        return keys | self._columns

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Return the names of the primary key's columns."""
        if self.mapper is None:
            return tuple(column.key for column in self.table.primary_key)
        find = self.mapper.get_property_by_column
        return tuple(find(column).key for column in self.mapper.primary_key)

    @cached_property
    def relationships(self) -> Mapping[str, QueryableAttribute[Any]]:
        """Return the relationships of a mapped class by name; a table has none."""
        if self.mapper is None:
            return {}
        return {one.key: one.class_attribute for one in self.mapper.relationships}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Return the name of a column here by each that it has, also that in its table."""
        if self.mapper is None:
            called = column_names(self.table, ())
            return {name: column.key for name, column in called.items()}
        mapped = {column: one.key for one in self.mapper.column_attrs for column in one.columns}
        tables = [one for one in self.mapper.tables if isinstance(one, Table)]
        called = {}
        for table in reversed(tables):
            called |= column_names(table, [self.mapper])
        return {name: mapped[column] for name, column in called.items() if column in mapped}

    def stores(self, name: str) -> bool:
        """Whether a column is one of a table, and not an expression that the mapping asks for."""
        return self.mapper is None or isinstance(self.mapper.column_attrs[name].columns[0], Column)

    @property
    def has_text(self) -> bool:
        """Whether the class says how one record is written: it has a `__str__` of its own."""
        return any("__str__" in vars(kind) for kind in self._own_classes())

    @property
    def entity(self) -> Any:
        """Return what goes into select(), update() and delete()."""
        return self.table if self.mapper is None else self.mapper.class_

    def _own_classes(self) -> list[type]:
        """Return the class and its bases, without those of libraries that map for it."""
        if self.mapper is None:
            return []
        return [
            kind
            for kind in self.mapper.class_.__mro__
            if kind.__module__.partition(".")[0] not in LIBRARIES
        ]

    @cached_property
    def _columns(self) -> dict[str, ColumnElement[Any]]:
        if self.mapper is None:
            return {column.key: column for column in self.table.columns}
        return {one.key: one.class_attribute for one in self.mapper.column_attrs}


def of_mapper(mapper: Mapper[Any]) -> Target:
    """Return the target of a mapped class."""
    table = mapper.local_table
    assert isinstance(table, Table) or mapper.persist_selectable is not None
    return Target(mapper.class_.__name__, table, mapper)  # type: ignore[arg-type]  # a class may be mapped to a join, which is read only


def find_target(project: Project, model: str | None = None, *, table: str | None = None) -> Target:
    """Return what `--model` or `--table` names, or the project's default model.

    `model` is a mapped class or a table of the metadata; `table`, as `name` or `schema.name`,
    is one of the database that no model need know. Raises UsageError where there is none.
    """
    if table is not None:
        if model is not None:
            raise UsageError("--model and --table exclude each other", hint="leave one out")
        return _reflected(project, table)
    name = model or project.settings.default_model
    known = _tables(project)
    if name is not None and name not in project.mappers and name in known:
        return Target(name, known[name])
    try:
        return of_mapper(project.find_mapper(name))
    except UsageError as error:
        if not error.message.startswith("several"):
            known_names = suggest(name or "", [*project.mappers, *known])
            error.hint = known_names if name is not None else f"add --model; {known_names}"
        raise


def _tables(project: Project) -> dict[str, Table]:
    """Return the tables that no class maps, by their name in the metadata."""
    mapped = {one.local_table for found in project.mappers.values() for one in found}
    return {
        name: table
        for metadata in project.metadata
        for name, table in metadata.tables.items()
        if table not in mapped
    }


def _reflected(project: Project, name: str) -> Target:
    schema, _, short = name.rpartition(".")
    with project.connect() as connection:
        try:
            table = Table(
                short,
                MetaData(),
                schema=schema or None,
                autoload_with=connection,
                resolve_fks=False,
            )
        except NoSuchTableError:
            raise _no_table(inspect(connection), name) from None
        except OperationalError:  # for some drivers, a schema that is not there
            if not schema or schema in inspect(connection).get_schema_names():
                raise
            raise _no_table(inspect(connection), name) from None
    return Target(name, table)


def _no_table(look: Inspector, name: str) -> UsageError:
    schema, _, short = name.rpartition(".")
    schemas = look.get_schema_names()
    if schema and schema not in schemas:
        hint = f"of schemas {suggest(schema, schemas)}"
    else:
        names = [*look.get_table_names(schema or None), *look.get_view_names(schema or None)]
        hint = suggest(short, names)
    return UsageError(f"the database has no table {name!r}", hint=hint)
