"""Operations tried on a scratch database: what they leave undone was never a change."""

from collections.abc import Callable, Sequence

from alembic.runtime.migration import MigrationContext

from dbtasks.migrations.making.comparing import Operation, compare, grouped, single
from dbtasks.migrations.making.rendering import Code, execute, render

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
        execute(self.context, self.code(operations))

    def real(self, operations: list[Operation], change: Change = list) -> list[Operation]:
        """Run operations, and return them without those that are asked for again afterwards.

        Such a one is no change: the database tells a type or a default otherwise than the models.
        `change` adds what rows need.
        """
        if not operations:
            return []
        self.run(change(operations))
        again = {self._text(one) for one in single(self.compare())}
        return [*grouped(one for one in single(operations) if self._text(one) not in again)]

    def _text(self, operation: Operation) -> str:
        return self.code([*grouped([operation])]).text
