"""From where the database stands to where it is to go: the steps, or why there are none."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType

from alembic.runtime.migration import RevisionStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from dbtasks.errors import Refused, UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.history.directory import applied_of, exists, our_errors

HEADS = "heads"
BASE = "base"

Heads = tuple[str, ...]
Parents = Mapping[str, tuple[str, ...]]
ParentsOf = Callable[[], Parents]


def steps_to(
    scripts: ScriptDirectory, to: str, heads: Heads, *, several: int
) -> list[RevisionStep]:
    """Return Alembic's steps from the heads to the target, whichever way it lies.

    `several` is the number of heads that the project declares. Raises Refused where more stand
    side by side, and where a revision on the way back has no downgrade().
    """
    if to.startswith("-"):
        return _back_by(scripts, to, heads)
    if to == BASE:
        return _back(scripts, to, heads)
    if to in (HEADS, "head"):
        check_heads(scripts, several)
        return _up(scripts, HEADS, heads)
    if to.startswith("+"):
        check_heads(scripts, several)
        _check_number(scripts, to, heads)
        return _up(scripts, to, heads)
    if to in _labels(scripts):
        return _up(scripts, f"{to}@head", heads)
    if "@" in to:
        return _back(scripts, to, heads) if "@-" in to or "@base" in to else _up(scripts, to, heads)
    wanted = find_revision(scripts, to)
    if wanted.revision in applied_of(scripts, heads):
        return _back(scripts, wanted.revision, heads)
    return _up(scripts, wanted.revision, heads)


def _back_by(scripts: ScriptDirectory, to: str, heads: Heads) -> list[RevisionStep]:
    """Return the steps back by a number, where it is clear on which side."""
    if len(heads) > 1:
        raise UsageError(
            f"the database has {len(heads)} heads, and {to} does not say from which: "
            f"{', '.join(heads)}",
            hint=f"name it: {command_line('migrate', to=f'{heads[0]}@{to}')}",
        )
    _check_number(scripts, to, heads)
    parents = _joined(scripts, heads)
    if parents and to != "-1":
        raise UsageError(
            f"{heads[0]} joins several revisions, and {to} does not say on which side",
            hint=f"name where to go back to: {command_line('migrate', to=parents[0])}",
        )
    return _back(scripts, parents[0] if parents else to, heads)


def _check_number(scripts: ScriptDirectory, to: str, heads: Heads) -> None:
    """Raise UsageError where -N or +N is more than the revisions that are applied or pending."""
    there, word = len(applied_of(scripts, heads)), "applied"
    if to.startswith("+"):
        there, word = sum(1 for _ in scripts.walk_revisions()) - there, "pending"
    if to[1:].isdecimal() and int(to[1:]) > there:
        number = "1 revision is" if there == 1 else f"{there or 'no'} revisions are"
        raise UsageError(
            f"{number} {word}" + (f", not {to[1:]}" if there else ""),
            hint=f"see them with: {command_line('showmigrations')}",
        )


def _joined(scripts: ScriptDirectory, heads: Heads) -> tuple[str, ...]:
    """Return what the newest revision joins, where it is a merge."""
    script = scripts.get_revision(heads[0]) if heads and exists(scripts, heads[0]) else None
    down = script.down_revision if script is not None else None
    return tuple(down) if isinstance(down, (tuple, list)) else ()


def find_revision(scripts: ScriptDirectory, name: str) -> Script:
    """Return the revision of an id, its unique beginning, or another of Alembic's names for it."""
    with our_errors():
        ids = [script.revision for script in scripts.walk_revisions()]
        begun = [one for one in ids if one.startswith(name)]
        if name and len(begun) > 1 and name not in ids:
            raise UsageError(
                f"several revisions begin with {name!r}: {', '.join(reversed(begun))}",
                hint="give more of the name",
            )
    try:
        found = scripts.get_revision(name) if name else None
    except CommandError:
        found = None
    if found is None:
        meant = {  # by Django and Prisma
            "zero": command_line("migrate", to="base"),
            "dev": command_line("makemigrations"),
            "deploy": command_line("migrate"),
            "status": command_line("showmigrations"),
        }.get(name)
        hint = f"did you mean: {meant}" if meant else None
        raise UsageError(
            f"there is no revision {name!r}",
            hint=hint or f"see them with: {command_line('showmigrations')}",
        )
    return found


def check_heads(scripts: ScriptDirectory, several: int) -> None:
    """Raise Refused for several heads that nobody declared, or of one branch that is labelled."""
    heads = sorted(scripts.get_heads())
    branches = branches_of(scripts, heads)
    labels = [labels_of(scripts, one[0]) for one in branches]
    if len(heads) <= 1 or len(heads) == several or (all(labels) and len(branches) == len(heads)):
        return
    what, forked, stay = "the history", heads, "label the branches"
    if all(labels):
        label, forked = next(
            (name, one) for name, one in zip(labels, branches, strict=True) if len(one) > 1
        )
        what = f"the branch {' '.join(sorted(label))}"
        stay = "give each a label of its own"
    raise Refused(
        f"{what} has {len(forked)} heads: {', '.join(forked)}",
        hint=f"join them: {command_line('makemigrations', merge=True)}; or put your own after the "
        f"other: {command_line('makemigrations', rebase='REVISION')}. If they are meant to stay, "
        f"{stay}, or "
        f"heads={len(heads)} in collection(...)",
    )


