"""What a database has at one moment, as definitions that can be compared."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from sqlalchemy import Connection

from dbtasks.engines import Backend
from dbtasks.engines.base.definitions import TABLE, Definition, Key, Place
from dbtasks.reflection import is_ours

VERSION_TABLE = "alembic_version"


class Snapshot(Mapping[Key, Definition]):
    """Hold the definitions of a database by their names."""

    def __init__(self, definitions: Iterable[tuple[Key, Definition]]) -> None:
        self._definitions = dict(definitions)

    def __getitem__(self, key: Key) -> Definition:
        return self._definitions[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    @cached_property
    def tables(self) -> frozenset[Place]:
        """Return the tables."""
        return frozenset(key.place for key in self if key.kind == TABLE)

    def of_table(self, place: Place) -> Mapping[Key, Definition]:
        """Return a table and what belongs to it; nothing for a table that is not there."""
        return self._by_place.get(place, {})

    @cached_property
    def _by_place(self) -> Mapping[Place, Mapping[Key, Definition]]:
        places: dict[Place, dict[Key, Definition]] = defaultdict(dict)
        for key, definition in self.items():
            places[key.place][key] = definition
        return places


def take(
    backend: Backend, connection: Connection, *, without: Collection[str] = (VERSION_TABLE,)
) -> Snapshot:
    """Read all that the database of a connection has, with a few queries.

    Left out are the tables that dbtasks keeps there, and the tables `without`.
    """
    return Snapshot(
        (key, definition)
        for key, definition in backend.definitions(connection)
        if not (is_ours(key.table, key.schema) or key.table in without)
    )
