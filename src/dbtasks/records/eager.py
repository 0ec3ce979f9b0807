"""What a class's `__str__` reads of other objects, loaded with it instead of one by one."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import (
    InstanceState,
    ORMExecuteState,
    QueryableAttribute,
    Session,
    joinedload,
    lazyload,
    selectinload,
)
from sqlalchemy.orm.interfaces import LoaderOption

Path = tuple[QueryableAttribute[Any], ...]


def paths_of(instance: object) -> list[Path]:
    """Return the relationships that are loaded, from an object over all that hang on it."""
    return list(dict.fromkeys(_walk(instance, (), {id(instance)})))


def load_eagerly(paths: list[Path]) -> list[LoaderOption]:
    """Return the options that load them: many-to-one by join, to-many by a SELECT … IN.

    What the mapping loads eagerly by itself, and nobody reads, is left out.
    """
    return [lazyload("*"), *(_option(path) for path in paths)]


def report_lazy_loads(session: Session, report: Callable[[str], None]) -> None:
    """Call `report` once with the name of each relationship that is loaded one by one."""
    seen: set[str] = set()

    def look(state: ORMExecuteState) -> None:
        if not state.is_relationship_load or state.lazy_loaded_from is None:
            return
        path = state.loader_strategy_path
        name = str(path.prop) if path is not None else "a relationship"  # type: ignore[attr-defined]  # of a relationship load it is one with a prop
        if name not in seen:
            seen.add(name)
            report(name)

    event.listen(session, "do_orm_execute", look)


def _walk(instance: object, path: Path, seen: set[int]) -> Iterator[Path]:
    state: InstanceState[Any] = inspect(instance)
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
    option: Any = None
    for attribute in path:
        to_many = attribute.property.uselist
        if option is None:
            option = selectinload(attribute) if to_many else joinedload(attribute)
        else:
            option = option.selectinload(attribute) if to_many else option.joinedload(attribute)
    return option  # type: ignore[no-any-return]  # a path is never empty