def branches_of(scripts: ScriptDirectory, heads: Iterable[str]) -> list[list[str]]:
    """Return the heads that have the same labels, or none, together: they are of one branch."""
    found: dict[frozenset[str], list[str]] = {}
    for head in heads:
        found.setdefault(labels_of(scripts, head), []).append(head)
    return [*found.values()]


def head_of(scripts: ScriptDirectory, named: str) -> str:
    """Return the head that a branch's label, or an id of its own, names.

    Raises UsageError for anything else.
    """
    heads = scripts.get_heads()
    found = [one for one in heads if named in labels_of(scripts, one) or one.startswith(named)]
    if len(found) != 1:
        known = [" or ".join((one, *sorted(labels_of(scripts, one)))) for one in sorted(heads)]
        raise UsageError(
            f"{named!r} names {'several heads' if found else 'no head'}",
            hint=f"there are: {', '.join(known) or 'none'}",
        )
    return found[0]


def labels_of(scripts: ScriptDirectory, revision: str) -> frozenset[str]:
    """Return the labels of the branch that a revision is on."""
    script = scripts.get_revision(revision)
    return frozenset(script.branch_labels if script is not None else ())


def is_ahead(scripts: ScriptDirectory, heads: Heads, parents_of: ParentsOf) -> bool:
    """Whether the database has revisions after all of ours, as its journal knows.

    Raises Refused where it has one that nobody knows, or that does not come after ours.
    """
    unknown = [head for head in heads if not exists(scripts, head)]
    if not unknown:
        return False
    check_squashed(scripts, unknown)
    reached = ancestors(unknown, parents_of())
    known = {one for one in reached if exists(scripts, one)} | set(heads) - set(unknown)
    if set(scripts.get_heads()) <= {have for one in known for have in applied_of(scripts, (one,))}:
        return True
    raise _unknown(scripts, unknown)


def check_known(scripts: ScriptDirectory, heads: Heads) -> None:
    """Raise Refused for a database whose revision no file describes."""
    unknown = [head for head in heads if not exists(scripts, head)]
    if unknown:
        check_squashed(scripts, unknown)
        raise _unknown(scripts, unknown)


class InsideSquash(Refused):
    """Refuse a database that stands at a revision which is part of a squash now."""


def check_squashed(scripts: ScriptDirectory, heads: Iterable[str]) -> None:
    """Raise InsideSquash for a database that stands at a revision within a squash."""
    for script in scripts.walk_revisions():
        replaced = replaced_by(script)
        for head in heads:
            if head in replaced and head != script.revision:
                raise InsideSquash(
                    f"the database stands at {head}, inside the squashed {script.revision}: "
                    f"{', '.join(replaced)} are one revision now",
                    hint="check out the revision before the squash and migrate to "
                    f"{script.revision} first",
                )


def replaced_by(script: Script) -> tuple[str, ...]:
    """Return the ids that a revision stands for, where it is a squash."""
    found = getattr(script.module, "replaces", ())
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


def _unknown(scripts: ScriptDirectory, heads: Iterable[str]) -> Refused:
    return Refused(
        f"the database is at revision {', '.join(heads)}, and {scripts.dir} does not have it",
        hint="run the code that has this revision, or check the URL with: "
        + command_line("settings"),
    )


def ancestors(revisions: Iterable[str], parents: Parents) -> set[str]:
    """Return the revisions themselves, and all that are known to come before them."""
    found: set[str] = set()
    waiting = list(revisions)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(parents.get(one, ()))
    return found


def _up(scripts: ScriptDirectory, to: str, heads: Heads) -> list[RevisionStep]:
    with our_errors():
        return list(scripts._upgrade_revs(to, heads))  # type: ignore[arg-type]  # Alembic passes tuples here too


def _back(scripts: ScriptDirectory, to: str, heads: Heads) -> list[RevisionStep]:
    with our_errors():
        try:
            steps = list(scripts._downgrade_revs(to, heads))  # type: ignore[arg-type]  # the same
        except AttributeError:  # Alembic takes the function of each without asking
            for script in scripts.iterate_revisions(heads, to, select_for_downgrade=True):
                check_reversible(script)
            raise
    for step in steps:
        check_reversible(step.revision)
    return steps


def check_reversible(script: Script) -> None:
    """Raise Refused for a revision that has no downgrade(), or one that only raises."""
    if not is_reversible(script):
        raise Refused(
            f"{script.revision} cannot be reverted: it has no downgrade()",
            hint=f"write it in {script.path}, or restore a backup from before it",
        )


def is_reversible(script: Script) -> bool:
    """Whether a revision has a downgrade() that does not only raise."""
    downgrade = getattr(script.module, "downgrade", None)
    return downgrade is not None and not _only_raises(downgrade)


def _only_raises(function: FunctionType) -> bool:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    if not isinstance(definition, ast.FunctionDef):  # a lambda
        return False
    body = definition.body
    if ast.get_docstring(definition) is not None:
        body = body[1:]
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _labels(scripts: ScriptDirectory) -> set[str]:
    return {label for one in scripts.walk_revisions() for label in one.branch_labels}
