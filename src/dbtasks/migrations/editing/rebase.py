"""Put one's own revisions after another head, so that the history is a line again."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from dbtasks.errors import DbtasksError, Refused, Rejected, UsageError
from dbtasks.guards import marker_of
from dbtasks.hints import command_line
from dbtasks.locks import OnWait
from dbtasks.migrations.autogenerate.makemigrations import note_models
from dbtasks.migrations.editing.rehearsal import rehearse
from dbtasks.migrations.execution.applied_elsewhere import check_others
from dbtasks.migrations.execution.commands import migrate
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.execution.migration_run import OnStep
from dbtasks.migrations.execution.showmigrations import showmigrations
from dbtasks.migrations.history import revision_ids, source_edit
from dbtasks.migrations.history.directory import dependencies, folder_of, read_config
from dbtasks.migrations.history.file_transaction import (
    Change,
    begun,
    change_files,
    check_free,
    finish,
    read_changes,
)
from dbtasks.migrations.history.heads import heads_beside, sides_of
from dbtasks.migrations.history.integrity import unfinished
from dbtasks.migrations.history.resolve_target import find_revision, is_reversible
from dbtasks.migrations.history.turns import taking_turns
from dbtasks.project import Project


@dataclass(frozen=True)
class Rebase:
    """Hold what moves after `onto`, oldest first, and which of it the database has now.

    `fork` is the last revision that both sides have; None at the beginning. `reversible` says
    whether all that moves can be reverted, and `begun` that all is done but for the files, which
    a kill has stopped.
    """

    onto: str
    fork: str | None
    moves: tuple[Change, ...]
    applied: tuple[str, ...]
    reversible: bool
    begun: bool = False


def plan_rebase(project: Project, revision: str, *, not_applied_in: Collection[str] = ()) -> Rebase:
    """Return what `rebase` would do with the side of the history that has the revision.

    Raises UsageError where there are not two heads, Refused where a database that is marked has
    a revision of that side, or any other that the project declares, or where the side is no line.
    One that cannot be looked at refuses too, unless `not_applied_in` has its alias: a person knows.
    """
    if (stopped := _begun(project, revision)) is not None:
        return stopped
    scripts = read_history(project)
    wanted = find_revision(scripts, revision).revision
    heads = heads_beside(scripts, wanted)
    _check_two(heads)
    sides = sides_of(scripts, heads)
    mine = next((head for head in heads if wanted in {one.revision for one in sides[head]}), None)
    if mine is None:
        raise UsageError(f"{wanted} is on both sides", hint="name one of: " + ", ".join(heads))
    [onto] = [head for head in heads if head != mine]
    side = sides[mine]
    _check_line(side)
    _check_needed(scripts, side, onto)
    fork = _parent(side[0])
    applied = _applied(project, side)
    check_others(
        project,
        [one.revision for one in side],
        not_applied_in=not_applied_in,
        hint="revert that there first, or join the heads with --merge",
    )
    moves = tuple(_moves(side, fork, onto))
    check_free(moves)
    return Rebase(onto, fork, moves, applied, all(map(is_reversible, side)))


def rebase(
    project: Project,
    revision: str,
    *,
    not_applied_in: Collection[str] = (),
    on_step: OnStep | None = None,
    on_wait: OnWait | None = None,
) -> Rebase:
    """Revert one's own revisions, put them after the other head, and migrate again.

    The side that moves is the one that has `revision`. Its files get new numbers, where the
    history has numbers. The database is migrated only if it had some of them. The new order is
    rehearsed on a scratch database before anything is reverted or written: Refused says that it
    does not run. One that a kill has stopped between its files is finished.
    """
    with taking_turns(project, on_wait=on_wait):
        plan = plan_rebase(project, revision, not_applied_in=not_applied_in)
        if not plan.begun:
            rehearse(project, plan.moves, reversible=plan.reversible)
        if not plan.applied:
            _move(project, plan, revision)
            return plan
        if not plan.begun:
            _revert(project, plan, on_step, on_wait)
        reverted = f"reverted: {', '.join(plan.applied)}"
        then = command_line("migrate")
        files = "some files are" if plan.begun else "no file was"
        with _told(
            project,
            f"{reverted}; {files} changed",
            f"then run the same again, and: {then}",
        ):
            _move(project, plan, revision)
        files = ", ".join(one.path.name for one in plan.moves)
        with _told(project, f"{reverted}; the files are {files} now", f"then: {then}"):
            migrate(project, on_step=on_step, on_wait=on_wait)
        return plan


def _begun(project: Project, revision: str) -> Rebase | None:
    """Return the rebase that was stopped between its files; refuse another, or elsewhere."""
    folder = folder_of(read_config(project))
    note = begun(folder)
    if note is None:
        return None
    if "onto" not in note:
        raise unfinished(note)
    changes = tuple(_ordered(read_changes(folder, note)))
    ids = [revision for change in changes for revision in (change.old, change.new)]
    here = note["database"] in (None, project.settings.database)
    if not here or not any(id_.startswith(revision) for id_ in [*ids, note["revision"]]):
        raise unfinished(note)
    return Rebase(note["onto"], note["fork"], changes, tuple(note["applied"]), True, begun=True)


def _move(project: Project, plan: Rebase, revision: str) -> None:
    folder = folder_of(read_config(project))
    if plan.begun:
        finish(folder, _ordered(plan.moves))
    else:
        database = project.settings.database if plan.applied else None
        change_files(
            folder,
            _ordered(plan.moves),
            command_line("makemigrations", rebase=revision, database=database),
            revision=revision,
            database=database,
            onto=plan.onto,
            fork=plan.fork,
            applied=plan.applied,
        )
    note_models(project)


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
            "there is one head, and nothing to put after another",
            hint=f"see: {command_line('showmigrations')}",
        )
    if len(heads) > 2:
        raise UsageError(
            f"there are {len(heads)} heads, {', '.join(heads)}, and a line is made of two",
            hint=f"join them with: {command_line('makemigrations', merge=True)}",
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


def _check_needed(scripts: ScriptDirectory, side: Sequence[Script], onto: str) -> None:
    """Refuse where any other revision depends on mine: it cannot, or knows it by its old name."""
    mine = {one.revision for one in side}
    for one in scripts.walk_revisions():
        for needed in sorted(mine & {*dependencies(scripts, one)} if one not in side else ()):
            raise Refused(
                f"{one.revision} depends on {needed}, which would come after {onto}, "
                "by another name",
                hint=f"put the other after mine: {command_line('makemigrations', rebase=onto)}; "
                "or join the heads with --merge",
            )


def _moves(side: Sequence[Script], fork: str | None, onto: str) -> Iterator[Change]:
    """Yield each revision with the number that comes after the others', after the one before."""
    ids = [one.revision for one in side]
    new = [revision_ids.numbered_after(onto, one, place) for place, one in enumerate(ids, 1)]
    names = dict(zip(ids, new, strict=True))
    told = names if fork is None else {**names, fork: onto}
    for script, name, after in zip(side, new, [onto, *new], strict=False):
        path = Path(script.path)
        source = source_edit.read(path)
        text = source_edit.rename(source, names, told, revision=name, down_revision=after)
        yield Change(
            script.revision,
            name,
            path,
            path.with_name(path.name.replace(script.revision, name)),
            path.read_bytes(),
            source_edit.encode(text, like=path),
        )


