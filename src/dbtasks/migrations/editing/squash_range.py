"""Which revisions a squash takes, and whether nothing else hangs inside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alembic.script import Script, ScriptDirectory
from alembic.util import to_tuple

from dbtasks.errors import Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.history.directory import our_errors, parents_of
from dbtasks.migrations.history.resolve_target import BASE, HEADS, find_revision, replaced_by


@dataclass(frozen=True)
class Range:
    """Hold the revisions of a squash in the order that Alembic applies them."""

    scripts: tuple[Script, ...]
    depends_on: tuple[str, ...]

    @property
    def first(self) -> Script:
        """Return the oldest, whose parents are those of the squash."""
        return self.scripts[0]

    @property
    def last(self) -> Script:
        """Return the newest, whose id is that of the squash."""
        return self.scripts[-1]

    @property
    def parents(self) -> tuple[str, ...]:
        """Return what the squash comes after."""
        return parents_of(self.first)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels that any of them gives to its branch."""
        found = (label for one in self.scripts for label in one._orig_branch_labels)
        return tuple(dict.fromkeys(found))

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids that the squash replaces, also those of an earlier one."""
        found: list[str] = []
        for one in self.scripts:
            found += [*replaced_by(one), one.revision]
        return tuple(dict.fromkeys(found))


def find_range(scripts: ScriptDirectory, first: str, last: str) -> Range:
    """Return the revisions from one to another, both included; `base` and `heads` are the ends.

    Raises UsageError where they do not follow each other, Refused where a revision outside hangs
    inside, or one inside comes after another history too.
    """
    oldest = _end(scripts, first, "--from", (BASE,), scripts.get_bases())
    newest = _end(scripts, last, "--to", (HEADS, "head"), scripts.get_heads())
    with our_errors():
        known = {one.revision: one for one in scripts.walk_revisions()}
        walk = scripts.iterate_revisions(newest.revision, (), implicit_base=True)
        order = [*walk][::-1]
    inside = {oldest.revision: oldest}
    for one in order:
        if not inside.keys().isdisjoint(parents_of(one)):
            inside[one.revision] = one
    if oldest is newest:
        raise UsageError(
            f"{oldest.revision} is one revision, and nothing to squash",
            hint="--from names the older one of two, --to the newer; see "
            + command_line("showmigrations"),
        )
    if newest.revision not in inside:
        raise UsageError(
            f"{newest.revision} does not come after {oldest.revision}",
            hint="--from names the older one, --to the newer; see "
            + command_line("showmigrations", graph=True),
        )
    _check_outside(inside, oldest)
    _check_hanging(inside, known.values(), newest)
    return Range(tuple(inside.values()), depends_on(scripts, inside))


def _end(
    scripts: ScriptDirectory, name: str, option: str, words: Iterable[str], ends: Sequence[str]
) -> Script:
    """Return a revision by its name, or the one that a word for this end of the history means."""
    if name not in words:
        return find_revision(scripts, name)
    if not ends:
        raise UsageError(
            "the history has no revisions, and nothing to squash",
            hint=f"write the first: {command_line('makemigrations')}",
        )
    if len(ends) != 1:
        raise UsageError(
            f"{option} {name} is one of {len(ends)} revisions: {', '.join(sorted(ends))}",
            hint=f"name it, as in {option} {ends[0]}",
        )
    return find_revision(scripts, ends[0])


def _check_outside(inside: Mapping[str, Script], first: Script) -> None:
    """Refuse a merge of what is inside with what is not."""
    for one in inside.values():
        outside = [parent for parent in parents_of(one) if parent not in inside]
        if one is not first and outside:
            raise Refused(
                f"{one.revision} also comes after {', '.join(outside)}, which "
                f"{first.revision} is not before",
                hint="begin with a revision that both come after, or behind the merge: "
                f"--from {one.revision}",
            )


def _check_hanging(inside: Mapping[str, Script], known: Iterable[Script], last: Script) -> None:
    """Refuse where another revision needs one that will be no more."""
    for one in known:
        needed = [need for need in one._all_down_revisions if need in inside]
        for need in needed if one.revision not in inside else ():
            if need != last.revision:
                how = "comes after" if need in parents_of(one) else "depends on"
                begin = next(other for other in inside.values() if need in parents_of(other))
                end = "" if need == next(iter(inside)) else f"end the range there: --to {need}; or "
                raise Refused(
                    f"{one.revision} {how} {need}, which is inside of the range",
                    hint=f"{end}begin behind it: --from {begin.revision}",
                )


def depends_on(scripts: ScriptDirectory, inside: Mapping[str, Script]) -> tuple[str, ...]:
    """Return what the revisions depend on outside, by the names that they use."""
    found: list[str] = []
    for one in inside.values():
        for name in to_tuple(one.dependencies, default=()):
            needed = scripts.get_revision(name)
            if needed is None or needed.revision not in inside:
                found.append(name)
    return tuple(dict.fromkeys(found))
