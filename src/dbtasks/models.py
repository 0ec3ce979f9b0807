"""Mapped classes: what a Base, a MetaData or a Flask-SQLAlchemy object holds, and their names."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import Mapper, configure_mappers, registry

# SQLAlchemy has no public list of its registries; without it the classes of a bare MetaData
# could not be found.
from sqlalchemy.orm.mapper import _all_registries

from dbtasks.errors import UsageError


def metadata_of(base: Any) -> MetaData:
    """Return the MetaData of what `metadata=` refers to."""
    found = base if isinstance(base, MetaData) else getattr(base, "metadata", None)
    if not isinstance(found, MetaData):
        raise UsageError(
            f"{base!r} is neither a declarative Base nor a MetaData",
            hint="mend metadata= in tasks.py",
        )
    return found


def mappers_of(base: Any) -> list[Mapper[Any]]:
    """Return the mappers of all classes on a base's MetaData, by class name."""
    metadata = metadata_of(base)
    configure_mappers()
    found = [
        mapper
        for one in _all_registries()
        for mapper in registry_mappers(one)
        if mapper.local_table is not None and _metadata_of_table(mapper) is metadata
    ]
    return sorted(found, key=lambda mapper: mapper.class_.__name__)


def registry_mappers(one: registry) -> Iterable[Mapper[Any]]:
    """Return a registry's mappers, as a list that no import can change meanwhile."""
    return list(one.mappers)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the hint for a name that is not known: what is near it, or all there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"


def _metadata_of_table(mapper: Mapper[Any]) -> MetaData | None:
    return getattr(mapper.local_table, "metadata", None)
