"""Migrations: the schema's history, run by Alembic.

The names are found when they are first used: whoever only asks whether there is anything to apply
(`migrations.standing`) does not wait for Alembic.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbtasks.migrations.check import missing
    from dbtasks.migrations.fingerprint import changed_since
    from dbtasks.migrations.graph import Row, dot, draw, mermaid
    from dbtasks.migrations.history import Entry, pending, showmigrations
    from dbtasks.migrations.journal import Applied
    from dbtasks.migrations.make import Draft, Made, makemigrations
    from dbtasks.migrations.making.questions import Answers, Expression, Kind, Question, parse_pairs
    from dbtasks.migrations.merging import Merge, merge
    from dbtasks.migrations.offline import sqlmigrate
    from dbtasks.migrations.rebasing import Rebase, plan_rebase, rebase
    from dbtasks.migrations.run import Step
    from dbtasks.migrations.runner import (
        Plan,
        migrate,
        plan,
        redo,
        resolve,
        resumed_target,
        rollback,
        sql,
    )
    from dbtasks.migrations.scripts import Revision
    from dbtasks.migrations.squash import Squashed, squashmigrations
    from dbtasks.migrations.turns import taking_turns

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
    "check": ("missing",),
    "fingerprint": ("changed_since",),
    "graph": ("Row", "dot", "draw", "mermaid"),
    "history": ("Entry", "pending", "showmigrations"),
    "journal": ("Applied",),
    "make": ("Draft", "Made", "makemigrations"),
    "merging": ("Merge", "merge"),
    "making.questions": ("Answers", "Expression", "Kind", "Question", "parse_pairs"),
    "offline": ("sqlmigrate",),
    "rebasing": ("Rebase", "plan_rebase", "rebase"),
    "run": ("Step",),
    "runner": ("Plan", "migrate", "plan", "redo", "resolve", "resumed_target", "rollback", "sql"),
    "scripts": ("Revision",),
    "squash": ("Squashed", "squashmigrations"),
    "turns": ("taking_turns",),
}


def __getattr__(name: str) -> Any:
    """Import what a public name stands for."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
