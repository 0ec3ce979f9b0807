"""What the models do not tell, and a person, or a flag, has to: Django's questions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from shlex import quote

from dbtasks.errors import Refused, UsageError
from dbtasks.hints import command_line


class Kind(Enum):
    """Say what is asked."""

    COLUMN = "was the column renamed?"
    TABLE = "was the table renamed?"
    VALUES = "its values are lost"
    DEFAULT = "existing rows need a value"


@dataclass(frozen=True)
class Question:
    """Ask whether `old` became `new`, if `new` may lose its values, or which ones its rows get.

    `flags` answer it for a script; of a rename the first says yes, another no. `notes` are what
    else a person should know, and `types` those of the two columns.
    """

    kind: Kind
    new: str
    flags: tuple[str, ...]
    old: str = ""
    notes: tuple[str, ...] = ()
    types: str = ""


class Expression(str):
    """Answer with SQL, and not with a literal."""

    __slots__ = ()


Ask = Callable[[Question], str | None]
"""Return the answer: "yes" or "no", or of a default a literal or an Expression.

None is no answer.
"""


UNKNOWN = Expression("NULL")
"""Stands for what the rows get while nobody has told, in code that is never run."""


@dataclass
class Answers:
    """Hold what was answered beforehand, and ask for the rest.

    `renames` are the new names by the old ones, `dropped` what is not renamed, `defaults` the
    literals by column, `expressions` the SQL by column. Where there is no `ask`, `open` has what
    nobody can tell, until `check_complete` names all of it.
    """

    renames: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    ask: Ask | None = None
    used: set[str] = field(default_factory=set)
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    open: dict[str, Question] = field(default_factory=dict)

    def renamed(self, question: Question) -> bool:
        """Whether something was renamed; no for as long as nobody can tell."""
        if self.names(question):
            self.used.add(question.old)
            return True
        if question.old in self.renames:
            return False
        if question.old in self.dropped:
            self.used.add(question.old)
            return False
        if question.new in self.renames.values():
            return False
        return self._answer(question, unknown="no") == "yes"

    def check_values_go(self, question: Question) -> None:
        """Raise Refused where a person does not want that something loses its values."""
        if question.new in self.dropped:
            self.used.add(question.new)
        elif self._answer(question, unknown="yes") != "yes":
            raise Refused(f"{question.new} would lose its values", hint="change the models back")

    def names(self, question: Question) -> bool:
        """Whether a flag says that just this was renamed, however little the two look alike."""
        return self.renames.get(question.old) == question.new

    def is_open(self, question: Question) -> bool:
        """Whether nobody could tell just this."""
        return self.open.get(question.old) == question

    def note_gone(self, name: str, new: Sequence[str]) -> None:
        """Note what is gone, and what it may be now; a flag that says another new name is refused.

        That a flag says that it is dropped is right, though nothing is asked.
        """
        if name in self.dropped:
            self.used.add(name)
        if name in self.renames and self.renames[name] not in new:
            raise UsageError(
                f"{name} cannot be renamed to {self.renames[name]}, which is not new there",
                hint=f"take {' or '.join(rename_flags(name, *new))}",
            )

    def default(self, question: Question) -> str:
        """Return the literal for the rows that are there, where they do not get an expression."""
        if question.new in self.defaults:
            self.used.add(question.new)
            return self.defaults[question.new]
        return self._answer(question)

    def expression(self, question: Question) -> str | None:
        """Return the SQL for the rows that are there; None where they get a literal."""
        if question.new in self.expressions:
            self.used.add(question.new)
            return self.expressions[question.new]
        if question.new in self.defaults:
            return None
        answer = self._answer(question)
        return answer if isinstance(answer, Expression) else None

    def check_complete(self) -> None:
        """Raise Refused where nobody could tell something, with the flags for all of it."""
        if self.open:
            questions = [*self.open.values()]
            self.open.clear()
            raise _unanswered(questions)

    def check_renames_used(self) -> None:
        """Refuse answers about what is not gone: there is a mistake in them."""
        self._check_used(*self.renames, *self.dropped)

    def check_values_used(self) -> None:
        """Refuse values for what needs none."""
        self._check_used(*self.defaults, *self.expressions)

    def _check_used(self, *given: str) -> None:
        for name in sorted({*given} - self.used):
            raise UsageError(
                f"nothing is asked about {name}",
                hint="see what has changed with: " + command_line("makemigrations", dry_run=True),
            )

    def _answer(self, question: Question, unknown: str = UNKNOWN) -> str:
        """Return the answer, or `unknown` where there is nobody to ask."""
        key = question.old, question.new
        if key not in self.asked:
            if self.ask is None:
                self._leave_open(question)
                return unknown
            answer = self.ask(question)
            if answer is None:
                raise _unanswered([question])
            self.asked[key] = answer
        return self.asked[key]

    def _leave_open(self, question: Question) -> None:
        """Note what nobody can tell, without what hangs on its answer.

        Of what is gone that is the next question, and of what may be renamed its value.
        """
        may_be_renamed = {one.new for one in self.open.values() if one.old}
        if question.old or question.new not in may_be_renamed:
            self.open.setdefault(question.old or question.new, question)


def rename_flags(old: str, *new: str) -> tuple[str, ...]:
    """Return the flags that say what became of something: each new name, and last that it went."""
    return *(f"--rename {quote(f'{old}:{one}')}" for one in new), f"--drop {quote(old)}"


def _unanswered(questions: Sequence[Question]) -> Refused:
    told = (
        f"{' and '.join(filter(None, (one.old, one.new)))}: {one.kind.value}" for one in questions
    )
    flags = (" or ".join(one.flags) for one in questions)
    return Refused("; ".join(told), hint=f"add {', and '.join(flags)}")


def parse_pairs(texts: Sequence[str], option: str, sign: str) -> dict[str, str]:
    """Return the names and what they are given, as in employee.name:employee.full_name."""
    found: dict[str, str] = {}
    for text in texts:
        name, given, value = text.partition(sign)
        named = sign == ":"
        if not (name and given and (value or not named)):
            raise UsageError(
                f"{option} {text!r} is not understood",
                hint=f"write NAME{sign}{'NAME' if named else 'VALUE'}",
            )
        if found.setdefault(name, value) != value:
            raise UsageError(
                f"{option} says two things of {name}: {found[name]!r} and {value!r}",
                hint="leave out one of them",
            )
    return found


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
