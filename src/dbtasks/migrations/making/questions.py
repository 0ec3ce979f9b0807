"""What the models do not tell, and a person, or a flag, has to: Django's questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from dbtasks.errors import Refused, UsageError


class Kind(Enum):
    """Say what is asked."""

    COLUMN = "was the column renamed?"
    TABLE = "was the table renamed?"
    DEFAULT = "what do the rows get that are there?"


@dataclass(frozen=True)
class Question:
    """Ask whether `old` became `new`, or which value the rows get for `new`.

    `flags` answer it for a script: the first says yes, another no. `notes` are what else a person
    should know.
    """

    kind: Kind
    new: str
    flags: tuple[str, ...]
    old: str = ""
    notes: tuple[str, ...] = ()


class Expression(str):
    """Answer with SQL, and not with a literal."""

    __slots__ = ()


Ask = Callable[[Question], str | None]
"""Return the answer: of a rename "yes" or "no", of a default a literal or an Expression.

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
        if question.old in self.renames:
            self.used.add(question.old)
            return self.renames[question.old] == question.new
        if question.old in self.dropped:
            self.used.add(question.old)
            return False
        if question.new in self.renames.values():
            return False
        return self._answer(question, unknown="no") == "yes"

    def names(self, question: Question) -> bool:
        """Whether a flag says that just this was renamed, however little the two look alike."""
        return self.renames.get(question.old) == question.new

    def is_open(self, question: Question) -> bool:
        """Whether nobody could tell just this."""
        return self.open.get(question.old) == question

    def note_gone(self, name: str) -> None:
        """Note that something is dropped: that a flag says so is right, though nothing is asked."""
        if name in self.dropped:
            self.used.add(name)

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

    def check_used(self) -> None:
        """Refuse answers to what was not asked: there is a mistake in them."""
        given = {*self.renames, *self.dropped, *self.defaults, *self.expressions}
        for name in sorted(given - self.used):
            raise UsageError(
                f"nothing is asked about {name}",
                hint="see what has changed with: inv makemigrations --dry-run",
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


def _unanswered(questions: Sequence[Question]) -> Refused:
    told = (
        f"{' and '.join(filter(None, (one.old, one.new)))}: {one.kind.value}" for one in questions
    )
    flags = (" or ".join(one.flags) for one in questions)
    return Refused("; ".join(told), hint=f"add {', and '.join(flags)}")


def parse_pairs(texts: Sequence[str], option: str, sign: str) -> dict[str, str]:
    """Return the names and what they are given, as in employee.name:employee.full_name."""
    found = {}
    for text in texts:
        name, given, value = text.partition(sign)
        if not (name and given):
            raise UsageError(
                f"{option} {text!r} is not understood",
                hint=f"write NAME{sign}{'NAME' if sign == ':' else 'VALUE'}",
            )
        found[name] = value
    return found
