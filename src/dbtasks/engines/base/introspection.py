"""What is read of a database's schema, and what changes it: by modules that are imported on use."""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

from dbtasks.engines.base.definitions import Definition, Key
from dbtasks.errors import UsageError

if TYPE_CHECKING:  # it needs Alembic
    from dbtasks.engines.base.schema import SchemaOperations


class Introspection:
    """Name the modules of an engine's folder that know its schema."""

    title: ClassVar[str]

    reader: ClassVar[str | None] = None
    """The module whose `definitions` reads a database; None where nothing here can."""

    operations: ClassVar[str] = "dbtasks.engines.base.schema"
    """The module whose `SchemaOperations` makes the operations of migrations."""

    def definitions(self, connection: Connection) -> Iterator[tuple[Key, Definition]]:
        """Yield all that a database has. Raises UsageError where nothing here can read that."""
        if self.reader is None:
            raise UsageError(f"the schema of {self.title} cannot be read")
        found: Iterator[tuple[Key, Definition]] = import_module(self.reader).definitions(connection)
        return found

    def schema_operations(self, dialect: Dialect) -> "SchemaOperations":
        """Return what makes the operations of migrations."""
        found: SchemaOperations = import_module(self.operations).SchemaOperations(dialect)
        return found
