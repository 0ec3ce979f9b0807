"""Migrations: the schema's history, run by Alembic.

The names are found when they are first used: whoever only asks whether there is anything to apply
(`migrations.execution.current`) does not wait for Alembic.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbtasks.migrations.autogenerate.answers import (
        Answers,
        Expression,
        Kind,
        Question,
        parse_pairs,
    )
    from dbtasks.migrations.autogenerate.check import missing
    from dbtasks.migrations.autogenerate.makemigrations import Draft, Made, makemigrations
    from dbtasks.migrations.editing.merge import Merge, merge
    from dbtasks.migrations.editing.rebase import Rebase, plan_rebase, rebase
    from dbtasks.migrations.editing.squash import Squashed, squashmigrations
    from dbtasks.migrations.execution.commands import (
        Plan,
        migrate,
        plan,
        redo,
        resolve,
        resumed_target,
        rollback,
        sql,
    )
    from dbtasks.migrations.execution.migration_run import Step
    from dbtasks.migrations.execution.showmigrations import changed, pending, showmigrations
    from dbtasks.migrations.execution.sqlmigrate import sqlmigrate
    from dbtasks.migrations.history.fingerprint import changed_since
    from dbtasks.migrations.history.graph import Row, dot, draw, mermaid
    from dbtasks.migrations.history.revision import Applied, Entry, Revision
    from dbtasks.migrations.history.turns import taking_turns

__all__ = [
    "Answers",
    "Applied",
    "Draft",
    "Entry",
    "Expression",
    "Kind",
    "Made",
    "Merge",
    "Plan",
    "Question",
    "Rebase",
    "Revision",
    "Row",
    "Squashed",
    "Step",
    "changed",
    "changed_since",
    "dot",
    "draw",
    "makemigrations",
    "merge",
    "mermaid",
    "migrate",
    "missing",
    "parse_pairs",
    "pending",
    "plan",
    "plan_rebase",
    "rebase",
    "redo",
    "resolve",
    "resumed_target",
    "rollback",
    "showmigrations",
    "sql",
    "sqlmigrate",
    "squashmigrations",
    "taking_turns",
]

_PLACES = {
    "autogenerate.answers": ("Answers", "Expression", "Kind", "Question", "parse_pairs"),
    "autogenerate.check": ("missing",),
    "autogenerate.makemigrations": ("Draft", "Made", "makemigrations"),
    "editing.merge": ("Merge", "merge"),
    "editing.rebase": ("Rebase", "plan_rebase", "rebase"),
    "editing.squash": ("Squashed", "squashmigrations"),
    "execution.commands": (
        "Plan",
        "migrate",
        "plan",
        "redo",
        "resolve",
        "resumed_target",
        "rollback",
        "sql",
    ),
    "execution.migration_run": ("Step",),
    "execution.showmigrations": ("changed", "pending", "showmigrations"),
    "execution.sqlmigrate": ("sqlmigrate",),
    "history.fingerprint": ("changed_since",),
    "history.graph": ("Row", "dot", "draw", "mermaid"),
    "history.revision": ("Applied", "Entry", "Revision"),
    "history.turns": ("taking_turns",),
}


def __getattr__(name: str) -> Any:
    """Import what a public name stands for."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
