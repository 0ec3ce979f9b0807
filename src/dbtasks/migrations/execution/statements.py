"""What a revision sends to the database, statement by statement, as one can read and reverse it."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from alembic.ddl import base as alembic_ddl
from alembic.ddl.mysql import MySQLChangeColumn, MySQLModifyColumn
from sqlalchemy import (
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    Index,
    Inspector,
    PrimaryKeyConstraint,
    UniqueConstraint,
    inspect,
)
from sqlalchemy import schema as ddl

from dbtasks import own_tables
from dbtasks.engines import Backend
from dbtasks.engines.base.statements import WITHIN
from dbtasks.engines.sql.lexer import Kind
from dbtasks.engines.sql.syntax import Syntax
from dbtasks.reflection import SCHEMA

SHORT = 80

LOSES = ("DROP", "ALTER", "TRUNCATE", "RENAME")
"""The first words of statements that take our tables away, or what they are made of."""

KNOWN = frozenset({"CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"})
DATA = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "LOAD", "WITH"})
COMMITS = frozenset({"COMMIT", "END"})
HARMLESS = COMMITS | {
    *("SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "SET", "USE", "PRAGMA", "VALUES", "TABLE"),
    *("BEGIN", "START", "SAVEPOINT", "RELEASE"),
}
"""What leaves the database as it is, or only this session's settings: a resumed run sends it
again, and it does not count."""


@dataclass(frozen=True)
class Operation:
    """Hold one statement that changes the database, and the construct that it was compiled from.

    `alone` says that it commits by itself whatever it is, as autocommit lets it.
    """

    sql: str
    parameters: str
    construct: Any
    is_data: bool
    alone: bool = False

    @property
    def what(self) -> str:
        """Name it as Alembic names its operations, or show the beginning of its SQL."""
        for kind, describe in DESCRIPTIONS.items():
            if isinstance(self.construct, kind):
                return describe(self.construct)
        text = " ".join(self.sql.split())
        return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"

    def own_table(self, backend: Backend) -> str | None:
        """Return the table of ours, or their schema, that it drops or alters."""
        if SCHEMA not in self.sql.lower():
            return None
        for statement in backend.syntax.split(self.sql):
            tokens = backend.syntax.lexer.code(statement)
            if tokens[0].word not in LOSES:
                continue
            names = {
                token.value.lower() for token in tokens if token.kind in (Kind.WORD, Kind.NAME)
            }
            drops = {SCHEMA} if [token.word for token in tokens[:2]] == ["DROP", "SCHEMA"] else {}
            for table in own_tables.all_tables(backend.own_schema):
                if table.name in names or (table.schema in drops and table.schema in names):
                    return table.name
        return None

    def digest(self, before: str) -> str:
        """Return the digest of the operations before, and this one."""
        return sha256(f"{before}\n{self.sql}\n{self.parameters}".encode()).hexdigest()

    def reversal(self) -> Any | None:
        """Return the construct that takes it back without a loss; None where there is none."""
        for kind, reverse in REVERSALS.items():
            if isinstance(self.construct, kind):
                return reverse(self.construct)
        return None

    def stands(self, connection: Connection) -> bool | None:
        """Look in the schema whether it was done; None where that cannot be seen."""
        for kind, look in LOOKS.items():
            if isinstance(self.construct, kind):
                return look(inspect(connection), self.construct)
        return None


def first_word(sql: str, syntax: Syntax) -> str:
    """Return the first word, in capitals, that tells what SQL does.

    Of several statements it is that of the first which changes anything.
    """
    word = sql[:20].lstrip()[:6].upper()  # SQLAlchemy begins CREATE TABLE with a line break
    if word in KNOWN:
        return word
    words = [_first_word(statement, syntax) for statement in syntax.split(sql)]
    return next((word for word in words if word not in HARMLESS), words[0] if words else "")


def _first_word(sql: str, syntax: Syntax) -> str:
    words = syntax.words(sql)
    if words[:1] == ["WITH"] and WITHIN.isdisjoint(words):
        return "SELECT"
    if words[:2] == ["SET", "STATEMENT"]:  # MariaDB's, for one statement, which follows
        return " ".join(words[:2])
    return words[0] if words else ""


# -- words ---------------------------------------------------------------------------------------


def _alter(construct: alembic_ddl.AlterColumn) -> str:
    return f"alter_column {construct.table_name}.{construct.column_name}"


DESCRIPTIONS: dict[type, Callable[[Any], str]] = {
    ddl.CreateTable: lambda one: f"create_table {one.element}",
    ddl.DropTable: lambda one: f"drop_table {one.element}",
    ddl.CreateIndex: lambda one: f"create_index {one.element.name} on {one.element.table}",
    ddl.DropIndex: lambda one: f"drop_index {one.element.name} on {one.element.table}",
    ddl.AddConstraint: lambda one: f"create_constraint {one.element.name} on {one.element.table}",
    ddl.DropConstraint: lambda one: f"drop_constraint {one.element.name} on {one.element.table}",
    alembic_ddl.AddColumn: lambda one: f"add_column {one.table_name}.{one.column.name}",
    alembic_ddl.DropColumn: lambda one: f"drop_column {one.table_name}.{one.column.name}",
    alembic_ddl.RenameTable: lambda one: f"rename_table {one.table_name} to {one.new_table_name}",
    alembic_ddl.AlterColumn: _alter,
}


# -- the reverse ---------------------------------------------------------------------------------


def _drop_column(one: alembic_ddl.AddColumn) -> Any:
    return alembic_ddl.DropColumn(one.table_name, one.column, schema=one.schema)


def _rename_back(one: alembic_ddl.RenameTable) -> Any:
    return alembic_ddl.RenameTable(str(one.new_table_name), str(one.table_name), schema=one.schema)


def _drop_index(one: ddl.CreateIndex) -> Any:
    if one.element.dialect_kwargs.get("postgresql_concurrently"):  # not in a transaction
        one.element.dialect_kwargs["postgresql_concurrently"] = False
    return ddl.DropIndex(one.element)


def _drop_constraint(one: ddl.AddConstraint) -> Any:
    return ddl.DropConstraint(one.element) if one.element.name else None


REVERSALS: dict[type, Callable[[Any], Any]] = {
    ddl.CreateTable: lambda one: ddl.DropTable(one.element),
    ddl.CreateIndex: _drop_index,
    ddl.AddConstraint: _drop_constraint,
    alembic_ddl.AddColumn: _drop_column,
    alembic_ddl.RenameTable: _rename_back,
}
"""What can be reversed: what was dropped has lost its rows, and what was altered its old form."""


# -- the schema ----------------------------------------------------------------------------------


def _has_index(found: Inspector, index: Index) -> bool | None:
    table = index.table
    if table is None or index.name is None:
        return None
    if not found.has_table(table.name, schema=table.schema):
        return False
    quote = found.dialect.identifier_preparer
    name = quote.format_index(index)  # as it is sent: a long one may be cut
    listed = found.get_indexes(table.name, schema=table.schema)
    return name in {quote.quote(str(one["name"])) for one in listed}


def _has_column(found: Inspector, one: Any, name: str) -> bool:
    if not found.has_table(str(one.table_name), schema=one.schema):
        return False
    columns = found.get_columns(str(one.table_name), schema=one.schema)
    return name in {column["name"] for column in columns}


def _has_constraint(found: Inspector, constraint: Any) -> bool | None:
    place = (constraint.table.name, constraint.table.schema)
    if isinstance(constraint, PrimaryKeyConstraint):  # whose name MySQL does not keep
        return bool(found.get_pk_constraint(*place)["constrained_columns"])
    if constraint.name is None:
        return None
    listed = [
        *found.get_foreign_keys(*place),
        *found.get_unique_constraints(*place),
        *found.get_check_constraints(*place),
        found.get_pk_constraint(*place),
    ]
    if constraint.name in {one["name"] for one in listed}:
        return True
    return False if isinstance(constraint, LISTED) else None


LISTED = (ForeignKeyConstraint, UniqueConstraint, CheckConstraint)
"""The kinds of constraint that an inspector knows."""


def _renamed(found: Inspector, one: alembic_ddl.RenameTable) -> bool:
    return found.has_table(str(one.new_table_name), schema=one.schema) and not found.has_table(
        str(one.table_name), schema=one.schema
    )


def _altered(found: Inspector, one: Any) -> bool | None:
    """A column is altered again with the same result, unless it was to have another name."""
    new = getattr(one, "newname", None)
    if isinstance(one, MySQLModifyColumn) or new in (None, one.column_name):
        return False
    return _has_column(found, one, str(new))


def _converted(found: Inspector, one: Any) -> bool | None:
    """A column's type is changed again with the same result, unless by an expression."""
    return None if getattr(one, "using", None) else False


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


LOOKS: dict[type, Callable[[Inspector, Any], bool | None]] = {
    ddl.CreateTable: lambda found, one: found.has_table(
        one.element.name, schema=one.element.schema
    ),
    ddl.DropTable: lambda found, one: (
        not found.has_table(one.element.name, schema=one.element.schema)
    ),
    ddl.CreateIndex: lambda found, one: _has_index(found, one.element),
    ddl.DropIndex: lambda found, one: _not(_has_index(found, one.element)),
    ddl.AddConstraint: lambda found, one: _has_constraint(found, one.element),
    ddl.DropConstraint: lambda found, one: _not(_has_constraint(found, one.element)),
    alembic_ddl.AddColumn: lambda found, one: _has_column(found, one, one.column.name),
    alembic_ddl.DropColumn: lambda found, one: not _has_column(found, one, one.column.name),
    alembic_ddl.RenameTable: _renamed,
    alembic_ddl.ColumnName: _altered,
    MySQLChangeColumn: _altered,
    alembic_ddl.AlterColumn: _converted,
    ddl.SetTableComment: lambda found, one: False,
    ddl.DropTableComment: lambda found, one: False,
    ddl.SetColumnComment: lambda found, one: False,
}
