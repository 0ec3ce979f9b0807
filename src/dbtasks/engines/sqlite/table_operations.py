"""Alembic's operations on a table of SQLite, made in its CREATE TABLE."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Constraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateColumn, CreateTable
from sqlalchemy.types import TypeEngine

from dbtasks.engines.sql.expressions import canonical, mentioned
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sqlite import create_table
from dbtasks.engines.sqlite.create_table import Check, ForeignKey, PrimaryKey, Unique
from dbtasks.engines.sqlite.table_rebuild import TEMPORARY, TableRebuild

Operations = Sequence[tuple[str, Sequence[Any], Mapping[str, Any]]]
"""What a batch collects: the method of a DefaultImpl, and its arguments."""

Cast = Callable[[Column[Any], dict[str, Any], TypeEngine[Any]], None]
"""`DefaultImpl.cast_for_batch_migrate`, which sets the `expr` of what is copied."""

CLASSES: Mapping[type[Constraint], type[create_table.Constraint]] = {
    UniqueConstraint: Unique,
    PrimaryKeyConstraint: PrimaryKey,
    ForeignKeyConstraint: ForeignKey,
    CheckConstraint: Check,
}


class TableOperations:
    """Apply operations to a table, whose columns answer to their old and to their new names."""

    def __init__(self, rebuild: TableRebuild, operations: Operations, cast: Cast) -> None:
        self.cast = cast
        self.dialect = rebuild.connection.dialect
        self.names = _renamed(rebuild, operations)
        self.rebuild = rebuild = TableRebuild(rebuild.connection, rebuild.name, rebuild.schema)
        self.text, self.before = rebuild.text, rebuild.table
        self.dropped: list[str] = []
        self.created: list[tuple[Index, Mapping[str, Any]]] = []
        self.beside: list[tuple[str, str]] = []
        """Columns of which the second comes after the first."""
        key = self.before.key
        primary = key.columns if key else ()
        self.old = Table(rebuild.name, MetaData(), schema=rebuild.schema)
        for item in self.before.columns:
            self.old.append_column(Column(item.name, primary_key=item.name in primary))
        self.values: dict[str, ColumnElement[Any]] = dict(self.old.c.items())

    @cached_property
    def types(self) -> Mapping[str, TypeEngine[Any]]:
        """Return the types of the columns as SQLAlchemy reflects them."""
        reflected = inspect(self.rebuild.connection).get_columns(
            self.rebuild.name, schema=self.rebuild.schema
        )
        return {column["name"]: column["type"] for column in reflected}

    def current(self, name: str) -> str:
        """Return what a column is called now. Raises ValueError for a name that is none."""
        known = [now for key, now in self.names.items() if key.lower() == name.lower()]
        return known[-1] if known else self.text.column(name).name

    def apply(self, operations: Operations) -> None:
        """Apply operations, each by the method that has its name."""
        for name, arguments, keywords in operations:
            getattr(self, name)(*arguments, **keywords)

    # -- columns ----------------------------------------------------------------------------------

    def add_column(
        self,
        table: str,
        column: Column[Any],
        *,
        insert_before: str | None = None,
        insert_after: str | None = None,
        if_not_exists: bool | None = None,
        **keywords: object,
    ) -> None:
        """Add a column; one that is a key joins the others."""
        if if_not_exists and column.name.lower() in map(str.lower, self._columns()):
            return
        before, after = (name and self.current(name) for name in (insert_before, insert_after))
        sql = str(CreateColumn(column).compile(dialect=self.dialect)).strip()
        self.text.add_column(sql, before=before, after=after)
        self.names.pop(column.name, None)
        self.names[column.name] = column.name
        self.beside += [(column.name, before)] if before else []
        self.beside += [(after, column.name)] if after else []
        if column.primary_key:
            key = self.text.table.key
            parts = [*(key.columns if key else ()), column.name]
            self.text.replace_key(f"PRIMARY KEY ({', '.join(map(self.text.quote, parts))})")

    def drop_column(
        self,
        table: str,
        column: Column[Any],
        *,
        existing_type: Any = None,
        if_exists: bool | None = None,
        **keywords: object,
    ) -> None:
        """Drop a column, with the check that its type is known to have."""
        if if_exists and column.name.lower() not in map(str.lower, self._columns()):
            return
        name = self.current(column.name)
        label = getattr(existing_type, "name", None)
        self.text.drop_all([*self._named(label, Check)])
        self.text.drop_column(name)
        for index, item in [*self.rebuild.indexes.items()]:
            if mentioned(SQLITE, item.create, [name]) and self.rebuild.is_on_expression(index):
                del self.rebuild.indexes[index]  # as Alembic loses these, no revision drops them
        self.values.pop(name, None)
        self.names = {key: now for key, now in self.names.items() if now != name}

    def alter_column(
        self,
        table: str,
        column: str,
        *,
        nullable: bool | None = None,
        server_default: Any = False,
        name: str | None = None,
        type_: Any = None,
        existing_type: Any = None,
        **keywords: object,
    ) -> None:
        """Alter a column; those that the table had are renamed already.

        A collation that neither type names is kept: whoever wrote the old one did not know of it.
        """
        now = self.current(column)
        if name is not None and name != now and now not in self.values:
            self.text.rename_column(now, name)
            self.names |= {column: name, name: name}
            now = name
        if type_ is not None:
            kind = type_() if isinstance(type_, type) else type_
            self._retype(now, kind, getattr(existing_type, "collation", None))
        if nullable is not None:
            self.text.set_nullable(now, nullable)
        if server_default is not False:
            default = Column("c", Integer, server_default=server_default)
            self.text.set_default(now, self._compiled(default).columns[0].default)

    def _retype(self, name: str, kind: TypeEngine[Any], collation: str | None) -> None:
        """Give a column another type; the check and the collation of the old one go with it."""
        self.text.drop_all(self.text.checks_of_type(name))
        new = self._compiled(Column("c", kind)).columns[0]
        if collation is None and getattr(kind, "collation", "") is None:
            new = replace(new, collation=self.text.column(name).collation)
        self.text.retype(name, new)
        if name in self.values and self.text.column(name).generated is None:
            existing = self.old.c[name]
            existing.type = self.types[name]
            transfer = {"expr": self.values[name]}
            self.cast(existing, transfer, kind)
            self.values[name] = transfer["expr"]

    def _columns(self) -> list[str]:
        return [item.name for item in self.text.table.columns]

    # -- constraints ------------------------------------------------------------------------------

    def add_constraint(self, constraint: Any, **keywords: object) -> None:
        """Add a constraint, in the place of one that has its name."""
        compiler: Any = self.dialect.ddl_compiler
        compiler = compiler(self.dialect, None)
        if not constraint._should_create_for_compiler(compiler):  # of a type that has none here
            return
        self._follow_names(constraint.columns)
        sql = compiler.process(constraint)
        if isinstance(constraint, PrimaryKeyConstraint):
            self.text.replace_key(sql)
            return
        self.text.drop_all([*self._replaced(constraint)])
        if sql:
            self.text.add(sql)

    def _replaced(self, constraint: Constraint) -> Iterator[create_table.Constraint]:
        """Yield what has the name of a new constraint.

        Also a check without a name that a named one is to replace: Alembic has lost it before.
        """
        yield from self._named(constraint.name, _class_of(constraint))
        if isinstance(constraint, CheckConstraint) and isinstance(constraint.name, str):
            about = self.text.about(self._condition(constraint))
            yield from self.text.unnamed_checks(about) if about else ()

    def drop_constraint(
        self, constraint: Any, *, if_exists: bool | None = None, **keywords: object
    ) -> None:
        """Drop a constraint by its name; the key of a table, and what a type brings, without."""
        kind = _class_of(constraint)
        known = [*self._named(constraint.name, kind)]
        if not known and kind is PrimaryKey and self.text.table.key:
            known = [self.text.table.key]
        if known:
            self.text.drop(known[0])
        elif kind is Check and str(constraint.sqltext):  # it comes from the type of a column
            self._drop_checks([constraint])
        elif not if_exists:
            raise ValueError(f"No such constraint: {constraint.name!r}")

    def _named(
        self, name: object, kind: type[create_table.Constraint] | None
    ) -> Iterator[create_table.Constraint]:
        """Yield the constraints that have a name, the same in its case before others."""
        known = [
            item
            for item in self.text.table.constraints
            if item.name is not None
            and isinstance(name, str)
            and item.name.lower() == name.lower()
            and (kind is None or type(item) is kind)
        ]
        yield from sorted(known, key=lambda item: item.name != name)

    def _drop_checks(self, checks: Sequence[CheckConstraint]) -> None:
        """Drop the checks without a name that say the same."""
        said = {canonical(SQLITE, self._condition(check)) for check in checks}
        self.text.drop_all(
            [
                item
                for item in self.text.unnamed_checks()
                if canonical(SQLITE, item.expression) in said
            ]
        )

    def _condition(self, check: CheckConstraint) -> str:
        keywords = {"literal_binds": True, "include_table": False}
        return str(check.sqltext.compile(dialect=self.dialect, compile_kwargs=keywords))

    def _follow_names(self, columns: Iterable[Any]) -> None:
        """Let what names columns as they were name them as they are."""
        for column in columns:
            column.name = self.current(column.name)

    # -- indexes ----------------------------------------------------------------------------------

    def create_index(self, index: Index, **keywords: Any) -> None:
        """Note an index that is created after the rebuild; Alembic has expressions as columns."""
        known = {*map(str.lower, [*self.names, *self._columns()])}
        self._follow_names(item for item in index.columns if item.name.lower() in known)
        self.created.append((index, keywords))

    def drop_index(self, index: Index, *, if_exists: bool | None = None, **keywords: Any) -> None:
        """Note an index that is not created again."""
        name = str(index.name).lower()
        new = [item for item in self.created if str(item[0].name).lower() == name]
        old = [known for known in self.rebuild.indexes if known.lower() == name]
        if new:
            self.created.remove(new[0])
        elif old:
            del self.rebuild.indexes[old[0]]
            self.dropped.append(old[0])
        elif not if_exists:
            raise ValueError(f"No such index: {index.name!r}")

    # -- comments, of which SQLite has none -------------------------------------------------------

    def create_table_comment(self, table: Table) -> None:
        """Leave out the comment of a table."""

    def drop_table_comment(self, table: Table) -> None:
        """Leave out that a comment goes."""

    def create_column_comment(self, column: Column[Any]) -> None:
        """Leave out the comment of a column."""

    # -- SQLAlchemy's own SQL ---------------------------------------------------------------------

    def _compiled(self, *items: Any) -> create_table.CreateTable:
        """Return how SQLAlchemy creates a table of these items."""
        table = Table(self.rebuild.name, MetaData(), *items)
        return create_table.parse(statement_of(table, self.dialect))

    def _constraints(self, item: Constraint) -> Sequence[create_table.Constraint]:
        """Return how SQLAlchemy creates a constraint of the table."""
        columns = (Column(name, Integer) for name in self._columns())
        return self._compiled(*columns, item).table_constraints


def statement_of(table: Table, dialect: Dialect) -> str:
    """Return how SQLAlchemy creates a table, also where it does not know what it refers to."""
    for key in [*table.foreign_keys]:
        path, _, name = key.target_fullname.rpartition(".")
        schema, _, referred = path.rpartition(".")
        other = table.metadata.tables.get(path)
        if other is None:
            other = Table(referred, table.metadata, schema=schema or None)
        if name not in other.c:
            other.append_column(Column(name, Integer))
    return str(CreateTable(table).compile(dialect=dialect)).strip()


def _renamed(rebuild: TableRebuild, operations: Operations) -> dict[str, str]:
    """Rename columns before all else, and return what each is called from now on.

    A column is renamed out of the way of another if it is renamed too, or dropped.
    """
    wanted = _wanted([column.name for column in rebuild.table.columns], operations)
    now = {name: name for name in wanted}
    taken = {str(new).lower() for old, new in wanted.items() if new != old}
    for old, new in wanted.items():
        if old.lower() in taken and new != old:
            now[old] = f"{TEMPORARY}{old}"
            rebuild.rename_column(old, now[old])
    for old, new in wanted.items():
        if new is not None and new != now[old]:
            rebuild.rename_column(now[old], new)
            now[old] = new
    return now


def _wanted(columns: Sequence[str], operations: Operations) -> dict[str, str | None]:
    """Return what columns are called after operations; None for those that are dropped."""
    wanted: dict[str, str | None] = {name: name for name in columns}
    known = {name.lower(): name for name in columns}
    for operation, arguments, keywords in operations:
        if operation not in ("add_column", "drop_column", "alter_column"):
            continue
        key = str(getattr(arguments[1], "name", arguments[1])).lower()
        name = known.get(key)
        if operation == "add_column":
            known.pop(key, None)
        elif operation == "drop_column" and name:
            wanted[known.pop(key)] = None
        elif name and keywords.get("name") is not None:
            wanted[name] = keywords["name"]
            known.setdefault(keywords["name"].lower(), name)
    return wanted


def _class_of(constraint: Constraint) -> type[create_table.Constraint] | None:
    classes = (ours for theirs, ours in CLASSES.items() if isinstance(constraint, theirs))
    return next(classes, None)
