"""What a squash need not do one after the other: made and changed at once, or never made."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dbtasks.migrations.squashing.steps import COLUMN, INDEX, Code, Step, column_name

Rule = Callable[[Step, Sequence[Step], Step], bool]
"""Fold a later step into an earlier one, if nothing between them is in the way."""

IGNORED = frozenset(
    (
        *("existing_type", "existing_nullable", "existing_server_default", "existing_comment"),
        *("postgresql_using", "schema"),
    )
)
FOR_ROWS = frozenset(("server_default", "nullable", "postgresql_using"))
CHANGED = frozenset(("nullable", "type_", "server_default", "new_column_name", "comment"))
TYPES = frozenset(("sa", "sqlalchemy"))
"""Modules of types without a default of their own, as a domain has one."""


@dataclass(frozen=True)
class Folded:
    """Hold the code of a squash, what was folded, and where other statements are in the way."""

    text: str
    folded: tuple[str, ...]
    barriers: tuple[str, ...]


def fold(text: str) -> Folded:
    """Fold the operations of a squash that are plain calls, within those that are not."""
    code = Code(text)
    steps: list[Step] = []
    done: list[str] = []
    for name in ("upgrade", "downgrade"):
        found = code.steps(name)
        while told := _fold_one([one for one in found if not one.gone]):
            done.append(told)
        steps += found
    barriers = dict.fromkeys(one.function for one in steps if not one.kind)
    return Folded(code.rewritten(steps) if done else text, tuple(done), tuple(barriers))


def _fold_one(steps: Sequence[Step]) -> str | None:
    """Fold one step into one before it, the nearest first; say which."""
    for at, later in enumerate(steps):
        for before in range(at - 1, -1, -1):
            earlier = steps[before]
            if not earlier.kind or not later.kind:
                break
            names = f"{earlier}", f"{later}"
            if any(rule(earlier, steps[before + 1 : at], later) for rule in RULES):
                return _tell(earlier, later, *names)
    return None


def _tell(earlier: Step, later: Step, one: str, other: str) -> str:
    if earlier.gone:
        return f"{one}, left out before {other}" if not later.gone else f"{one}, {other}: left out"
    return f"{other}, into {one}"


def _add_to_table(made: Step, between: Sequence[Step], added: Step) -> bool:
    """Make a table with the column that is added to it."""
    if (made.kind, added.kind, made.table) != ("create_table", "add_column", added.table):
        return False
    column = added.call.args[-1]
    names = {one.table for one in between if one.kind in ("create_table", "rename_table")}
    if names & {*added.words} or _in_the_way(between, added) or _column(made, added.name):
        return False
    places = [at for at, one in enumerate(made.call.args) if column_name(one)]
    made.call.args.insert(max(places, default=0) + 1, column)
    made.changed = added.gone = True
    return True


def _alter_made(made: Step, between: Sequence[Step], altered: Step) -> bool:
    """Make a column as it is altered to.

    A table that is made has no rows; one that gets a column may have some, of a database from
    before the squash. These get their values by the column as it is added.
    """
    if altered.kind != "alter_column" or made.table != altered.table:
        return False
    if made.kind == "add_column" and not _leaves_rows_alone(made, altered):
        return False
    column = _column(made, altered.name)
    given = {one.arg: one.value for one in altered.call.keywords if one.arg not in IGNORED}
    if column is None or not given.keys() <= CHANGED or _in_the_way(between, altered):
        return False
    if "new_column_name" in given and not _may_rename(made, between, altered, given):
        return False
    if not _change(column, {str(name): value for name, value in given.items()}):
        return False
    made.name = column_name(column) or "" if made.name else ""
    made.changed = altered.gone = True
    return True


def _leaves_rows_alone(added: Step, altered: Step) -> bool:
    """Whether rows have NULL in a column that is added, and keep it as that is altered."""
    match added.call.args[-1]:
        case ast.Call(
            args=[_, ast.Call(func=ast.Attribute(value=ast.Name(id=module)))], keywords=keywords
        ) if module in TYPES:
            plain = {"comment": None, "nullable": "True"}
            null = all(
                plain.get(str(one.arg), "") in (None, ast.unparse(one.value)) for one in keywords
            )
            return null and FOR_ROWS.isdisjoint(one.arg for one in altered.call.keywords)
    return False


def _may_rename(
    made: Step, between: Sequence[Step], altered: Step, given: Mapping[str | None, ast.expr]
) -> bool:
    """Whether a column may have its new name at once: nothing goes by the old, or had the new."""
    new = ast.unparse(given["new_column_name"]).strip("'\"")
    taken = new in made.words or any(one.mentions(altered.table, new) for one in between)
    return made.words.count(altered.name) == 1 and not taken


def _change(column: ast.Call, given: dict[str, ast.expr]) -> bool:
    """Write a column as it is altered to; return whether that is possible."""
    kind = given.pop("type_", None)
    plain = len(column.args) > 1 and "ForeignKey" not in ast.unparse(column.args[1])
    if kind is not None and not plain:
        return False
    if kind is not None:
        column.args[1] = kind
    if "new_column_name" in given:
        column.args[0] = given.pop("new_column_name")
    for name, value in given.items():
        if ast.unparse(value) == "False" and name in ("server_default", "comment"):
            continue  # what Alembic has for: as it is
        column.keywords = [one for one in column.keywords if one.arg != name]
        if ast.unparse(value) != "None":
            column.keywords.append(ast.keyword(name, value))
    return True


def _never_add(added: Step, between: Sequence[Step], dropped: Step) -> bool:
    """Leave out a column or an index that is made and dropped again."""
    pairs = (("add_column", "drop_column"), ("create_index", "drop_index"))
    same = added.name == dropped.name and dropped.table in ("", added.table)
    if (added.kind, dropped.kind) not in pairs or not same:
        return False
    if any(one.mentions(added.name) for one in between):
        return False
    added.gone = dropped.gone = True
    return True


def _never_make_column(made: Step, between: Sequence[Step], dropped: Step) -> bool:
    """Make a table without the column that is dropped from it."""
    if (made.kind, dropped.kind, made.table) != ("create_table", "drop_column", dropped.table):
        return False
    column = _column(made, dropped.name)
    if column is None or made.words.count(dropped.name) > 1 or _in_the_way(between, dropped):
        return False
    made.call.args.remove(column)
    made.changed = dropped.gone = True
    return True


def _never_make_table(made: Step, between: Sequence[Step], dropped: Step) -> bool:
    """Leave out a table that is made and dropped again, with what is done to it."""
    if (made.kind, dropped.kind, made.table) != ("create_table", "drop_table", dropped.table):
        return False
    touching = [one for one in between if one.mentions(made.table)]
    if any(one.table != made.table or one.kind not in ALONE for one in touching):
        return False
    for one in (made, *touching, dropped):
        one.gone = True
    return True


def _drop_at_once(changed: Step, between: Sequence[Step], dropped: Step) -> bool:
    """Leave a table as it is that is dropped next."""
    if dropped.kind != "drop_table" or changed.table != dropped.table:
        return False
    others = any(one.table != dropped.table or one.kind in MOVING for one in between)
    if changed.kind not in ALONE or others:
        return False
    changed.gone = True
    return True


ALONE = (*INDEX, *COLUMN, "add_column", "create_table_comment", "drop_table_comment")
"""Operations that matter to their own table only."""

MOVING = ("create_table", "rename_table", "drop_table")
"""Operations after which another table may have the name."""

RULES: Sequence[Rule] = (
    _never_make_table,
    _never_add,
    _never_make_column,
    _add_to_table,
    _alter_made,
    _drop_at_once,
)


def _in_the_way(between: Sequence[Step], later: Step) -> bool:
    """Whether a step between deals with the same column, or with the table as a whole."""
    return any(
        (one.table == later.table and one.kind in ("rename_table", "drop_table"))
        or one.mentions(later.table, later.name)
        for one in between
    )


def _column(made: Step, name: str) -> ast.Call | None:
    """Return the column of a step that makes it."""
    found = made.call.args if made.kind in ("create_table", "add_column") else ()
    return next(
        (one for one in found if isinstance(one, ast.Call) and column_name(one) == name), None
    )
