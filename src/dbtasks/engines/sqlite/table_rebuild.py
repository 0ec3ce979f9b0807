"""A table of SQLite rebuilt from another CREATE TABLE, with all that is attached to it.

These are the steps of https://www.sqlite.org/lang_altertable.html#otheralter, in the caller's
transaction. Foreign keys have to be off, and are checked where the run ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, column, literal_column, select, table
from sqlalchemy.exc import DBAPIError, NoSuchTableError, OperationalError

from dbtasks.engines.base.dependent import Dependent
from dbtasks.engines.sql.lexer import SQLITE, Kind
from dbtasks.engines.sql.reader import Reader
from dbtasks.engines.sqlite.create_table import Check, CreateTable, parse
from dbtasks.engines.sqlite.table_text import TableText
from dbtasks.errors import ROLLED_BACK, Refused

TEMPORARY = "_alembic_tmp_"
"""What the new table is called at first: Alembic's own name for it."""

TABLE = """
SELECT name, sql FROM {}sqlite_master WHERE type = 'table' AND lower(name) = lower(?)
"""
ATTACHED = """
SELECT type, name, tbl_name, sql FROM {}sqlite_master
WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?) AND sql <> '' ORDER BY rowid
"""
VIEWS_AND_TRIGGERS = """
SELECT type, name, tbl_name, sql FROM {}sqlite_master
WHERE type IN ('view', 'trigger') ORDER BY rowid
"""
EXPRESSIONS = "SELECT count(*) FROM pragma_index_xinfo(?, ?) WHERE cid = -2"
COLUMNS = "SELECT name FROM pragma_table_info(?, ?)"
NUMBER = """
INSERT INTO {0}sqlite_sequence (name, seq) SELECT ?, seq FROM {0}sqlite_sequence WHERE name = ?
"""
ROWIDS = ("rowid", "_rowid_", "oid")

AS_IT_IS = {"no_parameters": True}
NUMBERS = count()


class Attached(Dependent):
    """Hold an index or a trigger of a table."""

    def within(self, schema: str) -> str:
        """Return the statement with the schema, which SQLite does not keep, before the name."""
        reader = Reader(self.create, SQLITE)
        reader.skip("INDEX", "TRIGGER")
        reader.place += 1
        reader.take("IF", "NOT", "EXISTS")
        start = reader.token().start
        return f"{self.create[:start]}{schema}{self.create[start:]}"

    def needs_quoted(self, names: Sequence[str]) -> str | None:
        """Return the column that it names in quotes: SQLite takes a missing one for a text."""
        lost = {name.lower() for name in names}
        quoted = (token for token in SQLITE.code(self.create) if token.kind is Kind.NAME)
        return next((token.value for token in quoted if token.value.lower() in lost), None)


