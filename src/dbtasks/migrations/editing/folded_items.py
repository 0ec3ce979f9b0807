"""Constraints and indexes of a table, by names that may change after they were made."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement

from dbtasks.engines.base.definitions import Place
from dbtasks.engines.sql.expressions import renamed
from dbtasks.engines.sql.lexer import Lexer
from dbtasks.engines.sql.quoting import escape, identifier
from dbtasks.schema.models import CONCURRENTLY
from dbtasks.schema.operations import sql_of

TIMING = ("deferrable", "initially", "comment", "info")


class Item:
    """Hold a constraint or an index, and how its columns and tables are called now."""

    def __init__(self, source: Any, name: str | None = None) -> None:
        self.source = source
        self.name: Any = name or source.name
        self.built: Any = None
        self.is_index = isinstance(source, Index)
        self.is_key = isinstance(source, PrimaryKeyConstraint)
        self._names = {name: name for name in _columns_of(source)}
        self._renamed: dict[str, str] = {}
        self.refers: Place | None = None
        self.referred: list[str] = []
        if isinstance(source, ForeignKeyConstraint):
            targets = [element.target_fullname.rpartition(".") for element in source.elements]
            schema, _, table = targets[0][0].rpartition(".")
            self.refers = Place(schema or None, table)
            self.referred = [column for _, _, column in targets]

    @property
    def columns(self) -> list[str]:
        """Return the names of its columns as they are now."""
        return [*self._names.values()]

    def rename_column(self, old: str, new: str) -> None:
        """Follow a column to its new name."""
        self._names = {key: new if name == old else name for key, name in self._names.items()}
        for key, name in self._renamed.items():
            if name == old:
                self._renamed[key] = new
                return
        self._renamed[old.lower()] = new

    def rename_table(self, old: Place, new: Place) -> None:
        """Follow the table that a foreign key refers to."""
        if self.refers == old:
            self.refers = new

    def rename_referred(self, place: Place, old: str, new: str) -> None:
        """Follow a column that a foreign key refers to."""
        if self.refers == place:
            self.referred = [new if name == old else name for name in self.referred]

    def build(self, table: Table, dialect: Dialect, lexer: Lexer) -> None:
        """Give a table the constraint or index."""
        if any(name not in table.c for name in self.columns):
            return
        self.built = made = self._built(table, dialect, lexer)
        if made is not None and not self.is_index:
            table.append_constraint(made)

    def _built(self, table: Table, dialect: Dialect, lexer: Lexer) -> Any:
        source = self.source
        options = {key: value for key in TIMING if (value := getattr(source, key, None))}
        options |= source.dialect_kwargs
        options.pop(CONCURRENTLY, None)
        match source:
            case PrimaryKeyConstraint():
                return PrimaryKeyConstraint(*self.columns, name=self.name, **options)
            case UniqueConstraint():
                return UniqueConstraint(*self.columns, name=self.name, **options)
            case ForeignKeyConstraint():
                return self._built_foreign_key(options)
            case CheckConstraint():
                condition = self._expression(source.sqltext, table, dialect, lexer)
                return CheckConstraint(condition, name=self.name, **options)
            case Index():
                expressions = [
                    table.c[self._names[part.name]]
                    if isinstance(part, Column)
                    else self._expression(part, table, dialect, lexer)
                    for part in source.expressions
                ]
                return Index(self.name, *expressions, unique=source.unique, _table=table, **options)
        return None if self._is_renamed else source._copy(target_table=table)

    def _built_foreign_key(self, options: dict[str, Any]) -> ForeignKeyConstraint:
        assert self.refers is not None
        full = ".".join(filter(None, self.refers))
        for name in ("onupdate", "ondelete", "match"):
            options[name] = getattr(self.source, name)
        referred = [f"{full}.{column}" for column in self.referred]
        return ForeignKeyConstraint(self.columns, referred, name=self.name, **options)

    @property
    def _is_renamed(self) -> bool:
        return any(key != name for key, name in self._names.items())

    def _expression(
        self, expression: ClauseElement | str, table: Table, dialect: Dialect, lexer: Lexer
    ) -> Any:
        """Return an expression as SQL, with the new names of columns."""
        sql = sql_of(dialect, expression)
        if self._renamed:
            sql = renamed(lexer, sql, self._renamed, table.name, partial(identifier, dialect))
        return text(escape(sql))


def items_of(table: Table) -> Iterator[Item]:
    """Yield the constraints and indexes of a table, without those that a type brings."""
    for constraint in _sorted(table):
        if isinstance(constraint, PrimaryKeyConstraint) and not constraint.columns:
            continue
        if not getattr(constraint, "_type_bound", False):
            yield Item(constraint)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        yield Item(index)


def _sorted(table: Table) -> list[Constraint]:
    """Return constraints in one order: those of a table are a set."""
    return sorted(
        table.constraints, key=lambda item: (type(item).__name__, _columns_of(item), str(item.name))
    )


def _columns_of(source: Any) -> list[str]:
    columns = getattr(source, "columns", ())
    return [column.name for column in columns]
