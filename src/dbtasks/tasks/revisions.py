"""Revisions: the files of the history, written, joined, put in another order and squashed."""

from collections.abc import Sequence

from dbtasks.errors import UsageError
from dbtasks.tasks.edge import command
from dbtasks.tasks.history import show_folded, show_squashed
from dbtasks.tasks.progress import Progress
from dbtasks.tasks.questions import (
    read_answers,
    refuse_beside,
    refuse_several,
    refuse_useless,
    show_made,
    show_merge,
    show_missing,
)
from dbtasks.tasks.run import Run


@command(previews=True, asks=True)
def makemigrations(
    run: Run,
    name: str | None = None,
    empty: bool = False,
    check: bool = False,
    update: bool = False,
    merge: bool = False,
    rebase: str | None = None,
    not_applied_in: list[str] | None = None,
    from_database: bool = False,
    rename: list[str] | None = None,
    drop: list[str] | None = None,
    default: list[str] | None = None,
    default_sql: list[str] | None = None,
) -> None:
    """Write the revision that the models are missing, compared with the history."""
    from dbtasks import migrations

    refuse_several(empty=empty, check=check, update=update, merge=merge, rebase=rebase is not None)
    refuse_beside("--name", name, update=update, check=check, rebase=rebase is not None)
    refuse_beside(
        "--from-database", from_database, empty=empty, merge=merge, rebase=rebase is not None
    )
    if not_applied_in and not (update or rebase is not None):
        raise UsageError(
            "--not-applied-in goes with --update or --rebase", hint="leave it out, or add one"
        )
    answers = read_answers(run, rename, drop, default, default_sql)
    refuse_useless(answers, empty=empty, check=check, merge=merge, rebase=rebase is not None)
    if merge:
        show_merge(run, migrations.merge(run.project, name=name, dry_run=run.dry_run))
    elif rebase is not None:
        _rebase(run, rebase, not_applied_in or ())
    elif check:
        show_missing(run, migrations.missing(run.project, from_database=from_database))
    else:
        made = migrations.makemigrations(
            run.project,
            name=name,
            empty=empty,
            update=update,
            not_applied_in=not_applied_in or (),
            from_database=from_database,
            answers=answers,
            dry_run=run.dry_run,
        )
        show_made(run, made)


@command(previews=True)
def squashmigrations(
    run: Run,
    from_: str | None = None,
    to: str | None = None,
    name: str | None = None,
    optimize: bool = False,
) -> None:
    """Put one revision in the place of several, after both histories have come out the same."""
    from dbtasks import migrations

    if from_ is None or to is None:
        raise UsageError(
            "say which revisions", hint="as in: inv squashmigrations --from 0002 --to 0005"
        )
    squashed = migrations.squashmigrations(
        run.project, first=from_, last=to, name=name, optimize=optimize, dry_run=run.dry_run
    )
    if optimize:
        show_folded(run.output, squashed)
    show_squashed(run.output, squashed, written=not run.dry_run)


def _rebase(run: Run, revision: str, not_applied_in: Sequence[str]) -> None:
    """Show what moves, ask before anything is reverted, and do it."""
    from dbtasks import migrations

    plan = migrations.plan_rebase(run.project, revision, not_applied_in=not_applied_in)
    after = plan.onto
    for one in plan.moves:
        run.output.line(f"{one.old} → {one.new}, after {after}")
        after = one.new
    if run.dry_run:
        return
    if plan.applied:
        run.announce()
        run.confirm(f"reverting {', '.join(plan.applied)} loses the data that it holds")
    with Progress(run.output) as progress:
        migrations.rebase(
            run.project,
            revision,
            not_applied_in=not_applied_in,
            on_step=progress.show,
            on_wait=run.tell_waiting,
        )


COMMANDS = (makemigrations, squashmigrations)
