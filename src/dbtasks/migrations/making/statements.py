"""Operations that Alembic has no name for: they stand in a revision as their SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops

from dbtasks.migrations.making.reflection import Place, escape


@dataclass
class Statements(ops.MigrateOperation):
    """Run SQL, and other SQL on the way back."""

    words: str
    forth: Sequence[str]
    back: Sequence[str]
    words_back: str = ""
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Values that no row may have any more, by table and column."""

    about: Sequence[tuple[Place, str]] = ()
    """Columns without which nothing of it would be."""

    def reverse(self) -> Self:
        """Return what takes it back."""
        words = self.words_back or f"take back: {self.words}"
        return type(self)(words, self.back, self.forth, self.words, about=self.about)


@renderers.dispatch_for(Statements)
def _render(context: AutogenContext, operation: Statements) -> list[str]:
    return [f"op.execute({escape(one)!r})" for one in operation.forth]
