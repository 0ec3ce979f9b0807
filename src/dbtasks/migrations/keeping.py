"""Columns and constraints of SQLite that are kept as they were while their table is made anew."""

from collections.abc import Collection, Iterator
from typing import Any

from alembic.operations.batch import ApplyBatchImpl
from sqlalchemy import (
    BOOLEAN,
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
from sqlalchemy.types import SchemaType, TypeEngine

from dbtasks.engines.base.created import CONFLICT, Created, Unique
from dbtasks.engines.sql.expressions import canonical, is_list, mentioned, renamed
from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sql.quoting import escape


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
    names = {one.name for one in created.uniques if one.name is not None}
    for one in created.uniques:
        _keep_unreflected(batch_impl, one, names)
    checks = [item for item in stated if isinstance(item, CheckConstraint)]
    if all(check._ddl_if is not None for check in checks):
        _keep_checks(batch_impl, {canonical(SQLITE, str(check.sqltext)) for check in checks})


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


def _keep_unreflected(batch_impl: ApplyBatchImpl, unique: Unique, names: Collection[str]) -> None:
    """Keep a unique constraint that SQLAlchemy does not find, as most that stand in a column."""
    assert batch_impl.new_table is not None
    new = {old.name.lower(): new for old, new in _kept(batch_impl)}
    columns = [new[one] for one in unique.columns if one in new]
    known = [
        *_uniques(batch_impl.table, unique, names),
        *_uniques(batch_impl.new_table, unique, names),
    ]
    called = tuple(one.name.lower() for one in columns)
    plain = not any(unique.collations)
    if len(columns) < len(unique.columns) or (plain and {called, unique.columns} & {*known}):
        return
    found = SortedUnique(*columns, name=unique.name, sqlite_on_conflict=unique.conflict)
    found.collations = unique.collations
    batch_impl.new_table.append_constraint(found)


def _uniques(table: Table, like: Unique, names: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the columns of those that have the name of another; or no name of the database's."""
    for item in table.constraints:
        same = item.name not in names if like.name is None else item.name == like.name
        if same and isinstance(item, UniqueConstraint):
            yield tuple(column.name.lower() for column in item.columns)


def _keep_checks(batch_impl: ApplyBatchImpl, lost: Collection[str]) -> None:
    """Keep the checks without a name but the lost ones, where nobody says which there are to be.

    One about a column that goes, goes with it; so does that of a type with its type, as of an
    enum, and one with another that takes its place.
    """
    assert batch_impl.new_table is not None
    names = new_names(batch_impl)
    typed = {old.name.lower() for old, new in _kept(batch_impl) if new.type is not old.type}
    typed |= {one.name.lower() for one in batch_impl.table.c if _has_own_check(one.type)}
    added = [_about(batch_impl, one) for one in batch_impl.named_constraints.values()]
    for one in batch_impl.table.constraints:
        about = _about(batch_impl, one)
        if not isinstance(one, CheckConstraint) or one.name or one._type_bound or about is None:
            continue
        sql = str(one.sqltext)
        if canonical(SQLITE, sql) in lost:
            continue
        after = {names.get(name, name) for name in about}
        of_type = len(about) == 1 and about <= typed and is_list(SQLITE, sql)
        if about <= names.keys() and not of_type and after not in added:
            sql = with_new_names(batch_impl, sql)
            check = CheckConstraint(text(escape(sql)))
            batch_impl.new_table.append_constraint(check)


def new_names(batch_impl: ApplyBatchImpl) -> dict[str, str]:
    """Return what the columns that stay are called from now on, by their names in lower case."""
    return {old.name.lower(): new.name for old, new in _kept(batch_impl)}


def with_new_names(batch_impl: ApplyBatchImpl, sql: str) -> str:
    """Return an expression of the old table as it is in the new one."""
    changed = {old: new for old, new in new_names(batch_impl).items() if old != new.lower()}
    quote = batch_impl.impl.dialect.identifier_preparer.quote
    return renamed(SQLITE, sql, changed, batch_impl.table.name, quote)


def _about(batch_impl: ApplyBatchImpl, one: Constraint) -> set[str] | None:
    """Return the columns that a check is about, old and new ones; None for no check."""
    if not isinstance(one, CheckConstraint):
        return None
    assert batch_impl.new_table is not None
    columns = {each.name.lower() for each in (*batch_impl.table.c, *batch_impl.new_table.c)}
    return {*mentioned(SQLITE, str(one.sqltext), columns)}


def _has_own_check(kind: TypeEngine[Any]) -> bool:
    """Whether a revision says of a type that it brings its check itself, or has none."""
    return isinstance(kind, SchemaType) and not isinstance(kind, BOOLEAN)


def _set(item: DialectKWArgs, option: str, value: object) -> None:
    """Set an option that the revision does not."""
    if value is not None and option not in [*item.dialect_kwargs]:  # it has the defaults too
        item.dialect_kwargs[option] = value
