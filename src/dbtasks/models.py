"""Mapped classes: what a Base, a MetaData or a Flask-SQLAlchemy object holds, and their names.

And sessions that see all rows of such a class.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, MetaData
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session, registry

# SQLAlchemy has no public list of its registries; without it the classes of a bare MetaData
# could not be found.
from sqlalchemy.orm.mapper import _all_registries

from dbtasks.errors import ProjectFailed, UsageError

NOT_REFLECTED = re.compile(r"dbtasks_|alembic_version$")
"""The tables that are not the project's own."""


def metadata_of(base: Any) -> MetaData:
    """Return the MetaData of what `metadata=` refers to."""
    found = base if isinstance(base, MetaData) else getattr(base, "metadata", None)
    if not isinstance(found, MetaData):
        raise UsageError(
            f"{base!r} is neither a declarative Base nor a MetaData",
            hint="fix metadata= in tasks.py",
        )
    return found


def reflect(connection: Connection) -> MetaData:
    """Return the tables that a database has, without Alembic's and ours."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: not NOT_REFLECTED.match(name))
    return metadata


def mappers_of(base: Any) -> list[Mapper[Any]]:
    """Return the mappers of all classes on a base's MetaData, by class name."""
    metadata = metadata_of(base)
    found = [
        mapper
        for mapper in all_mappers()
        if mapper.local_table is not None and _metadata_of_table(mapper) is metadata
    ]
    for one in {mapper.registry for mapper in found}:
        _configure(one)
    return sorted(found, key=lambda mapper: mapper.class_.__name__)


def _configure(one: registry) -> None:
    """Resolve the relationships of a registry's classes, and not those of other projects.

    Raises ProjectFailed where they are wrong.
    """
    try:
        one.configure(cascade=True)
    except (SQLAlchemyError, AttributeError) as error:
        from dbtasks.mistakes import explain  # few projects pay for it

        if explained := explain(error):
            raise explained from error
        if not isinstance(error, SQLAlchemyError):
            raise
        raise ProjectFailed(f"the models: {error}", hint="fix the relationship in them") from error


def all_mappers() -> list[Mapper[Any]]:
    """Return the mappers of all registries, whether they can be used or not."""
    return [mapper for one in _all_registries() for mapper in registry_mappers(one)]


def registry_mappers(one: registry) -> Iterable[Mapper[Any]]:
    """Return a registry's mappers, as a list that no import can change meanwhile."""
    return list(one.mappers)


def find_mapper(mappers: Mapping[str, Sequence[Mapper[Any]]], name: str | None) -> Mapper[Any]:
    """Return the mapper of a class by its name, or by its module and name.

    Raises UsageError where none, or more than one, has the name.
    """
    if name is None:
        raise UsageError(
            "no model is named, and the project has no default_model",
            hint=f"add --model; {suggest('', mappers)}",
        )
    module, _, short = name.rpartition(".")
    found = [
        mapper for mapper in mappers.get(short, []) if module in ("", mapper.class_.__module__)
    ]
    if not found:
        raise UsageError(f"there is no model {name!r}", hint=suggest(name, mappers))
    if len(found) > 1:
        full = (f"{mapper.class_.__module__}.{short}" for mapper in found)
        raise UsageError(f"several models are named {name!r}", hint=f"name {' or '.join(full)}")
    return found[0]


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the hint for a name that is not known: what is near it, or all there is."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    return f"did you mean {near[0]}? There are: {listed}" if near else f"there are: {listed}"


def _metadata_of_table(mapper: Mapper[Any]) -> MetaData | None:
    return getattr(mapper.local_table, "metadata", None)


class _Silent:
    """A class that no listener names."""


@contextmanager
def all_rows(session: Session) -> Iterator[None]:
    """Let a session see all rows in the block: `do_orm_execute` listeners do not run.

    Soft deletion and tenants are filters that a project adds to each SELECT there, mostly with
    `with_loader_criteria`. All other events run, those of a flush as well.
    """
    # Listeners on the Session class reach every instance and subclass, and SQLAlchemy has no
    # public way to leave them out: take the listeners of a class that has none.
    listeners: Any = Session.dispatch
    silent = listeners._for_class(_Silent)
    own: Any = session.dispatch
    kept = own.do_orm_execute
    own.do_orm_execute = silent.do_orm_execute.for_modify(silent)
    try:
        yield
    finally:
        own.do_orm_execute = kept
