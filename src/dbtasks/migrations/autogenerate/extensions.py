"""What other packages compare through Alembic: their comparators are asked, and nobody else's."""

from collections.abc import Iterator
from typing import Any

from alembic.autogenerate import comparators, produce_migrations
from alembic.runtime.migration import MigrationContext

from dbtasks.migrations.autogenerate.comparing import Operation, quiet, single

ALEMBIC = "alembic."
KNOWN = "alembic_postgresql_enum"
"""A package whose enums are compared here anyway: both would make the same type."""


def operations_of_others(context: MigrationContext) -> list[Operation]:
    """Return the operations that come from the comparators of other packages.

    Alembic runs its own beside them, and these are left out; where nobody else has any, nothing
    is compared.
    """
    if not has_comparators_of_others(context):
        return []
    with quiet():
        script = produce_migrations(context, context.opts["target_metadata"])
    assert script.upgrade_ops is not None
    modules = (ALEMBIC, KNOWN)
    return [one for one in single(script.upgrade_ops.ops) if not _module(one).startswith(modules)]


def has_comparators_of_others(context: MigrationContext) -> bool:
    """Whether another package, or env.py, compares anything."""
    return any(True for _ in _comparators_of_others(context))


def _comparators_of_others(context: MigrationContext) -> Iterator[Any]:
    plugins = context.opts.get("autogenerate_plugins") or ()
    yield from (name for name in plugins if not name.startswith(ALEMBIC))
    # Alembic has no public way to ask who has registered a comparator.
    for registered in comparators._registry.values():
        for entry in registered if isinstance(registered, list) else [registered]:
            function = entry[0] if isinstance(entry, tuple) else entry  # Alembic before 1.18
            if not getattr(function, "__module__", ALEMBIC).startswith((ALEMBIC, KNOWN)):
                yield function


def _module(operation: Operation) -> str:
    return type(operation).__module__
