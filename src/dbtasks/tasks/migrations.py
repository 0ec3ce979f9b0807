"""Migrations: the schema's history, written, applied, reverted and shown."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from dbtasks.errors import UsageError
from dbtasks.hints import command_line
from dbtasks.tasks.applying import (
    HEADS,
    apply,
    confirm_reverts,
    look,
    read_options,
    revert,
    show_sql,
    tell_current,
)
from dbtasks.tasks.edge import command
from dbtasks.tasks.history import (
    read_form,
    show_graph,
    show_list,
    show_squashed,
    show_text,
)
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
def migrate(
    run: Run,
    to: str | None = None,
    plan: bool = False,
    check: bool = False,
    fake: bool = False,
    fake_initial: bool = False,
    resume: bool = False,
    per_revision: bool = False,
    wait: str | None = None,
    lock_timeout: str | None = None,
) -> None:
    """Bring the database to the newest revision, or to the one that --to names."""
    options = read_options(
        fake=fake,
        fake_initial=fake_initial,
        resume=resume,
        per_revision=per_revision,
        wait=wait,
        lock_timeout=lock_timeout,
    )
    if (check or plan or run.dry_run) and options:
        raise UsageError(
            "--plan, --check and --dry-run only look", hint="of the others they go with --to only"
        )
    if resume and to is not None:
        raise UsageError("--resume goes on to the newest revision", hint="leave out --to")
    if check or plan:
        look(run, to or HEADS, check=check)
        return
    run.announce()
    if run.dry_run:
        show_sql(run, to or HEADS)
    elif to is not None or resume or not tell_current(run):
        reverts = confirm_reverts(run, to, resume=resume)
        apply(run, to, {**options, "reverts": reverts})


@command(previews=True, asks=True)
def rollback(
    run: Run,
    steps: str | None = None,
    wait: str | None = None,
    lock_timeout: str | None = None,
) -> None:
    """Revert the last revision, or as many as --steps says."""
    from dbtasks import migrations

    revert(run, migrations.rollback, steps, read_options(wait=wait, lock_timeout=lock_timeout))


@command(previews=True, asks=True)
def redo(
    run: Run,
    steps: str | None = None,
    wait: str | None = None,
    lock_timeout: str | None = None,
) -> None:
    """Revert the last revisions, and apply them again."""
    from dbtasks import migrations

    revert(run, migrations.redo, steps, read_options(wait=wait, lock_timeout=lock_timeout))


@command(asks=True)
def resolve(
    run: Run,
    revision: str | None = None,
    undo: bool = False,
    applied: bool = False,
    rolled_back: bool = False,
    wait: str | None = None,
) -> None:
    """Bring a revision in order that stopped part way."""
    from dbtasks import migrations

    options = read_options(wait=wait)
    if revision is None:
        raise UsageError(
            "no revision is named", hint=f"it stands in the error of: {command_line('migrate')}"
        )
    if undo + applied + rolled_back != 1:
        raise UsageError(
            "say how it is resolved", hint="add one of --undo, --applied and --rolled-back"
        )
    run.announce()
    if undo:
        run.confirm(f"taking back what is applied of {revision} loses the data that it holds")
    taken = migrations.resolve(
        run.project,
        revision=revision,
        undo=undo,
        applied=applied,
        rolled_back=rolled_back,
        on_wait=run.tell_waiting,
        **options,
    )
    for what in taken:
        run.output.line(f"Took back {what}")
    for entry in migrations.showmigrations(run.project):
        if entry.revision.id.startswith(revision):
            words = "applied" if entry.applied else "not applied"
            run.output.line(f"{entry.revision.id} is recorded as {words}.")


@command()
def unlock(run: Run) -> None:
    """Remove the lock of a run that is gone; never that of one that is alive."""
    from dbtasks import locks

    run.announce()
    holder = locks.unlock(run.project)
    run.output.line(f"Removed the lock of {holder}." if holder else "There is no lock.")


@command()
def showmigrations(
    run: Run,
    plan: bool = False,
    graph: bool = False,
    format_: str | None = None,
    output: str | None = None,
) -> None:
    """Show all revisions, and which of them the database has."""
    from dbtasks import migrations

    form = read_form(format_, plan=plan, graph=graph)
    entries = (migrations.pending if plan else migrations.showmigrations)(run.project)
    with run.output.into(output):
        if graph:
            show_graph(run.output, entries, form)
        elif plan and form == "text" and not entries:
            run.output.line("Nothing to apply.")
        else:
            show_list(run.output, entries, form, run.project.settings.root)


@command()
def sqlmigrate(
    run: Run, revision: str | None = None, backwards: bool = False, output: str | None = None
) -> None:
    """Show the SQL of one revision, without connecting to the database."""
    from dbtasks import migrations

    if revision is None:
        raise UsageError(
            "no revision is named", hint=f"as in: {command_line('sqlmigrate', revision='0002')}"
        )
    text = migrations.sqlmigrate(run.project, revision=revision, backwards=backwards)
    with run.output.into(output):
        show_text(run.output, text)


@command(previews=True, asks=True)
def makemigrations(
    run: Run,
    name: str | None = None,
    head: str | None = None,
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
    refuse_beside("--head", head, check=check, merge=merge, rebase=rebase is not None)
    refuse_beside(
        "--from-database", from_database, empty=empty, merge=merge, rebase=rebase is not None
    )
    if not_applied_in and not (update or rebase is not None):
        raise UsageError(
            "--not-applied-in goes with --update or --rebase", hint="leave it out, or add one"
        )
    answers = read_answers(run, rename, drop, default, default_sql)
    refuse_useless(answers, empty=empty, check=check, merge=merge, rebase=rebase is not None)
    if check:
        found = migrations.missing(
            run.project, from_database=from_database, on_note=run.output.note
        )
        show_missing(run, found)
        return
    with _taking_turns(run):
        if merge:
            _merge(run, name)
        elif rebase is not None:
            _rebase(run, rebase, not_applied_in or ())
        else:
            made = migrations.makemigrations(
                run.project,
                name=name,
                head=head,
                empty=empty,
                update=update,
                not_applied_in=not_applied_in or (),
                from_database=from_database,
                answers=answers,
                dry_run=run.dry_run,
                on_note=run.output.note,
            )
            show_made(run, made)


@command(previews=True)
def squashmigrations(
    run: Run,
    from_: str | None = None,
    to: str | None = None,
    name: str | None = None,
) -> None:
    """Replace several revisions with one, after verifying that both leave the same."""
    from dbtasks import migrations

    if from_ is None or to is None:
        raise UsageError(
            "say which revisions",
            hint=f"as in: {command_line('squashmigrations', from_='0002', to='0005')}",
        )
    with _taking_turns(run):
        squashed = migrations.squashmigrations(
            run.project, first=from_, last=to, name=name, dry_run=run.dry_run
        )
    show_squashed(run.output, squashed, written=not run.dry_run)


def _taking_turns(run: Run) -> AbstractContextManager[None]:
    """Let no other command change the revisions from what is shown to what is written."""
    from dbtasks import migrations

    return migrations.taking_turns(run.project, writes=not run.dry_run, on_wait=run.tell_waiting)


def _merge(run: Run, name: str | None) -> None:
    """Show what each side does, and then join them."""
    from dbtasks import migrations

    show_merge(run, migrations.merge(run.project, dry_run=True))
    if not run.dry_run:
        for one in migrations.merge(run.project, name=name).revisions:
            run.output.line(f"Wrote {one.path}")


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
    if plan.applied and not plan.begun:
        run.confirm(f"reverting {', '.join(plan.applied)} loses the data that it holds")
    with Progress(run.output) as progress:
        migrations.rebase(
            run.project,
            revision,
            not_applied_in=not_applied_in,
            on_step=progress.show,
            on_wait=run.tell_waiting,
        )


COMMANDS = (
    *(migrate, rollback, redo, showmigrations, sqlmigrate, resolve, unlock),
    *(makemigrations, squashmigrations),
)
