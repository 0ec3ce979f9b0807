"""Join several heads: what each side does, and the revision that comes after both."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from dbtasks.errors import UsageError
from dbtasks.migrations import rewriting
from dbtasks.migrations.making import naming
from dbtasks.migrations.replay import replayed
from dbtasks.migrations.scripts import Revision, describe, our_errors, read_config, read_scripts
from dbtasks.project import Project


@dataclass(frozen=True)
class Work:
    """Describe what one revision of a side does, as far as its source tells."""

    revision: str
    operations: tuple[str, ...]
    tables: frozenset[str]


@dataclass(frozen=True)
class Merge:
    """Hold what each head does since they parted, by its id, and what joins them.

    `shared` are the tables that more than one side touches.
    """

    sides: Mapping[str, Sequence[Work]]
    shared: tuple[str, ...]
    revision: Revision | None = None


def merge(project: Project, *, name: str | None = None, dry_run: bool = False) -> Merge:
    """Write the revision that comes after all heads, when they run together on an empty database.

    Raises UsageError where there is one head only, and DbtasksError where the sides do not go
    together: then nothing is written.
    """
    scripts = read_scripts(read_config(project))
    heads = sorted(scripts.get_heads())
    if len(heads) < 2:
        raise UsageError("there is one head, and nothing to join", hint="see: inv showmigrations")
    sides = {head: [_work(one) for one in side] for head, side in sides_of(scripts, heads).items()}
    found = Merge(sides, _shared(sides))
    if dry_run:
        return found
    with replayed(project):
        pass  # both sides run: they do not hinder each other
    with our_errors(), redirect_stdout(StringIO()):
        script = scripts.generate_revision(
            naming.new_id(scripts, name or "merge"),
            (name or f"merge {' and '.join(heads)}").replace("_", " "),
            head=tuple(heads),
            refresh=True,
        )
    assert script is not None
    return Merge(sides, found.shared, describe(script))


def sides_of(scripts: ScriptDirectory, heads: Sequence[str]) -> Mapping[str, list[Script]]:
    """Return the revisions that each head has for itself, oldest first."""
    reached = {head: [*scripts.iterate_revisions(head, "base")] for head in heads}
    sides = {}
    for head, walked in reached.items():
        others = {one.revision for other, rest in reached.items() if other != head for one in rest}
        sides[head] = [one for one in reversed(walked) if one.revision not in others]
    return sides


def _shared(sides: Mapping[str, Sequence[Work]]) -> tuple[str, ...]:
    touched = [{table for one in side for table in one.tables} for side in sides.values()]
    return tuple(sorted({table for one in touched for table in one if _in_several(table, touched)}))


def _in_several(table: str, touched: Sequence[set[str]]) -> bool:
    return sum(table in one for one in touched) > 1


def _work(script: Script) -> Work:
    calls = [*_calls(rewriting.read(Path(script.path)))]
    tables = frozenset(table for _, table in calls if table)
    told = tuple(f"{verb} {table}" if table else verb for verb, table in calls)
    return Work(script.revision, told, tables)


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
    if verb in ("execute", "bulk_insert", "f", "get_bind", "get_context"):
        return ""
    return texts[0] if texts and isinstance(texts[0], str) else ""
