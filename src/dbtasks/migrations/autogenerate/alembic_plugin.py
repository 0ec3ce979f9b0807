"""What plain Alembic loads from 1.18 on, by the entry point `alembic.plugins`.

Then `alembic check` and `alembic revision --autogenerate` do not see our tables, whoever's env.py
it is. The entry point's name is in the group of plugins that Alembic takes without being told,
`alembic.autogenerate.*`. This file is imported while Alembic itself is, so it imports little.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sqlalchemy import inspect

from dbtasks.reflection import SCHEMA, hidden


class AlembicPlugin(ModuleType):
    """Be a module with a `setup`, and for Alembic 1.18 and 1.19.0 a list of one (alembic#1873)."""

    def __iter__(self) -> Iterator["AlembicPlugin"]:
        yield self

    def setup(self, plugin: Any) -> None:
        """Hide our tables before any other comparator looks."""
        from alembic.util import DispatchPriority

        plugin.add_autogenerate_comparator(
            hide, "schema", "dbtasks", priority=DispatchPriority.FIRST
        )


def hide(autogenerate: Any, operations: Any, schemas: set[str | None]) -> None:
    """Compare without our schema, and by an inspector that does not see our tables."""
    schemas.discard(SCHEMA)
    with hidden(autogenerate.connection):
        autogenerate.inspector = inspect(autogenerate.connection)


plugin = AlembicPlugin(__name__)
