"""Put one's own revisions after another head, so that the history is a line again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script

from dbtasks.errors import Refused, UsageError
from dbtasks.guards import marker_of
from dbtasks.locks import OnWait
from dbtasks.migrations import rewriting
from dbtasks.migrations.history import showmigrations
from dbtasks.migrations.making import naming
from dbtasks.migrations.merging import sides_of
from dbtasks.migrations.run import OnStep
from dbtasks.migrations.runner import migrate
from dbtasks.migrations.scripts import read_config, read_scripts
from dbtasks.migrations.targets import find_revision
from dbtasks.project import Project


@dataclass(frozen=True)
class Move:
    """Say what a revision is called now, and which file it stands in."""

    old: str
    new: str
    old_path: Path
    path: Path


@dataclass(frozen=True)
class Rebase:
    """Hold what moves after `onto`, oldest first, and which of it the database has now.

    `fork` is the last revision that both sides have; None at the beginning.
    """

    onto: str
    fork: str | None
    moves: tuple[Move, ...]
    applied: tuple[str, ...]


def plan_rebase(project: Project, revision: str) -> Rebase:
    """Return what `rebase` would do with the side of the history that has the revision.

    Raises UsageError where there are not two heads, Refused where a database that is marked has
    a revision of that side, or where the side is no line.
    """
    scripts = read_scripts(read_config(project))
    heads = sorted(scripts.get_heads())
    _check_two(heads)
    wanted = find_revision(scripts, revision).revision
    sides = sides_of(scripts, heads)
    mine = next((head for head in heads if wanted in {one.revision for one in sides[head]}), None)
    if mine is None:
        raise UsageError(f"{wanted} is on both sides", hint="name one of: " + ", ".join(heads))
    [onto] = [head for head in heads if head != mine]
    side = sides[mine]
    _check_line(side)
    applied = _applied(project, side)
    moves = tuple(_move(one, onto, place) for place, one in enumerate(side, 1))
    return Rebase(onto, _parent(side[0]), moves, applied)


def rebase(
    project: Project,
    revision: str,
    *,
    on_step: OnStep | None = None,
    on_wait: OnWait | None = None,
) -> Rebase:
    """Revert one's own revisions, put them after the other head, and migrate again.

    The side that moves is the one that has `revision`. Its files get new numbers, where the
    history has numbers. The database is migrated only if it had some of them.
    """
    plan = plan_rebase(project, revision)
    if plan.applied:
        _revert(project, plan, on_step, on_wait)
    _rewrite(plan)
    if plan.applied:
        migrate(project, on_step=on_step, on_wait=on_wait)
    return plan


def _applied(project: Project, side: Sequence[Script]) -> tuple[str, ...]:
    """Return what the database has of one's own side. Raises Refused where others rely on it."""
    ids = {one.revision for one in side}
    found = tuple(
        one.revision.id for one in showmigrations(project) if one.applied and one.revision.id in ids
    )
    marker = marker_of(project)
    if found and marker not in (None, "development"):
        raise Refused(
            f"{project.name} is marked as {marker}, and has {', '.join(found)}",
            hint="others rely on these: join the heads with --merge",
        )
    return found


def _check_two(heads: Sequence[str]) -> None:
    if len(heads) < 2:
        raise UsageError(
            "there is one head, and nothing to put after another", hint="see: inv showmigrations"
        )
    if len(heads) > 2:
        raise UsageError(
            f"there are {len(heads)} heads, {', '.join(heads)}, and a line is made of two",
            hint="join them with: inv makemigrations --merge",
        )


def _check_line(side: Sequence[Script]) -> None:
    for before, one in zip([None, *side], side, strict=False):
        if isinstance(one.down_revision, tuple) or (
            before is not None and one.down_revision != before.revision
        ):
            raise Refused(
                f"{one.revision} joins or leaves a line of its own side, which cannot be moved",
                hint="join the heads with --merge",
            )


def _move(script: Script, onto: str, place: int) -> Move:
    """Return the id that comes `place` after another, and the file with it in its name."""
    old, path = script.revision, Path(script.path)
    new = naming.numbered_after(onto, old, place)
    return Move(old, new, path, path.with_name(path.name.replace(old, new)))


def _parent(script: Script) -> str | None:
    return script.down_revision if isinstance(script.down_revision, str) else None


def _revert(project: Project, plan: Rebase, on_step: OnStep | None, on_wait: OnWait | None) -> None:
    last = plan.applied[-1]
    migrate(
        project,
        to=f"{last}@-{len(plan.applied)}",
        reverts=plan.applied,
        on_step=on_step,
        on_wait=on_wait,
    )


def _rewrite(plan: Rebase) -> None:
    """Write the files anew, each with its new id and the one that it comes after now."""
    names = {one.old: one.new for one in plan.moves}
    after = plan.onto
    for one in plan.moves:
        source = one.old_path.read_text(encoding="utf-8")
        told = names if plan.fork is None else {**names, plan.fork: plan.onto}
        text = rewriting.rename(source, told, revision=one.new, down_revision=after)
        rewriting.write(one.path, text, like=one.old_path)
        if one.old_path != one.path:
            one.old_path.unlink()
        after = one.new
