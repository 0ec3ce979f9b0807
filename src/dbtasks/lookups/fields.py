"""Names of the command line, resolved against the mapper: none of them reaches the SQL as text."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import QueryableAttribute, aliased

from dbtasks.errors import UsageError
from dbtasks.lookups.targets import Target, of_mapper
from dbtasks.models import suggest

Relationship = QueryableAttribute[Any]


@dataclass(frozen=True)
class Field:
    """Name a column, or a relationship, at the end of a path over relationships."""

    name: str
    path: tuple[Relationship, ...]
    column: ColumnElement[Any] | None

    @property
    def to_many(self) -> bool:
        """Whether a record can have several values of it."""
        return any(one.property.uselist for one in self.path)


def find_field(target: Target, name: str) -> Field:
    """Return the field that a name as `name` or `department.name` stands for.

    A column may go by its name in the table, where no attribute or relationship has it.

    Raises UsageError with what is near it.
    """
    path: list[Relationship] = []
    *steps, last = name.split(".")
    for step in steps:
        if step not in target.relationships:
            raise _unknown(target, step, name, relationship=True)
        path.append(target.relationships[step])
        target = of_mapper(path[-1].property.mapper)
    if last in target.columns:
        return Field(name, tuple(path), target.columns[last])
    if last in target.relationships:
        return Field(name, (*path, target.relationships[last]), None)
    if last in target.names:
        own = target.names[last]
        return Field(".".join([*steps, own]), tuple(path), target.columns[own])
    raise _unknown(target, last, name, relationship=False)


def find_column(target: Target, name: str) -> ColumnElement[Any]:
    """Return a column of the target itself, which can be set."""
    if name in target.relationships:
        raise UsageError(
            f"{name} is a relationship of {target.name}, not a column",
            hint=f"set the column that refers to it; {suggest(name, target.columns)}",
        )
    if name not in target.columns:
        raise _unknown(target, name, name, relationship=False)
    if not target.stores(name):
        raise UsageError(
            f"{name} of {target.name} is an expression, which is not stored",
            hint="leave it out, and set the columns that it is made of",
        )
    return target.columns[name]


class Joins:
    """Collect the outer joins that the paths of columns and of an order need, each once."""

    def __init__(self) -> None:
        self._aliases: dict[tuple[str, ...], Any] = {}
        self.relationships: list[Any] = []

    def column(self, field: Field) -> ColumnElement[Any]:
        """Return the column of a field, over the joins of its path.

        Raises UsageError for a path over a to-many relationship, which would repeat records,
        and for a relationship at its end.
        """
        if field.column is None:
            raise UsageError(
                f"{field.name} is a relationship, not a column",
                hint=f"name a column of it, as {field.name}.id",
            )
        if field.to_many:
            raise UsageError(
                f"{field.name} has several values for one record",
                hint="only --where can go over a to-many relationship",
            )
        alias = None
        keys: tuple[str, ...] = ()
        for relationship in field.path:
            keys = (*keys, relationship.key)
            alias = self._alias(keys, relationship, alias)
        return field.column if alias is None else getattr(alias, field.name.rpartition(".")[2])

    def _alias(self, keys: tuple[str, ...], relationship: Relationship, parent: Any) -> Any:
        if keys not in self._aliases:
            self._aliases[keys] = aliased(relationship.property.mapper.class_)
            start = relationship if parent is None else getattr(parent, relationship.key)
            self.relationships.append(start.of_type(self._aliases[keys]))
        return self._aliases[keys]


def _unknown(target: Target, name: str, whole: str, *, relationship: bool) -> UsageError:
    what = "relationship" if relationship else "field"
    known = [] if relationship else list(target.columns)
    known += target.relationships
    inside = f" (in {whole})" if whole != name else ""
    return UsageError(f"{target.name} has no {what} {name!r}{inside}", hint=suggest(name, known))
