"""Make the revision that the models are missing."""

from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id

from dbtasks import files
from dbtasks.errors import DbtasksError, Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate import naming, reading, rows
from dbtasks.migrations.autogenerate.answers import Answers, check_consistent
from dbtasks.migrations.autogenerate.backfill import Filling
from dbtasks.migrations.autogenerate.check import missing
from dbtasks.migrations.autogenerate.comparing import Operation, single
from dbtasks.migrations.autogenerate.extensions import (
    operations_of_others,
)
from dbtasks.migrations.autogenerate.places import OnNote, compared
from dbtasks.migrations.autogenerate.reflection import tables_of
from dbtasks.migrations.autogenerate.rename_detection import check_emptied, find_rename
from dbtasks.migrations.autogenerate.rendering import render
from dbtasks.migrations.autogenerate.trial import Trial
from dbtasks.migrations.execution.applied_elsewhere import check_others
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.execution.showmigrations import showmigrations
from dbtasks.migrations.history import fingerprint, revision_ids, source_edit
from dbtasks.migrations.history.directory import describe, our_errors
from dbtasks.migrations.history.resolve_target import head_of, labels_of
from dbtasks.migrations.history.revision import Revision
from dbtasks.migrations.history.source_edit import Code
from dbtasks.migrations.history.template import amend_new, check_message, name_once
from dbtasks.migrations.history.turns import taking_turns
from dbtasks.project import Project

NOTHING = Code("pass")
HEAD = "head"


@dataclass(frozen=True)
class Draft:
    """Hold what the models are missing: in words, and as the code of a revision.

    `fault` is what the scratch database said against its way back; the empty string is nothing.
    `id` is what the project's own hook calls the revision, if it does; `whole` is whether it has
    left in all that is missing.
    """

    message: str = ""
    changes: tuple[str, ...] = ()
    upgrade: Code = NOTHING
    downgrade: Code = NOTHING
    fault: str = ""
    id: str | None = None
    whole: bool = True
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """Hold what was missing, and the revision that has it now."""

    draft: Draft
    revision: Revision | None = None


def makemigrations(
    project: Project,
    *,
    name: str | None = None,
    head: str | None = None,
    empty: bool = False,
    update: bool = False,
    not_applied_in: Collection[str] = (),
    from_database: bool = False,
    answers: Answers | None = None,
    dry_run: bool = False,
    on_note: OnNote = lambda note: None,
) -> Made:
    """Compare the models with the history, and write the revision that is missing.

    The history is replayed in a scratch database of the same kind; where none can be had, or the
    history does not run there, the project's own is read, and `on_note` is told. `head` says which
    of several heads the revision comes after, by its branch's label or by its id. `answers` say
    what was renamed, and what the rows get that are there; what they leave open is asked by their
    `ask`. With `empty` nothing is compared; with `update` the newest revision does what is missing,
    if no database of the project has had it; one that cannot be looked at refuses, unless
    `not_applied_in` has its alias. With `from_database` the models are compared with what the
    project's database has. Raises Refused for what nobody answers, NoScratch where no scratch
    database can be made, and the project's own is not up to date.
    """
    check_message(name)
    with taking_turns(project, writes=not dry_run):
        newest = _find_head(project, head)
        if update:
            _check_not_applied(project, newest, not_applied_in)
        message = name or ("empty" if empty else None if newest else naming.INITIAL)
        if empty:
            draft = Draft(message or "")
        else:
            draft = _draft(
                project,
                message,
                answers or Answers(),
                from_database=from_database,
                on_note=on_note,
            )
        if dry_run:
            return Made(draft)
        if not (draft.changes or empty):
            if draft.whole and _line(project, newest):
                _note(project, newest, fingerprint.line_of(project.metadata))
            return Made(draft)
        line = ""
        if draft.whole:
            line = _line(project, newest) if empty else fingerprint.line_of(project.metadata)
        return Made(draft, (_amend if update else _write)(project, newest, draft, line))


def _draft(
    project: Project,
    message: str | None,
    answers: Answers,
    *,
    from_database: bool,
    on_note: OnNote,
) -> Draft:
    """Return what the models have and the history has not, as code; what is unclear is asked."""
    check_consistent(answers)

    def work(scratch: Project, trial: Trial) -> Draft:
        context = trial.context
        filling = Filling(scratch, trial.connection, answers)
        begun = trial.stored()
        forth, back = _rename(trial, answers)
        before = trial.stored() if forth else begun
        with rows.tried(scratch.backend, trial.connection):
            rest = trial.follow(filling.fill)
            others = operations_of_others(context)
            trial.run(others)
        forth = [*forth, *rest, *others]
        back = [*_reversed(others), *trial.back_to(before), *back]
        draft = _drafted(project, context, message, forth, back)
        if _hook(context):  # what that has changed was not applied, and cannot be taken back
            return draft
        downgrade, fault = trial.rehearse(draft.downgrade, begun)
        return replace(draft, downgrade=downgrade, fault=fault)

    def read(context: MigrationContext) -> Draft:
        return _drafted(project, context, message, *reading.both_ways(project, context, answers))

    draft = compared(project, work, read, from_database=from_database, on_note=on_note)
    answers.check_values_used()
    return draft


