"""The heads of the history: which are of one branch, what each has for itself, what joins them."""

from collections.abc import Iterator, Mapping, Sequence

from alembic.script import Script, ScriptDirectory

from dbtasks.migrations.history.directory import applied_of, parents_of
from dbtasks.migrations.history.resolve_target import Parents, ancestors, branches_of


def sides_of(scripts: ScriptDirectory, heads: Sequence[str]) -> Mapping[str, list[Script]]:
    """Return the revisions that each head has for itself, oldest first.

    What a head only depends on stays on the side that it is of.
    """
    known = [*scripts.walk_revisions()]
    parents = _parents(scripts)
    reached = {head: ancestors([head], parents) for head in heads}
    sides = {}
    for head, mine in reached.items():
        theirs = {one for other, rest in reached.items() if other != head for one in rest}
        sides[head] = [one for one in reversed(known) if one.revision in mine - theirs]
    return sides


def heads_to_join(scripts: ScriptDirectory) -> list[str]:
    """Return the heads of the first branch that has several; where none has, all."""
    heads = sorted(scripts.get_heads())
    return next((one for one in branches_of(scripts, heads) if len(one) > 1), heads)


def heads_beside(scripts: ScriptDirectory, revision: str) -> list[str]:
    """Return the heads of the branch that has a revision; where that has one only, all."""
    heads = sorted(scripts.get_heads())
    parents = _parents(scripts)
    mine = {head for head in heads if revision in ancestors([head], parents)}
    found = [one for one in branches_of(scripts, heads) if mine & {*one}]
    return found[0] if len(found) == 1 and len(found[0]) > 1 else heads


def joins(scripts: ScriptDirectory, heads: Sequence[str]) -> Iterator[list[str]]:
    """Yield which heads are to be joined before all that are left then.

    A database has no row of a head that another depends on, and Alembic cannot join such a one
    with that and a third: it fails. So these two are joined first.
    """
    reached = {head: applied_of(scripts, (head,)) for head in heads}
    needed = {one for one in heads if any(one in reached[head] for head in heads if head != one)}
    needing = [head for head in heads if head not in needed]
    if len(needing) > 1:
        for head in needing:
            behind = sorted(needed & reached[head])
            needed -= {*behind}
            if behind:
                yield [*behind, head]


def _parents(scripts: ScriptDirectory) -> Parents:
    return {one.revision: parents_of(one) for one in scripts.walk_revisions()}
