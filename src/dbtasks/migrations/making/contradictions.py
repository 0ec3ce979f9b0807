"""Answers that cannot hold together: refused before anything is looked at."""

from collections import Counter
from collections.abc import Mapping

from dbtasks.errors import UsageError
from dbtasks.hints import command_line
from dbtasks.migrations.making.questions import Answers, rename_flags


def check_consistent(answers: Answers) -> None:
    """Refuse answers of which one would be passed over for another."""
    for one in answers.dropped:
        if one in answers.renames:
            flags = rename_flags(one, answers.renames[one])
            raise UsageError(f"{one} is renamed or dropped, not both", hint=_either(*flags))
    for one in answers.defaults:
        if one in answers.expressions:
            flags = f"--default for {one}", f"--default-sql for {one}"
            raise UsageError(f"{one} gets a value or an expression, not both", hint=_either(*flags))
    for new, times in Counter(answers.renames.values()).items():
        if times > 1:
            olds = [old for old, one in answers.renames.items() if one == new]
            flags = (*(rename_flags(old, new)[0] for old in olds),)
            raise UsageError(f"{' and '.join(olds)} cannot all become {new}", hint=_either(*flags))
    _check_free(answers.renames)


def _either(*flags: str) -> str:
    return f"leave out {' or '.join(flags)}"


def _check_free(renames: Mapping[str, str]) -> None:
    """Refuse a new name that another thing has for as long as that is not renamed, too.

    Of what has the name of another in both no comparison tells that it was renamed.
    """
    taken = {new for old, new in renames.items() if new in renames and new != old}
    if taken:
        chain = {old: new for old, new in renames.items() if old in taken or new in taken}
        steps = (command_line("makemigrations", rename=":".join(one)) for one in _in_turn(chain))
        raise UsageError(
            f"what takes the name of another, here {', '.join(sorted(taken))}, cannot be renamed "
            "in one revision",
            hint=f"one after the other, with the models changed as far: {'; then '.join(steps)}",
        )


def _in_turn(renames: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return renames in an order in which each new name is free; a circle goes by one more name."""
    left, steps = dict(renames), []
    while left:
        old = next((old for old, new in left.items() if new not in left), None)
        if old is None:
            old = next(iter(left))
            left[f"{old}_before"] = left.pop(old)
            steps.append((old, f"{old}_before"))
        else:
            steps.append((old, left.pop(old)))
    return steps
