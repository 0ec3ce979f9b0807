"""What a class's `__str__` reads beyond its own columns, loaded with it instead of one by one."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    QueryableAttribute,
    RelationshipProperty,
    Session,
    joinedload,
    lazyload,
    selectin_polymorphic,
    selectinload,
    undefer,
)
from sqlalchemy.orm.interfaces import LoaderOption

Path = tuple[QueryableAttribute[Any], ...]
"""Relationships one after the other, or before a deferred column."""


def paths_of(instance: object) -> list[Path]:
    """Return what is loaded: relationships over all that hangs on an object, deferred columns."""
    return list(dict.fromkeys(_walk(instance, (), {id(instance)})))


def load_eagerly(mapper: Mapper[Any], paths: list[Path]) -> list[LoaderOption]:
    """Return the options that load them: many-to-one by join, to-many by a SELECT … IN.

    What the mapping loads eagerly by itself, and nobody reads, is left out.
    """
    subclasses = {path[0].parent for path in paths if path[0].parent is not mapper}
    classes = [one.class_ for one in subclasses]
    polymorphic = [selectin_polymorphic(mapper.class_, classes)] if classes else []
    return [lazyload("*"), *polymorphic, *(_option(path) for path in paths)]


def report_lazy_loads(session: Session, report: Callable[[str], None]) -> None:
    """Call `report` once with the name of each thing that is loaded one by one."""
    seen: set[str] = set()

    def look(state: ORMExecuteState) -> None:
        name = _loaded_by(state)
        if name is not None and name not in seen:
            seen.add(name)
            report(name)

    event.listen(session, "do_orm_execute", look)


def _loaded_by(state: ORMExecuteState) -> str | None:
    if state.is_column_load:
        return f"a column of {state.bind_mapper.class_.__name__}" if state.bind_mapper else None
    if not state.is_relationship_load or state.lazy_loaded_from is None:
        return None
    path: Any = state.loader_strategy_path
    return str(path.prop) if path is not None else "a relationship"


def _walk(instance: object, path: Path, seen: set[int]) -> Iterator[Path]:
    state: InstanceState[Any] = inspect(instance)
    for column in state.mapper.column_attrs:
        if column.deferred and column.key in state.dict:
            yield (*path, column.class_attribute)
    for relationship in state.mapper.relationships:
        if relationship.key not in state.dict:
            continue
        members = _members(state.dict[relationship.key])
        new = [related for related in members if id(related) not in seen]
        if members and not new and not relationship.uselist:
            continue  # it only leads back, to where the object was loaded from
        here = (*path, relationship.class_attribute)
        yield here
        for related in new:
            yield from _walk(related, here, seen | {id(related)})


def _members(value: Any) -> list[object]:
    if value is None:
        return []
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, set, tuple)) else [value]


def _option(path: Path) -> LoaderOption:
    *relationships, last = path
    option: Any = None
    for attribute in relationships:
        option = _load(option, attribute)
    if isinstance(last.property, RelationshipProperty):
        return _load(option, last)  # type: ignore[no-any-return]  # as the options of orm are typed
    return undefer(last) if option is None else option.undefer(last)


def _load(option: Any, attribute: QueryableAttribute[Any]) -> Any:
    to_many = attribute.property.uselist
    if option is None:
        return selectinload(attribute) if to_many else joinedload(attribute)
    return option.selectinload(attribute) if to_many else option.joinedload(attribute)
