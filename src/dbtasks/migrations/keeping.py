"""Columns and constraints of SQLite that are kept as they were while their table is made anew."""

import re
from collections.abc import Iterator
from typing import Any

from alembic.operations.batch import ApplyBatchImpl
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import DialectKWArgs

from dbtasks.engines.created import CONFLICT, Created, Unique
from dbtasks.migrations.making.words import mentions


class SortedUnique(UniqueConstraint):
    """Compare by collations that are not the columns' own, of which SQLAlchemy knows nothing."""

    collations: tuple[str | None, ...] = ()


@compiles(SortedUnique, "sqlite")
def _sorted_unique(constraint: SortedUnique, compiler: Any, **keywords: Any) -> str:
    quote = compiler.preparer.quote
    columns = [
        f"{quote(column.name)} COLLATE {quote(collation)}" if collation else quote(column.name)
        for column, collation in zip(constraint.columns, constraint.collations, strict=True)
    ]
    name = f"CONSTRAINT {quote(constraint.name)} " if constraint.name else ""
    conflict = constraint.dialect_kwargs[CONFLICT]
    then = f" ON CONFLICT {conflict}" if conflict else ""
    return f"{name}UNIQUE ({', '.join(columns)}){then}"


def keep(batch_impl: ApplyBatchImpl, created: Created) -> None:
    """Give the new table what the old one has besides what was reflected."""
    table, stated = batch_impl.new_table, batch_impl.table_args
    assert table is not None
    _keep_columns(batch_impl, created)
    for old, new in _carried(batch_impl):
        columns = tuple(one.name.lower() for one in old.columns)
        if isinstance(new, PrimaryKeyConstraint):
            _keep_key(table, new, created)
        elif isinstance(new, UniqueConstraint):
            _set(new, CONFLICT, created.conflict(columns))
        elif isinstance(new, ForeignKeyConstraint):
            for option, value in created.references.get(columns, {}).items():
                setattr(new, option, value)
    for one in created.uniques:
        _keep_unreflected(batch_impl, one)
    if not any(isinstance(one, CheckConstraint) and one._ddl_if is None for one in stated):
        _keep_checks(batch_impl)


def _kept(batch_impl: ApplyBatchImpl) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """Yield the columns whose values are copied, as they were and as they are to be."""
    for key, transfer in batch_impl.column_transfers.items():
        if "expr" in transfer:
            yield batch_impl.table.c[key], batch_impl.columns[key]


def _carried(batch_impl: ApplyBatchImpl) -> Iterator[tuple[Any, Constraint]]:
    """Yield the constraints that no revision touches, as they were and as they are to be."""
    assert batch_impl.new_table is not None
    stay = [*batch_impl.named_constraints.values(), *batch_impl.unnamed_constraints]
    there = {_sign(one): one for one in batch_impl.new_table.constraints}
    for one in stay:
        if one in batch_impl.table.constraints and _sign(one) in there:
            yield one, there[_sign(one)]


def _sign(constraint: Any) -> tuple[object, ...]:
    columns = [one.key for one in getattr(constraint, "columns", ())]
    refers = [one.target_fullname for one in getattr(constraint, "elements", ())]
    return constraint.__visit_name__, constraint.name, *columns, *refers


def _keep_columns(batch_impl: ApplyBatchImpl, created: Created) -> None:
    """Keep the collation of a column whose type stays, and what is done about a NULL."""
    for old, new in _kept(batch_impl):
        collation = created.collations.get(old.name.lower())
        if collation and new.type is old.type and isinstance(new.type, String):
            new.type = new.type.copy()
            new.type.collation = collation
        _set(new, f"{CONFLICT}_not_null", created.required.get(old.name.lower()))


def _keep_key(table: Table, key: PrimaryKeyConstraint, created: Created) -> None:
    """Keep AUTOINCREMENT too, which stands with the column, and only with an INTEGER."""
    columns = [*key.columns]
    if created.numbered is not None and str(columns[0].type) == "INTEGER":
        _set(table, "sqlite_autoincrement", True)
        _set(columns[0], f"{CONFLICT}_primary_key", created.key)
    else:
        _set(key, CONFLICT, created.key)


def _keep_unreflected(batch_impl: ApplyBatchImpl, unique: Unique) -> None:
    """Keep a unique constraint that SQLAlchemy does not find, as most that stand in a column."""
    assert batch_impl.new_table is not None
    new = {old.name.lower(): new for old, new in _kept(batch_impl)}
    columns = [new[one] for one in unique.columns if one in new]
    known = [*_uniques(batch_impl.table), *_uniques(batch_impl.new_table)]
    names = tuple(one.name.lower() for one in columns)
    plain = not any(unique.collations)
    if len(columns) < len(unique.columns) or (plain and {names, unique.columns} & {*known}):
        return
    found = SortedUnique(*columns, name=unique.name, sqlite_on_conflict=unique.conflict)
    found.collations = unique.collations
    batch_impl.new_table.append_constraint(found)


def _uniques(table: Table) -> Iterator[tuple[str, ...]]:
    for one in table.constraints:
        if isinstance(one, UniqueConstraint):
            yield tuple(each.name.lower() for each in one.columns)


def _keep_checks(batch_impl: ApplyBatchImpl) -> None:
    """Keep the checks without a name, where the revision does not say which there are to be.

    One about a column that goes, goes with it.
    """
    assert batch_impl.new_table is not None
    dialect = batch_impl.impl.dialect
    gone = {*batch_impl.table.c.keys()} - {old.key for old, _ in _kept(batch_impl)}
    for one in batch_impl.table.constraints:
        if isinstance(one, CheckConstraint) and not one.name:
            sql = str(one.sqltext)
            if not any(mentions(dialect, sql, name) for name in gone):
                check = CheckConstraint(text(re.sub(r"(?<!:):(?=\w)", r"\\:", sql)))
                batch_impl.new_table.append_constraint(check)


def _set(item: DialectKWArgs, option: str, value: object) -> None:
    """Set an option that the revision does not."""
    if value is not None and option not in [*item.dialect_kwargs]:  # it has the defaults too
        item.dialect_kwargs[option] = value
