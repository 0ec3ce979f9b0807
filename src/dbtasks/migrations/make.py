"""Make the revision that the models are missing."""

from collections.abc import Callable, Collection
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TypeVar

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import rev_id

from dbtasks.errors import Refused, UsageError
from dbtasks.migrations import rewriting
from dbtasks.migrations.history import showmigrations
from dbtasks.migrations.making import naming, rows
from dbtasks.migrations.making.comparing import Operation
from dbtasks.migrations.making.contradictions import check_consistent
from dbtasks.migrations.making.filling import Filling
from dbtasks.migrations.making.questions import Answers
from dbtasks.migrations.making.renames import check_emptied, find_rename
from dbtasks.migrations.making.rendering import Code
from dbtasks.migrations.making.trial import Trial
from dbtasks.migrations.opening import open_environment
from dbtasks.migrations.others import check_others
from dbtasks.migrations.replay import copied, replayed
from dbtasks.migrations.scripts import (
    Revision,
    describe,
    our_errors,
    read_config,
    read_scripts,
)
from dbtasks.migrations.squashing.files import recover
from dbtasks.migrations.targets import check_heads
from dbtasks.project import Project

T = TypeVar("T")

NOTHING = Code("pass")


@dataclass(frozen=True)
class Draft:
    """Hold what the models are missing: in words, and as the code of a revision.

    `fault` is what the scratch database said against its way back; the empty string is nothing.
    """

    name: str = ""
    changes: tuple[str, ...] = ()
    upgrade: Code = NOTHING
    downgrade: Code = NOTHING
    fault: str = ""


@dataclass(frozen=True)
class Made:
    """Hold what was missing, and the revision that has it now."""

    draft: Draft
    revision: Revision | None = None


def makemigrations(
    project: Project,
    *,
    name: str | None = None,
    empty: bool = False,
    update: bool = False,
    not_applied_in: Collection[str] = (),
    from_database: bool = False,
    answers: Answers | None = None,
    dry_run: bool = False,
) -> Made:
    """Compare the models with the history, and write the revision that is missing.

    The history is replayed in a scratch database of the same kind; the project's own is not
    looked at. `answers` say what was renamed, and what the rows get that are there; what they
    leave open is asked by their `ask`. With `empty` nothing is compared; with `update` the newest
    revision does what is missing, if no database of the project has had it; one that cannot be
    looked at refuses, unless `not_applied_in` has its alias. With `from_database` the models are
    compared with what the project's database has. Raises Refused for what nobody answers,
    UsageError where no scratch database can be made.
    """
    _check_one_head(project)
    if update:
        _check_not_applied(project, not_applied_in)
    draft = Draft("empty") if empty else _draft(project, answers or Answers(), from_database)
    if dry_run or not (draft.changes or empty):
        return Made(draft)
    recover(read_scripts(read_config(project)))
    if update:
        return Made(draft, _amend(project, draft))
    return Made(draft, _write(project, draft, name or draft.name))


def missing(project: Project, *, from_database: bool = False) -> tuple[str, ...]:
    """Return what the models have and the history has not, in words; nothing is asked.

    Raises Refused for several heads that nobody declared: `migrate` would not run them.
    """
    check_heads(read_scripts(read_config(project)), project.settings.heads)

    def work(scratch: Project, context: MigrationContext) -> tuple[str, ...]:
        trial = Trial(context, batch=scratch.backend.batch_migrations)
        rows.delete(context)
        return naming.tell_all(trial.real(trial.compare()))

    return _on_scratch(project, work, from_database)


def _draft(project: Project, answers: Answers, from_database: bool) -> Draft:
    """Return what the models have and the history has not, as code; what is unclear is asked."""
    check_consistent(answers)

    def work(scratch: Project, context: MigrationContext) -> Draft:
        assert context.connection is not None
        trial = Trial(context, batch=scratch.backend.batch_migrations)
        filling = Filling(scratch, context.connection, answers)
        forth, back = _rename(trial, answers)
        with rows.tried(scratch.backend, context.connection):
            rest = trial.real(trial.compare(), filling.fill)
        reverse = ops.UpgradeOps(list(rest)).reverse()
        forth, back = _directed(context, [*forth, *filling.fill(rest)], [*reverse.ops, *back])
        downgrade = trial.code(back)
        return Draft(
            naming.describe(forth),
            naming.tell_all(forth),
            trial.code(forth),
            downgrade,
            # What a hook has changed was not applied, and cannot be taken back.
            "" if _hook(context) else trial.rehearse(downgrade),
        )

    draft = _on_scratch(project, work, from_database)
    answers.check_values_used()
    return draft


