"""Which revisions of a range become squashes, and which stay as they are, and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from alembic.script import Script

from dbtasks.migrations.editing.folded_schema import FoldedSchema, Unfoldable
from dbtasks.migrations.editing.operation_record import Record
from dbtasks.migrations.history.directory import parents_of

ReasonOf = Callable[[Script, bool], str | None]
"""Return why a revision stays one of its own, in a database that is empty before, or not."""


ALONE = "no revision beside it can become one with it"


@dataclass(frozen=True)
class Segment:
    """Hold revisions that become one; `empty` is whether no table exists before them."""

    scripts: tuple[Script, ...]
    empty: bool

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the revisions."""
        return tuple(script.revision for script in self.scripts)


@dataclass(frozen=True)
class Plan:
    """Hold the squashes of a range, and why which revisions are in none."""

    segments: tuple[Segment, ...]
    kept: Mapping[str, str]


class Planner:
    """Cut a range into squashes as long as can be."""

    def __init__(
        self,
        scripts: Sequence[Script],
        records: Mapping[str, Record],
        empty_before: Mapping[str, bool],
        folded: Callable[[], FoldedSchema],
        reason_of: ReasonOf,
    ) -> None:
        self.scripts, self.records, self.empty_before = scripts, records, empty_before
        self.folded, self.reason_of = folded, reason_of
        self.kept: dict[str, str] = {}
        self.children: dict[str, set[str]] = {}
        for script in scripts:
            for parent in parents_of(script):
                self.children.setdefault(parent, set()).add(script.revision)

    def plan(self) -> Plan:
        """Return the squashes, and the reasons of the revisions that stay."""
        segments, at = [], 0
        while at < len(self.scripts):
            length = self._length(at)
            if length > 1:
                first = self.scripts[at]
                members = tuple(self.scripts[at : at + length])
                segments.append(Segment(members, self.empty_before[first.revision]))
            else:
                self.kept.setdefault(self.scripts[at].revision, ALONE)
            at += max(length, 1)
        kept = {id_: why for id_, why in self.kept.items() if not _has(segments, id_)}
        return Plan(tuple(segments), kept)

    def _length(self, at: int) -> int:
        """Return how many revisions from here can become one."""
        first = self.scripts[at]
        empty = self.empty_before[first.revision]
        folded = self.folded()
        for record in self.records.values():
            if record.revision == first.revision:
                break
            folded.apply(record)
        if not empty:
            folded.mark()
        length, members = 0, set[str]()
        for number, script in enumerate(self.scripts[at:], 1):
            reason = self.reason_of(script, empty) or self._unfoldable(script, folded)
            follows = not members or members.issuperset(parents_of(script))
            if reason and (number == 1 or follows):
                self.kept[script.revision] = reason
            if reason or not follows:
                break
            members.add(script.revision)
            if self._is_closed(members, script):
                length = number
        return length

    def _unfoldable(self, script: Script, folded: FoldedSchema) -> str | None:
        try:
            folded.apply(self.records[script.revision])
        except Unfoldable as reason:
            return str(reason)
        return None

    def _is_closed(self, members: set[str], last: Script) -> bool:
        """Whether nothing but what follows the last hangs on the revisions."""
        inner = members - {last.revision}
        return all(self.children.get(revision, set()) <= members for revision in inner)


def _has(segments: Sequence[Segment], revision: str) -> bool:
    return any(revision in segment.ids for segment in segments)
