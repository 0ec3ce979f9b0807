"""Indexes and constraints of which the name alone is another: renamed, and never away."""

from collections.abc import Iterable, Iterator
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table

from dbtasks.engines.attached import CHECK, FOREIGN_KEY, INDEX, UNIQUE, UNIQUE_INDEX
from dbtasks.migrations.making.checks import AddCheck, DropCheck
from dbtasks.migrations.making.reflection import Place, Reflection, alike
from dbtasks.migrations.making.statements import Statements
from dbtasks.migrations.making.uses import quote

Operations = list[ops.MigrateOperation]

NOTHING = ("None", "False", "{}", "[]", "")
"""What an option is that is not given, as a text; an expression has no other truth."""


def add(
    context: MigrationContext,
    reflection: Reflection,
    tables: Iterable[Table],
    operations: Operations,
) -> Operations:
    """Return the operations with a rename in the place of what drops a thing and makes it again.

    Others may refer to it, as a foreign key to what is unique.
    """
    for one in operations:
        if isinstance(one, ops.ModifyTableOps):
            place = (one.schema, one.table_name)
            for old, new, kind in [*_pairs(one.ops)]:
                names = str(_name(old)), str(_name(new))
                renamed = _rename(reflection, place, kind, *names)
                turned = " DESC" in reflection.index_statements(place).get(names[0], "")
                if renamed is not None and not turned:  # reflection may not tell the order
                    one.ops[one.ops.index(old)] = renamed
                    one.ops.remove(new)
    return operations


def _pairs(operations: Operations) -> Iterator[tuple[Any, Any, str]]:
    """Yield what is dropped with what is made as the same by another name, and its kind."""
    new = [*operations]
    for old in operations:
        for one in new:
            kind = _kind(old, one)
            # What goes with a computed column is away as long as this is.
            if kind is not None and not hasattr(old, "about") and _name(old) and _name(one):
                yield old, one, kind
                new.remove(one)
                break


def _kind(old: Any, new: Any) -> str | None:
    """Return the kind of two things that are the same; None where they are not."""
    match old, new:
        case DropCheck(), AddCheck():
            back: Any = old.reverse()
            return CHECK if alike(str(back.condition), str(new.condition)) else None
        case ops.DropIndexOp(), ops.CreateIndexOp():
            return INDEX if _index(old.to_index()) == _index(new.to_index()) else None
        case ops.DropIndexOp(), ops.CreateUniqueConstraintOp():  # MySQL tells it as an index
            wanted: object = (_unique(new.to_constraint())[0], True, {})
            return UNIQUE_INDEX if _index(old.to_index()) == wanted else None
        case ops.DropConstraintOp(constraint_type="unique"), ops.CreateUniqueConstraintOp():
            same = _unique(old.to_constraint()) == _unique(new.to_constraint())
            return UNIQUE if same else None
        case ops.DropConstraintOp(constraint_type="foreignkey"), ops.CreateForeignKeyOp():
            same = _foreign(old.to_constraint()) == _foreign(new.to_constraint())
            return FOREIGN_KEY if same else None
    return None


def _index(one: Any) -> tuple[object, ...]:
    names = [getattr(each, "name", None) or str(each) for each in one.expressions]
    return names, bool(one.unique), _options(one)


def _unique(one: Any) -> tuple[object, ...]:
    return [each.name for each in one.columns], _times(one), _options(one)


def _foreign(one: Any) -> object:
    referred = [each.target_fullname for each in one.elements]
    return [*one.column_keys], referred, one.ondelete, one.onupdate, one.match, _times(one)


def _times(one: Any) -> object:
    """Return when a constraint is checked."""
    return bool(one.deferrable), one.initially


def _options(one: Any) -> object:
    told = {name: str(value) for name, value in one.dialect_kwargs.items()}
    return {name: value for name, value in told.items() if value not in NOTHING}


def _name(operation: Any) -> str | None:
    name: str | None = getattr(operation, "index_name", None) or getattr(
        operation, "constraint_name", None
    )
    return name


def _rename(
    reflection: Reflection, place: Place, kind: str, old: str, new: str
) -> Statements | None:
    """Return what renames a thing of a table; None where the database cannot."""
    quoted = reflection.dialect.identifier_preparer.quote
    table, (schema, _) = quote(reflection.dialect, place), place
    within = f"{reflection.dialect.identifier_preparer.quote_schema(schema)}." if schema else ""
    forth, back = (
        reflection.backend.renamed(kind, table, quoted(one), quoted(other), within)
        for one, other in ((old, new), (new, old))
    )
    if forth is None or back is None:
        return None
    return Statements(f"rename {old} to {new}", [forth], [back], f"rename {new} to {old}")
