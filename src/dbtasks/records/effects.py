"""What deleting records does in other tables, by foreign key and by relationship."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    ForeignKeyConstraint,
    FromClause,
    Table,
    and_,
    exists,
    func,
    select,
    tuple_,
)

from dbtasks.lookups.targets import Target
from dbtasks.records.selection import Selection

CASCADE, SET_NULL, SET_DEFAULT = "CASCADE", "SET NULL", "SET DEFAULT"

VERBS = {
    CASCADE: "go with it (ON DELETE CASCADE)",
    SET_NULL: "lose their reference (ON DELETE SET NULL)",
    SET_DEFAULT: "get their default reference (ON DELETE SET DEFAULT)",
}
STANDS = "stand against it (no ON DELETE)"


@dataclass(frozen=True)
class Effect:
    """Describe what happens to the rows of another table; `rows` is None where not counted."""

    table: str
    what: str
    rows: int | None = None


def comes_back(table: Table) -> bool:
    """Whether ON DELETE CASCADE leads from a table to the table itself."""
    seen: set[Table] = set()
    todo = [table]
    while todo:
        parent = todo.pop()
        children = [one for one, rule in _references(parent) if _rule(rule) == CASCADE]
        if table in children:
            return True
        todo += [child for child in children if child not in seen]
        seen |= {*children}
    return False


def effects_of(selection: Selection, *, count: bool) -> list[Effect]:
    """Return what deleting the selected records does elsewhere.

    With `count` the rows that it touches are counted, and tables without any are left out.
    """
    root = selection.target.table
    criteria = and_(True, *selection.criteria, *_of_class(selection.target))
    if not count:
        found = [effect for _, effect in _follow(root, criteria, set())]
    else:
        with selection.project.connect() as connection:
            found = list(_counted(connection, root, criteria))
    return [*found, *_unfollowed(selection)]


def _of_class(target: Target) -> Iterator[ColumnElement[bool]]:
    """Yield what tells the rows of a class from those of others that share its table."""
    mapper = target.mapper
    if mapper is not None and mapper.single and mapper.polymorphic_on is not None:
        identities = [one.polymorphic_identity for one in mapper.self_and_descendants]
        yield mapper.polymorphic_on.in_(identities)


def _counted(
    connection: Connection, root: Table, criteria: ColumnElement[bool]
) -> Iterator[Effect]:
    for (table, matches), effect in _follow(root, criteria, set()):
        rows = connection.scalar(select(func.count()).select_from(table).where(matches)) or 0
        if rows:
            yield Effect(effect.table, effect.what, rows)


def _follow(
    parent: Table, criteria: ColumnElement[bool], seen: set[Table]
) -> Iterator[tuple[tuple[FromClause, ColumnElement[bool]], Effect]]:
    """Yield each table that refers to the parent, and over CASCADE what refers to that."""
    for constraint in _own_references(parent):
        wider = _with_descendants(parent, constraint, criteria)
        yield _others(parent, constraint, criteria, wider), _effect(parent, constraint)
        criteria = wider
    for child, constraint in _references(parent):
        if child is parent or child in seen:
            continue
        matches = exists().where(criteria, *_joined(constraint)).correlate(child)
        yield (child, matches), _effect(child, constraint)
        if _rule(constraint) == CASCADE:
            yield from _follow(child, matches, {*seen, parent, child})


def _references(parent: Table) -> Iterator[tuple[Table, ForeignKeyConstraint]]:
    for table in parent.metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table is parent:
                yield table, constraint


def _rule(constraint: ForeignKeyConstraint) -> str:
    return (constraint.ondelete or "").upper()


def _effect(table: Table, constraint: ForeignKeyConstraint) -> Effect:
    return Effect(table.fullname, VERBS.get(_rule(constraint), STANDS))


def _own_references(table: Table) -> Iterator[ForeignKeyConstraint]:
    """Yield the foreign keys of a table to itself."""
    return (constraint for child, constraint in _references(table) if child is table)


def _with_descendants(
    table: Table, constraint: ForeignKeyConstraint, criteria: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Return criteria that rows meet too which CASCADE deletes over generations of one table."""
    if _rule(constraint) != CASCADE:
        return criteria
    referred = [element.column for element in constraint.elements]
    gone = select(*referred).where(criteria).cte(recursive=True)
    child = table.alias()
    gone = gone.union(
        select(*(child.c[column.key] for column in referred)).where(
            *(child.c[one.parent.key] == gone.c[one.column.key] for one in constraint.elements)
        )
    )
    return tuple_(*referred).in_(select(*gone.columns))


def _others(
    table: Table,
    constraint: ForeignKeyConstraint,
    criteria: ColumnElement[bool],
    wider: ColumnElement[bool],
) -> tuple[FromClause, ColumnElement[bool]]:
    """Return the table's rows that refer to those deleted and are not themselves selected."""
    other = table.alias()
    refers = [other.c[one.parent.key] == one.column for one in constraint.elements]
    is_it = [other.c[column.key] == column for column in table.primary_key]
    matches = exists().where(wider, *refers).correlate(other)
    return other, matches & ~exists().where(criteria, *is_it).correlate(other)


def _joined(constraint: ForeignKeyConstraint) -> list[ColumnElement[bool]]:
    return [element.parent == element.column for element in constraint.elements]


def _unfollowed(selection: Selection) -> Iterator[Effect]:
    """Yield the cascades that only the ORM knows: one DELETE does not run them."""
    if selection.target.mapper is None:
        return
    for relationship in selection.target.mapper.relationships:
        if relationship.cascade.delete and not relationship.passive_deletes:
            yield Effect(
                str(relationship),
                "is a cascade of the ORM alone, which one DELETE does not follow",
            )
