"""Show one record, with the objects that it refers to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, joinedload, object_mapper

from dbtasks.errors import DbtasksError, Negative
from dbtasks.hints import command_line
from dbtasks.lookups.targets import Target, find_target, of_mapper
from dbtasks.project import Project
from dbtasks.records.selection import key_conditions, read_key
from dbtasks.records.sessions import open_session
from dbtasks.references import project_raised
from dbtasks.values.printing import holds_documents, marked, shown


@dataclass(frozen=True)
class Record:
    """Hold all columns of a record, and by relationship the objects that it refers to."""

    values: Mapping[str, Any]
    related: Mapping[str, "Record | None"]
    text: str | None = None


def get(project: Project, model: str | None = None, *, pk: Sequence[str]) -> Record:
    """Return the record with this primary key, and its many-to-one objects.

    `pk` is one value, or `FIELD=VALUE` for each part of the key. Raises Negative where there is
    none, UsageError for a key that is not the target's.
    """
    target = find_target(project, model)
    key = read_key(target, project.backend, pk)
    found = (
        _get_row(project, target, pk) if target.mapper is None else _get_object(project, target, pk)
    )
    if found is None:
        shown = ", ".join(f"{name}={value}" for name, value in key.items())
        raise Negative(
            f"there is no {target.name} with {shown}",
            hint=f"see: {command_line('query', model=target.name)}",
        )
    return found


def _get_row(project: Project, target: Target, pk: Sequence[str]) -> Record | None:
    columns = target.columns
    selected = (shown(column, project.backend) for column in columns.values())
    statement = select(*selected).where(*key_conditions(target, project.backend, pk))
    with project.connect() as connection:
        row = connection.execute(statement).first()
    return None if row is None else Record(dict(zip(columns, row, strict=True)), {})


def _get_object(project: Project, target: Target, pk: Sequence[str]) -> Record | None:
    many_to_one = [one for one in target.relationships.values() if not one.property.uselist]
    # Not session.get: = ignores case and trailing spaces on MySQL.
    statement = (
        select(target.entity)
        .where(*key_conditions(target, project.backend, pk))
        .options(*(joinedload(one) for one in many_to_one))
    )
    with open_session(project) as session:
        found = session.scalars(statement).first()
        if found is None:
            return None
        related = {
            one.key: _describe(project, session, getattr(found, one.key)) for one in many_to_one
        }
        return Record(_values(project, session, target, found), related)


def _describe(project: Project, session: Session, found: Any) -> Record | None:
    if found is None:
        return None
    target = of_mapper(object_mapper(found))
    values = _values(project, session, target, found)
    return Record(values, {}, _text(target, found) if target.has_text else None)


def _text(target: Target, found: Any) -> str:
    try:
        return str(found)
    except (DbtasksError, DBAPIError, OSError):
        raise
    except Exception as error:
        raise project_raised(
            f"{target.name}.__str__", error, function=type(found).__str__
        ) from error


def _values(project: Project, session: Session, target: Target, found: Any) -> dict[str, Any]:
    """Return the values of an object; where its types read less than is stored, what is."""
    backend = project.backend
    values: dict[str, Any] = {}
    others: dict[str, ColumnElement[Any]] = {}
    for name, column in target.columns.items():
        value = getattr(found, name)
        is_document = isinstance(value, str) and holds_documents(column.type, backend)
        values[name] = marked(value) if is_document else value
        if (other := backend.shown(column)) is not column:
            others[name] = other
    if others:
        keys = zip(inspect(target.entity).primary_key, inspect(found).identity, strict=True)
        same = [backend.equals(column, value) for column, value in keys]
        row = session.execute(select(*others.values()).select_from(target.entity).where(*same))
        values |= zip(others, row.one(), strict=True)
    return values