def _drafted(
    project: Project,
    context: MigrationContext,
    message: str | None,
    forth: list[Operation],
    back: list[Operation],
) -> Draft:
    """Return operations as code, after the project's own hook has seen them."""
    script = ops.MigrationScript(
        rev_id(), ops.UpgradeOps(forth), ops.DowngradeOps(back), message=message
    )
    given, wanted = script.rev_id, {*map(id, single(forth))}
    forth, back = _directed(context, script)
    batch = project.backend.batch_migrations
    return Draft(
        script.message or naming.describe(forth),
        naming.tell_all(forth),
        render(context, forth, batch=batch),
        render(context, back, batch=batch),
        id=None if script.rev_id == given else script.rev_id,
        whole=wanted <= {*map(id, single(forth))},
        left_out=_left_out(project, context),
    )


def _reversed(operations: Sequence[Operation]) -> list[Operation]:
    return [operation.reverse() for operation in reversed(operations)]


def _left_out(project: Project, context: MigrationContext) -> tuple[str, ...]:
    """Return the tables that tasks.py names, and the target_metadata of env.py does not have."""
    named = project.metadata if project.settings.metadata else ()
    compared = {table.fullname for table in tables_of(context.opts["target_metadata"])}
    return tuple(sorted({table.fullname for table in tables_of(named)} - compared))


def _directed(
    context: MigrationContext, script: ops.MigrationScript
) -> tuple[list[Operation], list[Operation]]:
    """Return the operations as the project's own process_revision_directives leaves them.

    Its words on the id and the message are left in the script.
    """
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    hook = _hook(context)
    directives = [script]
    if hook is not None and script.upgrade_ops.ops:
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
        words = naming.tell_all([pair[0]])
        if words == naming.tell_all(forth[-1:]):
            raise Refused(
                f"{words[0]}: its code changes nothing in a scratch database",
                hint="write the revision by hand: " + command_line("makemigrations", empty=True),
            )
        trial.run([pair[0]])
        forth.append(pair[0])
        back.insert(0, pair[1])
        operations = trial.compare()
    check_emptied(operations, answers)
    answers.check_renames_used()
    return forth, back


def note_models(project: Project) -> None:
    """Note the models in the newest revision, where it is sure that nothing is missing."""
    with suppress(DbtasksError):
        if not missing(project):
            for head in read_history(project).get_heads():
                _note(project, head, fingerprint.line_of(project.metadata))


def _note(project: Project, revision: str | None, line: str) -> None:
    """Write into a revision what the models are, if anybody knows."""
    path = _path(project, revision)
    if path is None or not line:
        return
    text = source_edit.read(path)
    noted = source_edit.note(text, line)
    if noted != text:
        files.write(path, source_edit.encode(noted, like=path))


def _line(project: Project, revision: str | None) -> str:
    """Return what a revision says of the models, or the empty text."""
    path = _path(project, revision)
    return fingerprint.found_in(source_edit.read(path)) if path else ""


def _path(project: Project, revision: str | None) -> Path | None:
    script = read_history(project).get_revision(revision) if revision else None
    return Path(script.path) if script else None


def _find_head(project: Project, named: str | None) -> str | None:
    """Return the revision that another comes after; None where there is none yet.

    Raises Refused for several heads of which none is named, UsageError for what is no head.
    """
    scripts = read_history(project)
    heads = sorted(scripts.get_heads())
    if named is not None:
        return head_of(scripts, named)
    if len(heads) > 1:
        labels = [one for head in heads for one in sorted(labels_of(scripts, head))]
        raise Refused(
            f"there are {len(heads)} heads: {', '.join(heads)}",
            hint=f"join them first: {command_line('makemigrations', merge=True)}, or --rebase one "
            "after the other; or say which it comes after: "
            + command_line("makemigrations", head=next(iter(labels), heads[0])),
        )
    return heads[0] if heads else None


def _check_not_applied(
    project: Project, newest: str | None, not_applied_in: Collection[str]
) -> None:
    """Refuse to change a revision that a database has had."""
    if newest is None:
        raise UsageError("there is no revision to update", hint="leave out --update")
    if any(one.applied for one in showmigrations(project) if one.revision.id == newest):
        raise Refused(
            f"{newest} is applied, and changing it would change nothing there",
            hint=f"revert it first: {command_line('rollback')}; or make another: "
            "leave out --update",
        )
    check_others(
        project,
        [newest],
        not_applied_in=not_applied_in,
        hint=f"revert it there first: {command_line('rollback', database='ALIAS')}; or make "
        "another revision: leave out --update",
    )


def _amend(project: Project, newest: str | None, draft: Draft, line: str) -> Revision:
    """Let the newest revision do what is missing, after what it does already."""
    scripts = read_history(project)
    script = scripts.get_revision(newest or HEAD)
    path = Path(script.path)
    text = source_edit.extend(source_edit.read(path), draft.upgrade, draft.downgrade)
    text = source_edit.note(text, line) if line else text
    files.write(path, source_edit.encode(text, like=path))
    return describe(script)


def _write(project: Project, newest: str | None, draft: Draft, line: str) -> Revision:
    """Write the file of a revision after the newest, from the project's own template."""
    scripts = read_history(project)
    if line:
        amend_new(scripts, lambda text: source_edit.note(text, line))
    revision = draft.id or revision_ids.new_id(scripts, draft.message)
    name_once(scripts, revision)
    with our_errors(), redirect_stdout(StringIO()):  # Alembic tells what it writes
        script = scripts.generate_revision(
            revision,
            draft.message.replace("_", " "),
            head=newest or HEAD,
            refresh=True,
            upgrades=draft.upgrade.text,
            downgrades=draft.downgrade.text,
            imports="\n".join(sorted(draft.upgrade.imports | draft.downgrade.imports)),
        )
    assert script is not None
    return describe(script)
