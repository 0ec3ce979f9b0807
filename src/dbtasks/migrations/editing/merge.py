"""Join several heads: what each side does, and the revision that comes after both."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from types import ModuleType

from alembic.script import Script, ScriptDirectory

from dbtasks.errors import DbtasksError, Locked, Refused, Unreachable, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.autogenerate.makemigrations import note_models
from dbtasks.migrations.execution.env_session import read_history
from dbtasks.migrations.execution.replay import replay, replayed
from dbtasks.migrations.history import revision_ids, source_edit
from dbtasks.migrations.history.directory import describe, our_errors, put_in_place
from dbtasks.migrations.history.heads import heads_to_join, joins, sides_of
from dbtasks.migrations.history.revision import Revision
from dbtasks.migrations.history.template import check_message, name_once
from dbtasks.migrations.history.turns import taking_turns
from dbtasks.project import Project

SQL = ("execute", "get_bind", "get_context", "run_async")
"""Operations that may touch any table, as their statements are texts or come from elsewhere."""


@dataclass(frozen=True)
class Work:
    """Describe what one revision of a side does, as far as its source tells.

    `sql` says that it has statements of its own, whose tables are not known.
    """

    revision: str
    operations: tuple[str, ...]
    tables: frozenset[str]
    sql: bool


@dataclass(frozen=True)
class Merge:
    """Hold what each head does since they parted, by its id, and what joins them.

    `shared` are the tables that more than one side touches, and `beside` the heads of other
    branches, which stay. More than one revision joins them where one head depends on another.
    """

    sides: Mapping[str, Sequence[Work]]
    shared: tuple[str, ...]
    beside: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()


def merge(project: Project, *, name: str | None = None, dry_run: bool = False) -> Merge:
    """Write the revision that comes after all heads, when they run together on an empty database.

    Where a branch has several, as heads of the same labels or none, only these are joined.
    Raises UsageError where there is one head only, and Refused where the sides do not go together:
    then nothing is written.
    """
    check_message(name)
    with taking_turns(project, writes=not dry_run):
        scripts = read_history(project)
        heads = heads_to_join(scripts)
        if len(heads) < 2:
            raise UsageError(
                "there is one head, and nothing to join",
                hint=f"see: {command_line('showmigrations')}",
            )
        sides = {
            head: [_work(one) for one in side] for head, side in sides_of(scripts, heads).items()
        }
        beside = tuple(sorted({*scripts.get_heads()} - {*heads}))
        found = Merge(sides, _shared(sides), beside)
        if dry_run:
            return found
        parents = _new(scripts, heads, name or "merge")
        _rehearse(project, parents, sides)
        written = tuple(_write(scripts, parents, name))
        note_models(project)
        return replace(found, revisions=written)


def _new(scripts: ScriptDirectory, heads: Sequence[str], name: str) -> dict[str, tuple[str, ...]]:
    """Return the ids of the revisions to write, and what each comes after; all but one in order."""
    new: dict[str, tuple[str, ...]] = {}
    left = [*heads]
    for some in [*joins(scripts, heads), None]:
        last = revision_ids.number_of([*new][-1]) if new else 0
        revision = revision_ids.new_id(scripts, name, number=last + 1 if last else None)
        joined = left if some is None else some
        new[revision] = tuple(joined)
        left = [revision, *(one for one in left if one not in joined)]
    return new


def _write(
    scripts: ScriptDirectory, parents: Mapping[str, tuple[str, ...]], name: str | None
) -> Iterator[Revision]:
    for revision, heads in parents.items():
        name_once(scripts, revision)
        with our_errors(), redirect_stdout(StringIO()):
            script = scripts.generate_revision(
                revision,
                (name or f"merge {' and '.join(heads)}").replace("_", " "),
                head=heads,
                refresh=True,
            )
        assert script is not None
        yield describe(script)


def _rehearse(
    project: Project,
    parents: Mapping[str, tuple[str, ...]],
    sides: Mapping[str, Sequence[Work]],
) -> None:
    """Run the history with what is to be written. Raises Refused where a side hinders another."""
    amend = put_in_place((), lambda: (_empty(*joined) for joined in parents.items()))
    try:
        with replayed(project, amend=amend):
            pass
    except (UsageError, Unreachable, Locked):
        raise
    except DbtasksError as error:
        failed = error.message.partition(" ")[0]
        for head, side in sides.items():
            if failed in {one.revision for one in side}:
                others = [one for one in sides if one != head]
                raise _apart(project, error, head, others) from error
        raise


def _apart(project: Project, error: DbtasksError, head: str, others: list[str]) -> DbtasksError:
    """Return the error for a side that fails after the others, or by itself."""
    try:
        with replayed(project, to=head) as scratch:
            turned = _runs(scratch)
    except DbtasksError as alone:
        alone.hint = "fix it: each revision has to run on an empty database"
        return alone
    names = ", ".join(others)
    hint = f"fix {head} or {names}, so that they run in either order"
    if turned and len(others) == 1:
        hint = f"put {names} after it: {command_line('makemigrations', rebase=names)}; or {hint}"
    return Refused(
        f"the sides do not go together: after {names}, {error.message}"
        + ("" if turned else "; nor do they the other way round"),
        hint=hint,
    )


def _runs(scratch: Project) -> bool:
    """Whether the rest of the history runs after what the scratch database has."""
    try:
        replay(scratch)
    except DbtasksError:
        return False
    return True


def _empty(revision: str, parents: tuple[str, ...]) -> Script:
    """Return a revision that does nothing, as Alembic would load it from its file."""
    module = ModuleType(revision)
    module.__dict__.update(
        revision=revision,
        down_revision=parents,
        upgrade=lambda *_, **__: None,
        downgrade=lambda *_, **__: None,
    )
    return Script(module, revision, f"{revision}.py")


def _shared(sides: Mapping[str, Sequence[Work]]) -> tuple[str, ...]:
    touched = [{table for one in side for table in one.tables} for side in sides.values()]
    return tuple(sorted({table for one in touched for table in one if _in_several(table, touched)}))


def _in_several(table: str, touched: Sequence[set[str]]) -> bool:
    return sum(table in one for one in touched) > 1


def _work(script: Script) -> Work:
    calls = [*_calls(source_edit.read(Path(script.path)))]
    tables = frozenset(table for _, table in calls if table)
    told = tuple(f"{verb} {table}" if table else verb for verb, table in calls)
    return Work(script.revision, told, tables, any(verb in SQL for verb, _ in calls))


def _calls(source: str) -> Iterator[tuple[str, str]]:
    """Yield the operations of upgrade(), and the table that each names."""
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.name == "upgrade":
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="op"), attr=verb)):
                        yield verb, _table(verb, node)


def _table(verb: str, call: ast.Call) -> str:
    """Return the table that an operation names: its first argument, or the second after a name."""
    texts = [one.value for one in call.args if isinstance(one, ast.Constant)]
    if "constraint" in verb or verb in ("create_index", "create_foreign_key", "create_primary_key"):
        texts = texts[1:]
    if verb in (*SQL, "bulk_insert", "f"):
        return ""
    return texts[0] if texts and isinstance(texts[0], str) else ""
