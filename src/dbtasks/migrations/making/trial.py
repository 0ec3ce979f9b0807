"""Operations tried on a scratch database: what they leave undone was never a change."""

from collections.abc import Callable, Sequence

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from dbtasks.migrations.making import rows
from dbtasks.migrations.making.comparing import Operation, compare, grouped, quiet, single
from dbtasks.migrations.making.reflection import Reflection, backend_of
from dbtasks.migrations.making.rendering import Code, execute, render, run

Change = Callable[[Sequence[Operation]], Sequence[Operation]]


class Trial:
    """Compare the models with a database, and change it as a revision would."""

    def __init__(self, context: MigrationContext, *, batch: bool) -> None:
        self.context = context
        self.batch = batch

    def compare(self) -> list[Operation]:
        """Return what the models have and the database has not."""
        return compare(self.context)

    def code(self, operations: Sequence[Operation]) -> Code:
        """Return the code of operations."""
        return render(self.context, operations, batch=self.batch)

    def run(self, operations: Sequence[Operation]) -> None:
        """Run operations, by the code that would stand in the revision."""
        run(self.context, operations, batch=self.batch)

    def rehearse(self, code: Code) -> str:
        """Run code where no table has a row, and return what is said against it, if anything."""
        try:
            rows.delete(self.context)
            execute(self.context, code)
        except DBAPIError as error:
            return backend_of(self.context).message_of(error)
        except Exception as error:  # Alembic's own, of many kinds, or that of a type's code
            return " ".join(f"{type(error).__name__}: {error}".split())
        return ""

    def real(self, operations: list[Operation], change: Change = list) -> list[Operation]:
        """Run operations, and return them without those that are asked for again afterwards.

        Such a one is no change where it has left the thing as it was: the database tells a type
        or a default otherwise than the models. `change` adds what rows need.
        """
        if not operations:
            return []
        before = self._subjects(operations)
        self.run(change(operations))
        again = {self._text(one) for one in single(self.compare())}
        after = self._subjects(operations)
        kept = [
            one
            for one, old, new in zip(single(operations), before, after, strict=True)
            if old != new or self._text(one) not in again
        ]
        return [*grouped(kept)]

    def _subjects(self, operations: list[Operation]) -> list[object]:
        reflection = Reflection(self.context)
        with quiet():
            return [reflection.subject(one) for one in single(operations)]

    def _text(self, operation: Operation) -> str:
        if isinstance(operation, ops.DropIndexOp):  # whose code has the WHERE as it is told now
            return repr((operation.schema, operation.table_name, operation.index_name))
        return self.code([*grouped([operation])]).text
