"""The difference of two snapshots, object by object."""

from collections.abc import Collection, Iterator, Mapping

from dbtasks.engines.base.definitions import (
    CONSTRAINTS,
    FOREIGN_KEY,
    INDEX,
    OF_TABLES,
    SCHEMA,
    UNIQUE,
    Change,
    Definition,
    Key,
    Place,
)
from dbtasks.schema.snapshot import Snapshot

RENAMABLE = CONSTRAINTS | {INDEX}
"""What the database may have named itself, and is known by what it is."""

Names = Mapping[Place, Collection[tuple[str, str]]]
"""The kinds and names of what somebody has named, table by table."""


def difference(
    before: Snapshot, after: Snapshot, names: Names | None = None, *, indexes_serve: bool = False
) -> list[Change]:
    """Return what makes one snapshot of another.

    `names` are those that the models give: an object of `after` whose name is not among them was
    named by the database, and is the same as any that is like it. With `indexes_serve` the
    database makes indexes for foreign keys by itself, and these are nobody's.
    """
    return [*_changes(before, after, names, indexes_serve)]


def _changes(
    before: Snapshot, after: Snapshot, names: Names | None, indexes_serve: bool
) -> Iterator[Change]:
    both = before.tables & after.tables
    for key in sorted({*before, *after}, key=lambda key: tuple(map(str, key))):
        if key.kind in OF_TABLES and (key.kind in RENAMABLE or key.place not in both):
            continue  # compared below, or told with its table
        if key.kind == SCHEMA and key not in after:
            continue  # it may be used by others
        old, new = before.get(key), after.get(key)
        if old is None or new is None or old.attributes != new.attributes:
            yield Change(key if old else None, key if new else None, old, new)
    for place in sorted(both, key=str):
        given = None if names is None else names.get(place, ())
        yield from _Attached(before, after, place, given, indexes_serve).changes()


class _Attached:
    """Pair the constraints and indexes that a table had with those that it is to have."""

    def __init__(
        self,
        before: Snapshot,
        after: Snapshot,
        place: Place,
        given: Collection[tuple[str, str]] | None,
        indexes_serve: bool,
    ) -> None:
        self.given = given
        self.old = _renamable(before.of_table(place))
        self.new = _renamable(after.of_table(place))
        self.serving: list[Change] = []
        if indexes_serve:
            self.serving = [*self._take_serving()]

    def changes(self) -> Iterator[Change]:
        yield from self.serving
        for key in [key for key in self.new if self._is_same(key, key)]:
            del self.old[key], self.new[key]
        for key in [*self.new]:
            twin = self._twin(key)
            if twin is not None:
                if self._is_given(key) or self._loses_name(twin, key):
                    yield Change(twin, key, self.old[twin], self.new[key])
                del self.old[twin], self.new[key]
        for key, definition in self.old.items():
            after = self.new.pop(key, None)
            yield Change(key, key if after else None, definition, after)
        for key, definition in self.new.items():
            yield Change(None, key, None, definition)

    def _is_given(self, key: Key) -> bool:
        return key.is_named and (self.given is None or (key.kind, key.name) in self.given)

    def _loses_name(self, old: Key, new: Key) -> bool:
        """Whether something had a name that it is not to have any more.

        What a rebuilt table of SQLite has called it is as good as none.
        """
        if self.given is not None or new.is_named or not old.is_named:
            return False
        return old.name != _name_of_rebuilt(old, self.old[old])

    def _is_same(self, old: Key, new: Key) -> bool:
        if old.kind != new.kind or old not in self.old or new not in self.new:
            return False
        return self.old[old].attributes == self.new[new].attributes

    def _twin(self, key: Key) -> Key | None:
        """Return what is the same under another name, and no other object's in both."""
        return next(
            (
                old
                for old in self.old
                if self._is_same(old, key) and not (self._is_given(key) and old in self.new)
            ),
            None,
        )

    def _take_serving(self) -> Iterator[Change]:
        """Take out the indexes that the database has made for foreign keys.

        One that stays behind where its foreign key gets another name is yielded.
        """
        old = [key for key in self.old if self._serves(key, self.old)]
        new = [key for key in self.new if self._serves(key, self.new)]
        keys = {key.name for key in self.new if key.kind == FOREIGN_KEY}
        gone = {key.name for key in self.old if key.kind == FOREIGN_KEY} - keys
        for key in old:
            for other in new:
                same = self._is_same(key, other)
                if same and other.name in keys and key.name in gone:
                    yield Change(key, other, self.old[key], self.new[other])
        for key in old:
            del self.old[key]
        for key in new:
            del self.new[key]

    def _serves(self, key: Key, own: Mapping[Key, Definition]) -> bool:
        """Whether the database has made an index for a foreign key that stays."""
        index = own[key]
        if (
            key.kind != INDEX
            or index.columns is None
            or index.attributes["unique"] == "yes"
            or (key.kind, key.name) in (self.given or ())
        ):
            return False
        for foreign, definition in own.items():
            columns = definition.columns or ()
            if foreign.kind == FOREIGN_KEY and columns == index.columns[: len(columns)]:
                stays = any(
                    new.kind == FOREIGN_KEY and self.new[new].attributes == definition.attributes
                    for new in self.new
                )
                named_after = key.name in (foreign.name, columns[0])
                if stays and (named_after or key.name.rpartition("_")[0] == columns[0]):
                    return True
        return False


def _name_of_rebuilt(key: Key, definition: Definition) -> str | None:
    """Return what Alembic calls a constraint without a name while its table is rebuilt."""
    columns = "_".join(definition.columns or ())
    if key.kind == FOREIGN_KEY and definition.refers:
        return f"fk_{key.table}_{columns}_{definition.refers.place.table}"
    return f"uq_{key.table}_{columns}" if key.kind == UNIQUE else None


def _renamable(definitions: Mapping[Key, Definition]) -> dict[Key, Definition]:
    return {key: definition for key, definition in definitions.items() if key.kind in RENAMABLE}
