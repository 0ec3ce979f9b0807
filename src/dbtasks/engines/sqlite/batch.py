"""A table of SQLite as Alembic's `batch_alter_table` says that it is to be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import SchemaType
from sqlalchemy.util import topological

from dbtasks.engines.sql.expressions import canonical
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sqlite import create_table
from dbtasks.engines.sqlite.create_table import Check, ForeignKey, PrimaryKey, Unique
from dbtasks.engines.sqlite.table_operations import TableOperations


class Batch(TableOperations):
    """Apply the arguments of a batch, and its operations."""

    # -- the arguments of batch_alter_table -------------------------------------------------------

    def name_constraints(self, convention: Mapping[str, Any]) -> None:
        """Give the constraints without a name that of a naming convention, unless it is taken."""
        while (pair := next(self._conventional(convention), None)) is not None:
            self.text.name(*pair)

    def _conventional(
        self, convention: Mapping[str, Any]
    ) -> Iterator[tuple[create_table.Constraint, str]]:
        metadata: Any = MetaData(naming_convention=convention)
        table = Table(self.rebuild.name, metadata, schema=self.rebuild.schema)
        for name in self._columns():
            table.append_column(Column(name))
        taken = {item.name for item in self.text.table.constraints}
        for constraint in self.text.table.constraints:
            item = _constraint(constraint) if constraint.name is None else None
            if item is not None:
                table.append_constraint(item)
                if isinstance(item.name, str) and item.name not in taken:
                    yield constraint, str(item.name)

    def restate(self, items: Iterable[Any]) -> None:
        """Take over what `reflect_args` says of the old table: types, and constraints' names."""
        for item in items:
            if isinstance(item, Column):
                self.restate_column(item)
            elif isinstance(item, Constraint):
                self._restate_constraint(item)

    def restate_column(self, column: Column[Any]) -> None:
        """Take over the type of a column, with the check that it has or has not."""
        name = self.current(column.name)
        new = self._compiled(Column(name, column.type))
        if isinstance(column.type, SchemaType):
            self.text.drop_all(self.text.checks_of_type(name))
            for check in new.constraints:
                if isinstance(check, Check) and not [*self._named(check.name, Check)]:
                    self.text.add(self.text.labelled(check))
        self.text.retype(name, new.columns[0])

    def _restate_constraint(self, constraint: Constraint) -> None:
        new = self._constraints(constraint)
        for item in new:
            same = [known for known in self.text.table.constraints if _sign(known) == _sign(item)]
            unnamed = [known for known in same if known.name is None]
            if any(known.name == item.name for known in same):
                continue
            if unnamed and item.name is not None:
                self.text.name(unnamed[0], item.name)
            elif not [*self._named(item.name, type(item))]:
                self.text.add(self.text.labelled(item))

    def leave_out_checks(self, items: Sequence[Any]) -> None:
        """Drop the checks without a name that `table_args` does not have.

        Alembic omits them, so that it says which there are to be; one that no SQLite has, by
        `ddl_if`, is one that is dropped.
        """
        checks = [item for item in items if isinstance(item, CheckConstraint) and item.name is None]
        stated = [check for item in checks for check in self._constraints(item)]
        if stated:
            kept = {_sign(check) for check in stated}
            self.text.drop_all(
                [item for item in self.text.unnamed_checks() if _sign(item) not in kept]
            )
        else:
            self._drop_checks(checks)

    def add_items(self, items: Iterable[Any]) -> None:
        """Add what `table_args` has and the table has not."""
        for item in items:
            if isinstance(item, Column):
                self.add_column("", item)
            elif isinstance(item, Index):
                self.create_index(item)
            elif isinstance(item, Constraint):
                self._restate_constraint(item)

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Give the table the options of `table_kwargs`."""
        if "sqlite_strict" in options:
            self.text.set_options(strict=bool(options["sqlite_strict"]))
        if "sqlite_with_rowid" in options:
            self.text.set_options(without_rowid=not options["sqlite_with_rowid"])
        if "sqlite_autoincrement" in options:
            self.text.set_autoincrement(bool(options["sqlite_autoincrement"]))

    def reorder(self, tuples: Iterable[Sequence[str]]) -> None:
        """Put the columns in the order of `partial_reordering`."""
        pairs = {pair for names in tuples for pair in pairwise(map(self.current, names))}
        order = topological.sort({*pairs, *self.beside}, self._columns(), deterministic_order=True)
        self.text.reorder([*order])


def _constraint(constraint: create_table.Constraint) -> Constraint | None:
    """Return a constraint as SQLAlchemy's naming conventions take it; None for a check."""
    match constraint:
        case ForeignKey():
            referred = [f"{constraint.table}.{name}" for name in constraint.referred]
            referred = referred or [f"{constraint.table}.{name}" for name in constraint.columns]
            return ForeignKeyConstraint(constraint.columns, referred)
        case PrimaryKey():
            return PrimaryKeyConstraint(*constraint.columns)
        case Unique():
            return UniqueConstraint(*constraint.columns)
    return None


def _sign(constraint: create_table.Constraint) -> tuple[object, ...]:
    """Return what a constraint says, without its name."""
    match constraint:
        case Check():
            said: object = canonical(SQLITE, constraint.expression)
        case ForeignKey():
            said = (*map(str.lower, constraint.columns), constraint.table.lower())
        case Unique():
            said = (*map(str.lower, constraint.columns),)
        case _:
            said = None
    return type(constraint), said
