"""How migrations are applied at the edge: what is looked at, asked and told."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbtasks.errors import Negative, UsageError
from dbtasks.hints import command_line
from dbtasks.output import Output
from dbtasks.tasks.options import positive, seconds
from dbtasks.tasks.progress import Progress
from dbtasks.tasks.run import Run

if TYPE_CHECKING:
    from dbtasks.migrations import Plan

HEADS = "heads"
NOTHING = "Nothing to apply."


def read_options(
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


def tell_current(run: Run) -> bool:
    """Say that there is nothing to apply; False where that takes Alembic to be told."""
    from dbtasks.migrations.execution import current
    from dbtasks.migrations.history.reader import files_of

    revisions = files_of(run.project.settings)
    if revisions is None or not current.is_current(run.project, revisions):
        return False
    run.output.line(NOTHING)
    run.mark_new()
    run.tell_changed(revisions, edited=True)  # whoever applies nothing waits for no models
    return True


def look(run: Run, target: str, *, check: bool) -> None:
    """Show what would be done; with --check, as an answer."""
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=target)
    _note_transactions(run.output, plan)
    for step in plan.steps:
        mark, direction = ("X", " (revert)") if step.backwards else (" ", "")
        run.output.line(f"[{mark}] {step.revision.title}{direction}")
    if plan.ahead:
        _report_ahead(run.output, plan)
    elif not plan.steps:
        run.output.line(NOTHING)
    if check and plan.steps:
        number = len(plan.steps)
        what = "1 revision is" if number == 1 else f"{number} revisions are"
        raise Negative(f"{what} pending", hint=f"apply with: {command_line('migrate')}")


def show_sql(run: Run, target: str) -> None:
    """Show the statements that would be sent."""
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=target)
    _note_transactions(run.output, plan)
    if plan.ahead:
        _report_ahead(run.output, plan)
    elif plan.steps:
        run.output.write(migrations.sql(run.project, to=target))
    else:
        run.output.line(NOTHING)


def confirm_reverts(run: Run, to: str | None, *, resume: bool = False) -> list[str]:
    """Ask before anything is reverted, and return what may be; forwards nothing may."""
    if not resume and (to is None or to in (HEADS, "head") or to.startswith("+")):
        return []
    from dbtasks import migrations

    plan = migrations.plan(run.project, to=to or migrations.resumed_target(run.project))
    back = [step.revision.id for step in plan.steps if step.backwards]
    if back:
        run.confirm(f"reverting {', '.join(back)} loses the data that it holds")
    return back


def apply(run: Run, to: str | None, options: dict[str, Any]) -> None:
    """Apply what is pending, and say what was not, and what no migration brings."""
    from dbtasks import migrations

    if to is None:
        to = migrations.resumed_target(run.project) if options.get("resume") else HEADS
    with Progress(run.output) as progress:
        done = migrations.migrate(
            run.project,
            to=to,
            on_step=progress.show,
            on_wait=run.tell_waiting,
            on_note=run.output.note,
            **options,
        )
    if done.ahead:
        _report_ahead(run.output, done)
    elif not done.steps:  # there was nothing, or another run has been faster
        run.output.line(NOTHING)
    run.mark_new()
    if to == HEADS:
        run.tell_changed()


def revert(
    run: Run, work: Callable[..., "Plan"], steps: str | None, options: dict[str, Any]
) -> None:
    """Revert the last revisions by `rollback` or `redo`, after asking."""
    number = positive(steps, "--steps") or 1
    run.announce()
    if run.dry_run:
        show_sql(run, f"-{number}")
        return
    reverts = confirm_reverts(run, f"-{number}")
    with Progress(run.output) as progress:
        work(
            run.project,
            steps=number,
            reverts=reverts,
            on_step=progress.show,
            on_wait=run.tell_waiting,
            on_note=run.output.note,
            **options,
        )


def _note_transactions(output: Output, plan: "Plan") -> None:
    if plan.note:
        output.note(plan.note)


def _report_ahead(output: Output, plan: "Plan") -> None:
    output.line(f"The database is ahead ({', '.join(plan.ahead)}); nothing to do.")
