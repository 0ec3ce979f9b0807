"""Migrations: the schema's history, applied, reverted and shown."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbtasks.errors import DbtasksError, Negative, UsageError
from dbtasks.output import Output
from dbtasks.tasks.edge import command
from dbtasks.tasks.history import read_form, show_graph, show_list, show_text
from dbtasks.tasks.options import positive, seconds
from dbtasks.tasks.progress import Progress
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.migrations import Plan

HEADS = "heads"
NOTHING = "Nothing to apply."


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
    options = _read_options(
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
        _look(run, to or HEADS, check=check)
        return
    run.announce()
    if run.dry_run:
        _show_sql(run, to or HEADS)
    elif to is None and not resume and _is_current(run):
        run.output.line(NOTHING)
        run.mark_new()
    else:
        reverts = _confirm(run, to, resume=resume)
        _apply(run, to, {**options, "reverts": reverts})


@command(previews=True, asks=True)
def rollback(
    run: Run,
    steps: str | None = None,
    wait: str | None = None,
    lock_timeout: str | None = None,
) -> None:
    """Revert the last revision, or as many as --steps says."""
    options = _read_options(wait=wait, lock_timeout=lock_timeout)
    to = f"-{positive(steps, '--steps') or 1}"
    run.announce()
    if run.dry_run:
        _show_sql(run, to)
    else:
        _apply(run, to, {**options, "reverts": _confirm(run, to)})


@command(previews=True, asks=True)
def redo(
    run: Run,
    steps: str | None = None,
    wait: str | None = None,
    lock_timeout: str | None = None,
) -> None:
    """Revert the last revisions, and apply them again."""
    from dbtasks import migrations

    options = _read_options(wait=wait, lock_timeout=lock_timeout)
    number = positive(steps, "--steps") or 1
    run.announce()
    if run.dry_run:
        _show_sql(run, f"-{number}")
        return
    reverts = _confirm(run, f"-{number}")
    with Progress(run.output) as progress:
        migrations.redo(
            run.project,
            steps=number,
            reverts=reverts,
            on_step=progress.show,
            on_wait=run.tell_waiting,
            **options,
        )


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

    options = _read_options(wait=wait)
    if revision is None:
        raise UsageError("no revision is named", hint="it stands in the error of: inv migrate")
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
        raise UsageError("no revision is named", hint="as in: inv sqlmigrate --revision 0002")
    text = migrations.sqlmigrate(run.project, revision=revision, backwards=backwards)
    with run.output.into(output):
        show_text(run.output, text)


def _read_options(
    *, wait: str | None = None, lock_timeout: str | None = None, **flags: bool
) -> dict[str, Any]:
    """Return the keywords for the library; without a number its own holds."""
    chosen = [name for name in ("fake", "fake_initial", "resume") if flags.get(name)]
    if len(chosen) > 1:
        words = " and ".join("--" + name.replace("_", "-") for name in chosen)
        raise UsageError(f"{words} exclude each other", hint="give one of them")
    options: dict[str, Any] = {name: value for name, value in flags.items() if value}
    if wait is not None:
        options["wait"] = seconds(wait, "--wait")
    if lock_timeout is not None:
        options["lock_timeout"] = seconds(lock_timeout, "--lock-timeout")
    return options


def _is_current(run: Run) -> bool:
    """Whether there is nothing to apply, as far as can be told without importing Alembic."""
    from dbtasks.migrations import standing

    return standing.is_current(run.project)


def _look(run: Run, target: str, *, check: bool) -> None:
    """Show what would be done; with --check, as an answer."""
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=target)
    for step in plan.steps:
        run.output.line(f"[{'X' if step.backwards else ' '}] {step.revision.id}")
    if plan.ahead:
        _report_ahead(run.output, plan)
    elif not plan.steps:
        run.output.line(NOTHING)
    if check and plan.steps:
        number = len(plan.steps)
        what = "1 revision is" if number == 1 else f"{number} revisions are"
        raise Negative(f"{what} pending", hint="apply with: inv migrate")


def _show_sql(run: Run, target: str) -> None:
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=target)
    if plan.ahead:
        _report_ahead(run.output, plan)
    elif plan.steps:
        run.output.write(migrations.sql(run.project, to=target))
    else:
        run.output.line(NOTHING)


def _confirm(run: Run, to: str | None, *, resume: bool = False) -> list[str]:
    """Ask before anything is reverted, and return what may be; forwards nothing may."""
    if not resume and (to is None or to in (HEADS, "head") or to.startswith("+")):
        return []
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=to or migrations.resumed_target(run.project))
    back = [step.revision.id for step in plan.steps if step.backwards]
    if back:
        run.confirm(f"reverting {', '.join(back)} loses the data that it holds")
    return back


def _apply(run: Run, to: str | None, options: dict[str, Any]) -> None:
    from dbtasks import migrations

    if to is None:
        to = migrations.resumed_target(run.project) if options.get("resume") else HEADS
    with Progress(run.output) as progress:
        done = migrations.migrate(
            run.project, to=to, on_step=progress.show, on_wait=run.tell_waiting, **options
        )
    if done.ahead:
        _report_ahead(run.output, done)
    elif not done.steps:  # there was nothing, or another run has been faster
        run.output.line(NOTHING)
    run.mark_new()
    if done.steps and to == HEADS:
        _warn_of_unmigrated(run)


def _warn_of_unmigrated(run: Run) -> None:
    """Say what the models have that no migration brought; what is done stands without it too."""
    from dbtasks import migrations

    with suppress(DbtasksError):
        changes = migrations.unmigrated(run.project)
        if changes:
            run.output.note(
                f"the models have changes without a migration: {', '.join(changes)}\n"
                "hint: inv makemigrations"
            )


def _report_ahead(output: Output, plan: "Plan") -> None:
    output.line(f"The database is ahead ({', '.join(plan.ahead)}); nothing to do.")


COMMANDS = (*(migrate, rollback, redo, showmigrations, sqlmigrate, resolve, unlock),)