def _ordered(moves: Sequence[Change]) -> Sequence[Change]:
    """Return the moves in an order in which each history between misses a revision.

    Where the numbers rise the last comes first: the name that it comes after is not there yet.
    Where they fall the name of the first, which is gone, is taken by none.
    """
    first = moves[0]
    rises = revision_ids.number_of(first.new) >= revision_ids.number_of(first.old)
    return [*reversed(moves)] if rises else moves


def _parent(script: Script) -> str | None:
    return script.down_revision if isinstance(script.down_revision, str) else None


def _revert(project: Project, plan: Rebase, on_step: OnStep | None, on_wait: OnWait | None) -> None:
    last = plan.applied[-1]
    try:
        migrate(
            project,
            to=f"{last}@-{len(plan.applied)}",
            reverts=plan.applied,
            on_step=on_step,
            on_wait=on_wait,
        )
    except DbtasksError as error:
        error.state = f"{error.state}; no file was changed"
        if isinstance(error, Rejected):
            error.hint = "fix its downgrade(), and run the same command again"
        raise


@contextmanager
def _told(project: Project, done: str, then: str) -> Iterator[None]:
    """Say with an error what was done before it, and what is to be typed after it is fixed."""
    try:
        yield
    except DbtasksError as error:
        error.state = f"{done}; then: {error.state}"
        if error.hint is None or "the same command" in error.hint:  # which now is another
            error.hint = f"put that right; {then}"
        elif command_line("migrate") not in error.hint:
            error.hint = f"{error.hint}; {then}"
        raise
    except BaseException:  # an interrupt
        project.outcome = f"{done}; then: {project.outcome}"
        raise
