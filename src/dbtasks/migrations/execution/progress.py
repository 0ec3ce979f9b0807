"""How far one revision is: which of its operations are done, in memory and in the journal."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.schema import CreateIndex

from dbtasks.engines import Backend
from dbtasks.errors import NOTHING_CHANGED, Refused
from dbtasks.hints import command_line
from dbtasks.migrations.execution.journal import APPLIED, FAILED, RUNNING, Journal, Unfinished
from dbtasks.migrations.execution.statements import Operation
from dbtasks.migrations.history.revision import Revision

NOTHING_NOW = f"{NOTHING_CHANGED} now"


@dataclass
class Progress:
    """Count the operations of a revision, and keep the journal where they commit one by one.

    `live` is true while each statement stays, whatever comes after it: without transactional DDL,
    and inside of autocommit_block(). `resumed` is what an earlier run has left: its operations
    are kept back, and held against the digest of those that it sent. Of the operations that are
    `done`, `kept` stay if the run fails; `sent` says whether this run has sent any.
    """

    journal: Journal
    revision: Revision
    backwards: bool
    live: bool
    resumed: Unfinished | None = None
    key: int | None = None
    done: int = 0
    kept: int = 0
    sent: bool = False
    operation: Operation | None = None
    refused: bool = False
    digest: str = ""
    unchecked: bool = False
    ended: bool = False

    def __post_init__(self) -> None:
        if self.resumed is not None:
            self.key = self.resumed.id
            self.kept = self.resumed.done
            self.unchecked = True

    @property
    def what(self) -> str | None:
        """Name the operation that is under way."""
        return self.operation.what if self.operation else None

    @property
    def in_doubt(self) -> bool:
        """Whether an operation was sent that would stay, and nobody knows how it ended."""
        return self.live and self.operation is not None and not self.refused

    def open(self) -> None:
        """Write the row that will tell of a run that did not come to its end."""
        if self.key is None:
            self.key = self.journal.write(
                self.revision,
                backwards=self.backwards,
                state=RUNNING,
                done=self.done,
                digest=self.digest,
            )
        self._commit()

    def persist(self) -> None:
        """Write how far it is, in the transaction that is about to be committed."""
        if self.key is None:
            self.open()
        elif not self._is_replay():
            self._note(state=RUNNING, done=self.done, digest=self.digest)
        self.kept = max(self.kept, self.done)

    def before(self, operation: Operation) -> bool:
        """Note that an operation begins; return whether it is to be sent."""
        if self.resumed is not None and self.done < self.resumed.done:
            return False
        self._check_theirs(operation)
        self.check_resumed()
        if self._was_done(operation):
            return False
        if self.live:
            self._note(state=RUNNING, what=operation.what)
            self._commit()
        self.operation = operation
        self.sent = True
        return True

    def after(self, operation: Operation) -> None:
        """Note that it is done; the rows that it changed are committed with the note."""
        digest = operation.digest(self.digest)
        done = self.done + 1
        replay = self.resumed is not None and done <= self.resumed.done
        if self.live and not replay:
            self._note(done=done, digest=digest, what=None)
            self._commit()
            self.kept = done
        self.done, self.digest, self.operation = done, digest, None

    def finish(self, seconds: float, *, later: bool) -> None:
        """Note the revision as applied, in the transaction of its version; or at its end."""
        values = {
            "state": APPLIED,
            "done": self.done,
            "digest": self.digest,
            "seconds": seconds,
            "checksum": self.revision.checksum,
        }
        if self.key is not None:
            self._note(what=None, **values)
        else:
            write = self.journal.write_later if later else self.journal.write
            write(self.revision, backwards=self.backwards, **values)

    def fail(self, journal: Journal, *, seen: bool) -> None:
        """Note on another connection that the run has ended by an error.

        `seen` says that the server has told how the last operation ended. Otherwise the row stays
        as it is, and tells of the doubt; as it does where an earlier run has left it so.
        """
        if self.key is None or not (self.sent or self.resumed is None):
            return
        self.refused = seen and self._leaves_nothing(journal)
        if not self.in_doubt:
            mark_failed(journal, self.key)

    def check_resumed(self) -> None:
        """Raise Refused unless the operations that were kept back are those that were sent."""
        if not self.unchecked or self.resumed is None:
            return
        if self.done < self.resumed.done or self.digest != self.resumed.digest:
            raise Refused(
                f"the part of {self.revision.id} that is applied, operations 1-"
                f"{self.resumed.done}, was another when it ran: it was edited, or it depends on "
                "the time or on rows that it has changed",
                hint=f"put it back in {self.revision.path.name}; or bring the database in order "
                f"by hand, and say so: {done_by_hand(self.revision.id)}",
                state=NOTHING_NOW,
            )
        self.unchecked = False

    def _check_theirs(self, operation: Operation) -> None:
        """Raise Refused for an operation that drops or alters one of our tables."""
        name = operation.own_table(self.journal.backend)
        if name is not None:
            again = command_line("migrate", resume=self.kept > 0)
            raise Refused(
                f"{self.revision.id} would drop or alter {name}, which dbtasks needs: "
                f"{operation.what}",
                hint=f"leave it out in {self.revision.path.name}, then: {again}",
            )

    def _is_replay(self) -> bool:
        return self.resumed is not None and self.done <= self.resumed.done

    def _leaves_nothing(self, journal: Journal) -> bool:
        """Whether an operation that the server refused has surely changed nothing."""
        rows = self.operation is not None and self.operation.is_data
        return not rows or journal.backend.rolls_back_data(journal.connection)

    def _was_done(self, operation: Operation) -> bool:
        """Look whether the operation that was begun when the run was killed is done."""
        resumed = self.resumed
        if resumed is None or self.done != resumed.done:
            return False
        backend, connection = self.journal.backend, self.journal.connection
        check_valid(backend, connection, operation)
        return resumed.in_doubt and settle_doubt(backend, connection, operation, resumed)

    def _note(self, **values: Any) -> None:
        assert self.key is not None
        if not self.journal.change(self.key, **values):
            row = {"state": RUNNING, "done": self.done, "digest": self.digest, **values}
            self.key = self.journal.write(self.revision, backwards=self.backwards, **row)

    def _commit(self) -> None:
        if self.live:
            self.journal.commit()


def settle_doubt(
    backend: Backend, connection: Connection, operation: Operation, unfinished: Unfinished
) -> bool:
    """Return whether the operation that was in doubt is done.

    Raises Refused where that cannot be seen, and where the file has another in its place.
    """
    revision = unfinished.revision
    if operation.what != unfinished.what:
        raise Refused(
            f"operation {unfinished.done + 1} of {revision} was {unfinished.what}, and may be "
            f"done; now it is {operation.what}",
            hint=f"put it back in the file of {revision}, and run it again: "
            + command_line("migrate", resume=True),
            state=NOTHING_NOW,
        )
    if operation.is_data and not operation.alone and backend.rolls_back_data(connection):
        return False  # its rows were never committed: the journal would have been with them
    stands = None if operation.is_data else operation.stands(connection)
    if stands is None:
        where = "in a table that cannot roll back" if operation.is_data else "in the schema"
        raise Refused(
            f"whether operation {unfinished.done + 1} of {revision} was done ({operation.what}) "
            f"cannot be seen {where}",
            hint="look yourself, undo or finish the revision by hand, and say so: "
            + done_by_hand(revision),
            state=NOTHING_NOW,
        )
    return stands


def check_valid(backend: Backend, connection: Connection, operation: Operation) -> None:
    """Raise Refused where an index has the name that was begun, and was never finished."""
    if not isinstance(operation.construct, CreateIndex):
        return
    index = operation.construct.element
    schema = getattr(index.table, "schema", None)
    if index.name and backend.is_invalid(connection, str(index.name), schema):
        raise Refused(
            f"the index {index.name} was not finished, and is invalid",
            hint=f"DROP INDEX {index.name}, and run it again: "
            + command_line("migrate", resume=True),
            state=NOTHING_NOW,
        )


def done_by_hand(revision: str) -> str:
    """Return the commands that record what was done by hand."""
    applied = command_line("resolve", revision=revision, applied=True)
    return f"{applied}, or {command_line('resolve', revision=revision, rolled_back=True)}"


def mark_failed(journal: Journal, key: int) -> None:
    """Note that a run has ended by an error, so that nothing is in doubt.

    Where nothing of the revision is done there is nothing to tell of.
    """
    done = journal.done(key)
    if done:
        journal.change(key, state=FAILED)
    elif done == 0:
        journal.remove(key)