class TableRebuild:
    """Know a table, and what is attached to it. Raises NoSuchTableError where there is none."""

    def __init__(self, connection: Connection, name: str, schema: str | None = None) -> None:
        self.connection = connection
        self.quote = connection.dialect.identifier_preparer.quote
        self.schema, self.name, sql = _read(connection, name, schema)
        self.within = _within(connection, self.schema)
        self.text = TableText(sql, self.quote)
        attached = [Attached(*row) for row in self._rows(ATTACHED, self.name)]
        self.triggers = [item for item in attached if item.kind == "trigger"]
        self.indexes = {item.name: item for item in attached if item.kind == "index"}

    @property
    def table(self) -> CreateTable:
        """Return the table as it is to be."""
        return self.text.table

    def is_on_expression(self, index: str) -> bool:
        """Whether an index has a part that is no column: Alembic loses these."""
        return bool(self._rows(EXPRESSIONS, index, self.schema)[0][0])

    def rename_column(self, old: str, new: str) -> None:
        """Rename a column wherever it is named, also in other tables, views and triggers."""
        table, names = self._named(self.name), f"{self.quote(old)} TO {self.quote(new)}"
        self._run(f"ALTER TABLE {table} RENAME COLUMN {names}")

    @cached_property
    def temporary(self) -> str:
        """Return a name that no table has."""
        name = f"{TEMPORARY}{self.name}"
        while self._rows(TABLE, name):
            name += "_"
        return name

    def run(
        self, before: CreateTable, old: Table, values: Mapping[str, ColumnElement[Any]]
    ) -> list[Attached]:
        """Rebuild the table, and return the indexes and triggers that were created again.

        `values` are what columns get of a row of the old table.
        """
        after = self.table
        dependents = read_dependents(self.connection, self.name, self.within)
        sound = [item for item in dependents if self._fault(item) is None]
        self._run(self.text.created(self._named(self.temporary)))
        try:
            self._copy(before, old, values)
            self._run(f"DROP TABLE {self._named(self.name)}")
        except Exception:
            with suppress(DBAPIError):  # the first error tells more
                self._run(f"DROP TABLE {self._named(self.temporary)}")
            raise
        with self._names_kept():
            self._run(
                f"ALTER TABLE {self._named(self.temporary)} RENAME TO {self.quote(self.name)}"
            )
        created = [*self.indexes.values(), *self.triggers]
        names = {name.name.lower() for name in after.columns}
        lost = [item.name for item in before.columns if item.name.lower() not in names]
        for item in created:
            self._create(item, lost)
        for dependent in sound:
            fault = self._fault(dependent)
            if fault is not None:
                raise _needed(dependent, fault) from fault
        return created

    def _copy(
        self, before: CreateTable, old: Table, values: Mapping[str, ColumnElement[Any]]
    ) -> None:
        """Copy the rows with their rowids, but for the values that SQLite computes.

        A row that breaks a constraint is an error, whatever its ON CONFLICT says.
        """
        after = self.table
        if after.key and after.key.autoincrement:  # no number is given again, also of lost rows
            self._run(NUMBER.format(self.within), self.temporary, self.name)
        computed = {item.name for item in after.columns if item.generated is not None}
        pairs = {name: value for name, value in values.items() if name not in computed}
        has_rowids = not (before.without_rowid or after.without_rowid) and after.numbered is None
        shown, hidden = _rowid(before), _rowid(after)
        if has_rowids and shown and hidden:
            pairs[hidden] = literal_column(shown)
        if pairs:
            new = table(self.temporary, *map(column, pairs), schema=self.schema)
            rows = select(*pairs.values()).select_from(old)
            copied = new.insert().prefix_with("OR ABORT").from_select([*pairs], rows)
            self.connection.execute(copied)

    @contextmanager
    def _names_kept(self) -> Iterator[None]:
        """Let views and triggers name the table while it has its other name."""
        legacy = self._rows("PRAGMA legacy_alter_table")[0][0]
        self._run("PRAGMA legacy_alter_table=ON")
        try:
            yield
        finally:
            self._run(f"PRAGMA legacy_alter_table={legacy}")

    def _create(self, item: Attached, lost: Sequence[str]) -> None:
        """Create an index or a trigger again. Raises Refused where it needs a lost column."""
        missing = item.needs_quoted(lost) if item.kind == "index" else None
        if missing is not None:
            raise _needed(item, f"no such column: {missing}")
        try:
            self._run(item.within(self.within) if self.within else item.create)
        except OperationalError as error:
            raise _needed(item, error) from error

    def _fault(self, dependent: Dependent) -> DBAPIError | None:
        """Return what SQLite says against using a view or a trigger."""
        try:
            columns = self._rows(COLUMNS, dependent.on, self.schema)  # fails of a broken view
            statement = dependent.probe([name for (name,) in columns])
            if statement:
                # The driver keeps what it has prepared, and SQLite explains that as it was.
                self._run(f"EXPLAIN {statement} -- {next(NUMBERS)}")
        except DBAPIError as error:
            return error
        return None

    def _named(self, name: str) -> str:
        return f"{self.within}{self.quote(name)}"

    def _rows(self, sql: str, *values: object) -> Sequence[Any]:
        return self.connection.exec_driver_sql(sql.format(self.within), values).all()

    def _run(self, sql: str, *values: object) -> None:
        options = {} if values else AS_IT_IS
        self.connection.exec_driver_sql(sql, values or None, execution_options=options).close()


def read_create_table(connection: Connection, table: str, schema: str | None = None) -> CreateTable:
    """Return the statement that made a table; it has no columns where there is no such table."""
    try:
        return parse(_read(connection, table, schema)[2])
    except NoSuchTableError:
        return CreateTable(table)


def _read(connection: Connection, table: str, schema: str | None) -> tuple[str | None, str, str]:
    """Return the schema, name and statement of a table, as SQLite finds and spells them."""
    for within in (schema,) if schema else ("temp", None):
        asked = TABLE.format(_within(connection, within))
        row = connection.exec_driver_sql(asked, (table,)).first()
        if row is not None:
            return within, str(row[0]), str(row[1])
    raise NoSuchTableError(table)


def _within(connection: Connection, schema: str | None) -> str:
    return f"{connection.dialect.identifier_preparer.quote(schema)}." if schema else ""


def read_dependents(connection: Connection, table: str, within: str = "") -> Sequence[Dependent]:
    """Return the views and triggers that name a table, or a view that does, in their order."""
    asked = VIEWS_AND_TRIGGERS.format(within)
    known = [Dependent(*row) for row in connection.exec_driver_sql(asked)]
    names = {table}
    while True:
        dependents = [item for item in known if item.needs(names)]
        views = {item.name for item in dependents if item.kind == "view"}
        if views <= names:
            return dependents
        names |= views


def _rowid(table: CreateTable) -> str | None:
    """Return a name of the rowid that no column has."""
    columns = {item.name.lower() for item in table.columns}
    return next((name for name in ROWIDS if name not in columns), None)


def _needed(item: Dependent, fault: object) -> Refused:
    return Refused(
        f"the {item.kind} {item.name} of the database needs what the migration takes away: "
        f"{getattr(fault, 'orig', fault)}",
        hint="drop it in the migration, or before it, or create it there again as it is to be",
        state=ROLLED_BACK,
    )


class SQLiteRebuilding:
    """Know what a table has that its rebuild by another tool would lose."""

    def dependents(self, connection: Connection, table: str) -> Sequence[Dependent]:
        """Return the views and triggers that name a table."""
        return read_dependents(connection, table)

    def checks(self, connection: Connection, table: str, schema: str | None) -> Sequence[Any]:
        """Read them in the statement that made the table.

        SQLAlchemy before 2.1 reads some over their end.
        """
        constraints = read_create_table(connection, table, schema).constraints
        checks = [item for item in constraints if isinstance(item, Check)]
        return [{"name": check.name, "sqltext": check.expression} for check in checks]
