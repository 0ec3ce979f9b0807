"""The operations of a migration that are not the same on all databases.

Alembic is imported with this module, so that it is itself imported on use only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.engine import Dialect

from dbtasks.engines.base.definitions import Change, Definition, Key
from dbtasks.engines.sql.quoting import escape, identifier

Operation = ops.MigrateOperation
Definitions = Mapping[Key, Definition]


@dataclass
class Statements(ops.MigrateOperation):
    """Run SQL, which stands in a revision as it is."""

    words: str
    """What it does, for a person."""

    sql: Sequence[str]

    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Labels of an enum that no row may have any more, by table and column."""


@renderers.dispatch_for(Statements)
def _render_statements(context: AutogenContext, operation: Statements) -> list[str]:
    return [f"op.execute({escape(sql)!r})" for sql in operation.sql]


class SchemaOperations:
    """Make the operations that SQLAlchemy and Alembic know on any database."""

    computed_hold_types: ClassVar[bool] = False
    """Whether a column gets another type only while no computed column reads it."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def beside_tables(
        self, before: Definitions, after: Definitions, changes: Sequence[Change]
    ) -> tuple[list[Operation], list[Operation]]:
        """Return what comes before and after the operations on tables.

        These are the operations on schemas, types and sequences.
        """
        return [], []

    def alter_column(
        self, change: Change, alter: ops.AlterColumnOp, column: Column[Any]
    ) -> list[Operation]:
        """Return an alteration with what else it takes; `column` is as it is to be."""
        return [alter] if alter.has_changes() else []

    def add_counting(self, key: Key, definition: Definition) -> str | None:
        """Return the SQL that adds a column with a sequence, which numbers the rows; or None."""
        return None

    def cast(self, alter: ops.AlterColumnOp) -> str | None:
        """Return the expression that makes values of a new type of the old.

        None is for what the database does by itself.
        """
        return None

    def alter_table(self, change: Change) -> list[str]:
        """Return the SQL that gives a table other options than it was made with."""
        return []

    def table_options(self, change: Change) -> Mapping[str, bool]:
        """Return the options that a rebuild of a table gives it, as SQLAlchemy's Table has them."""
        return {}

    def rename(self, old: Key, new: Key) -> str | None:
        """Return the SQL that renames a constraint or an index; None where there is none."""
        return None

    def comment_on(self, key: Key, comment: str) -> str | None:
        """Return the SQL that gives a constraint a comment; None where it has none."""
        return None

    def quoted(self, schema: str | None, name: str) -> str:
        """Return a name as it stands in SQL."""
        within = f"{self.quote(schema)}." if schema else ""
        return f"{within}{self.quote(name)}"

    def quote(self, name: str) -> str:
        """Return a name of its own as it stands in SQL."""
        return identifier(self.dialect, name)
