"""What can go wrong, as exceptions that carry an exit code, a hint and the state.

This file imports nothing, so that every layer may raise these. The classes stand in the order
of their exit codes:

    DbtasksError          70   a bug of dbtasks
    ├── Negative           1   the question asked was answered no
    ├── UsageError         2   bad usage or value, an error in the project's own code
    ├── Refused            3   refused by a guard
    ├── Locked             4   a lock is held by another run
    ├── Unreachable        5   the database cannot be reached or opened
    ├── PartlyApplied      6   an engine without transactional DDL stopped half way
    ├── OutcomeUnknown     7   the reply to COMMIT was lost
    ├── Rejected           8   the database refused the statement or the data
    └── LocalFailure       9   disk full, unreadable file
"""

NOTHING_CHANGED = "nothing was changed"
ROLLED_BACK = "rolled back"
COMMITTED = "committed"
UNKNOWN = "unknown"


class DbtasksError(Exception):
    """Say what happened, what to type next, and what state the database is in."""

    exit_code = 70

    def __init__(
        self, message: str, *, hint: str | None = None, state: str = NOTHING_CHANGED
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.state = state

    def __str__(self) -> str:
        return self.message


class Negative(DbtasksError):
    """Answer the question with no: a check failed, migrations are pending, no such record."""

    exit_code = 1


class UsageError(DbtasksError):
    """Refuse bad usage, a bad value, a missing driver, or an error in the project's own code."""

    exit_code = 2


class ProjectFailed(UsageError):
    """Report what the project's own code raised: models, env.py, a revision, seeds."""


class NoScratch(UsageError):
    """Report that no scratch database can be made, or none that the history can run in."""


class Refused(DbtasksError):
    """Refuse by a guard: no confirmation, a read-only alias, an unknown revision."""

    exit_code = 3


class Locked(DbtasksError):
    """Give up on a lock that another run holds; trying again may work."""

    exit_code = 4


class Unreachable(DbtasksError):
    """Report a database that cannot be reached or opened, or a lost connection."""

    exit_code = 5


class PartlyApplied(DbtasksError):
    """Report a run that stopped half way on an engine that cannot roll back."""

    exit_code = 6


class OutcomeUnknown(DbtasksError):
    """Report that the reply to COMMIT was lost: it may or may not have happened."""

    exit_code = 7


class Rejected(DbtasksError):
    """Report what the database refused: a constraint, a missing table, a syntax error."""

    exit_code = 8


class NotInDatabase(Rejected):
    """Report a table or a column that the database lacks.

    `tables` are those of the models that it lacks, where that is known; `instead` is what can be
    typed to do without them; `database` is the alias, where it is not that of the command.
    """

    tables: tuple[str, ...] = ()
    instead: str = ""
    database: str | None = None


class LocalFailure(DbtasksError):
    """Report local input or output that failed: a full disk, an unreadable file."""

    exit_code = 9
