"""What must be so before a database is written to, and before something is destroyed."""

from dataclasses import dataclass

from dbtasks.errors import Refused, UsageError
from dbtasks.project import Project


@dataclass(frozen=True)
class Question:
    """Hold what is to be confirmed, and the word that confirms it."""

    text: str
    word: str

    def check(self, answer: str) -> None:
        """Raise Refused unless the answer is the word."""
        if answer.strip() != self.word:
            raise Refused("not confirmed", hint=f"type {self.word}, the database's name, to go on")


def check_writable(project: Project) -> None:
    """Refuse to write to a database that the project declared as read-only."""
    if project.read_only:
        raise Refused(
            f"the database {project.settings.database!r} is declared read-only",
            hint="name another with --database, or mend databases= in tasks.py",
        )


def check_chosen(project: Project, *, named: bool) -> None:
    """Refuse to destroy without asking where it is not clear in which database.

    `named` says whether the command line or the environment named it.
    """
    if not named and len(project.settings.databases) > 1:
        raise UsageError(
            "the project has several databases, and --no-input names none",
            hint="add --database, with one of " + ", ".join(project.settings.databases),
        )


def ask(project: Project, action: str) -> Question:
    """Return the question that stands before a destructive action."""
    return Question(
        f"{action[:1].upper()}{action[1:]}.\ndatabase: {project.describe()}", project.name
    )


def refuse_without_terminal(action: str) -> Refused:
    """Return the error for a question that nobody can be asked."""
    return Refused(
        f"{action}: this asks first, and there is no terminal to ask on",
        hint="add --no-input if it is meant",
    )