def _directed(
    context: MigrationContext, forth: list[Operation], back: list[Operation]
) -> tuple[list[Operation], list[Operation]]:
    """Return the operations as the project's own process_revision_directives leaves them."""
    hook = _hook(context)
    if hook is None or not forth:
        return forth, back
    script = ops.MigrationScript(rev_id(), ops.UpgradeOps(forth), ops.DowngradeOps(back))
    directives = [script]
    hook(context, context.get_current_heads(), directives)
    upgrades = [one.upgrade_ops for one in directives if one.upgrade_ops is not None]
    downgrades = [one.downgrade_ops for one in directives if one.downgrade_ops is not None]
    return (
        [each for one in upgrades for each in one.ops],
        [each for one in downgrades for each in one.ops],
    )


def _hook(context: MigrationContext) -> Callable[..., None] | None:
    """Return the project's own word on revisions, if it has one."""
    found: Callable[..., None] | None = context.opts.get("process_revision_directives")
    return found


def _rename(trial: Trial, answers: Answers) -> tuple[list[Operation], list[Operation]]:
    """Rename what was renamed, so that the rest is compared by the new names.

    Returns the operations, and those that take them back.
    """
    forth: list[Operation] = []
    back: list[Operation] = []
    operations = trial.compare()
    while pair := find_rename(trial.context, operations, answers):
        trial.run([pair[0]])
        forth.append(pair[0])
        back.insert(0, pair[1])
        operations = trial.compare()
    check_emptied(operations, answers)
    answers.check_renames_used()
    return forth, back


def _on_scratch(
    project: Project, work: Callable[[Project, MigrationContext], T], from_database: bool
) -> T:
    """Return what work finds on a database that has the history, and is there to be changed."""
    found: list[T] = []
    with (
        (copied if from_database else replayed)(project) as scratch,
        open_environment(scratch, writes=True) as environment,
    ):
        contexts: list[MigrationContext] = []
        environment.handover.on_configured = contexts.append

        def steps(scripts: ScriptDirectory, heads: tuple[str, ...]) -> tuple[()]:
            context = contexts[-1]
            assert context.connection is not None
            with scratch.backend.rebuilding(context.connection):
                found.append(work(scratch, context))
            return ()

        environment.execute(steps, dont_mutate=True)
    return found[0]


def _check_one_head(project: Project) -> None:
    heads = read_scripts(read_config(project)).get_heads()
    if len(heads) > 1:
        raise Refused(
            f"there are {len(heads)} heads: {', '.join(sorted(heads))}",
            hint="join them first: inv makemigrations --merge, or --rebase one after the other",
        )


def _check_not_applied(project: Project, not_applied_in: Collection[str]) -> None:
    """Refuse to change a revision that a database has had."""
    newest = [one for one in showmigrations(project) if one.head]
    for one in newest:
        if one.applied:
            raise Refused(
                f"{one.revision.id} is applied, and changing it would change nothing there",
                hint="revert it first: inv rollback; or make another: leave out --update",
            )
    if not newest:
        raise UsageError("there is no revision to update", hint="leave out --update")
    check_others(
        project,
        [one.revision.id for one in newest],
        not_applied_in=not_applied_in,
        hint="revert it there first: inv rollback --database ALIAS; or make another revision: "
        "leave out --update",
    )


def _amend(project: Project, draft: Draft) -> Revision:
    """Let the newest revision do what is missing, after what it does already."""
    scripts = read_scripts(read_config(project))
    script = scripts.get_revision("head")
    path = Path(script.path)
    text = rewriting.extend(rewriting.read(path), draft.upgrade, draft.downgrade)
    rewriting.write(path, rewriting.encode(text, like=path))
    return describe(script)


def _write(project: Project, draft: Draft, name: str) -> Revision:
    """Write the file of a revision after the newest, from the project's own template."""
    scripts = read_scripts(read_config(project))
    with our_errors(), redirect_stdout(StringIO()):  # Alembic tells what it writes
        script = scripts.generate_revision(
            naming.new_id(scripts, name),
            name.replace("_", " "),
            head="head",
            refresh=True,
            upgrades=draft.upgrade.text,
            downgrades=draft.downgrade.text,
            imports="\n".join(sorted(draft.upgrade.imports | draft.downgrade.imports)),
        )
    assert script is not None
    return describe(script)
