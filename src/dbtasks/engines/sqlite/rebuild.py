"""Tables of SQLite that are made anew, with all that these would lose, or that would be in the way.

Alembic makes a table under another name, copies the rows, drops the old one and renames the new.
It copies computed columns too, which SQLite refuses, and knows of no views and triggers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from sqlalchemy import Connection, Insert, Inspector, Table, event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, DropTable

from dbtasks.engines.base.created import Created
from dbtasks.engines.base.dependent import Dependent
from dbtasks.engines.sqlite.create_table import Constraint, ForeignKey
from dbtasks.engines.sqlite.created import (
    read_checks,
    read_create_table,
    read_created,
    read_expressions,
)
from dbtasks.errors import ROLLED_BACK, Refused

TEMPORARY = "_alembic_tmp_"
LONGEST = 50
"""What Alembic calls the new table before its time, and how much of that name it keeps."""

VIEWS_AND_TRIGGERS = """
SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY rowid
"""

READERS = (
    *("get_check_constraints", "get_unique_constraints"),
    *("get_foreign_keys", "get_pk_constraint"),
)
"""What reads constraints in the statement that made a table, by patterns."""

QUOTES = "\"'`]"

AS_IT_IS = {"no_parameters": True}
NUMBERS = count()


def read_dependents(connection: Connection, table: str) -> Sequence[Dependent]:
    """Return the views and triggers that name a table, or a view that does, in their order.

    A view of a table that is away for a moment lets SQLite rename none; a trigger goes with it.
    """
    there = [Dependent(*row) for row in connection.exec_driver_sql(VIEWS_AND_TRIGGERS)]
    names = {table}
    while True:
        found = [one for one in there if one.needs(names)]
        views = {one.name for one in found if one.kind == "view"}
        if views <= names:
            return found
        names |= views


@contextmanager
def follow(connection: Connection) -> Iterator[None]:
    """Keep in the block what tables have that are made anew, wherever it comes from."""
    followed = _Rebuilding()
    listeners: Sequence[tuple[str, Callable[..., Any], dict[str, bool]]] = (
        ("before_execute", followed.before, {"retval": True}),
        ("after_execute", followed.after, {}),
    )
    for name, listener, options in listeners:
        event.listen(connection, name, listener, **options)
    read = _reader(connection)
    event.listen(Table, "column_reflect", read)
    try:
        with _read_names(connection.dialect):
            yield
    finally:
        event.remove(Table, "column_reflect", read)
        for name, listener, _ in listeners:
            event.remove(connection, name, listener)


@contextmanager
def _read_names(dialect: Any) -> Iterator[None]:
    """Let SQLAlchemy read the names of constraints that have quotes in them.

    It takes them as they are written, with the quotes doubled, and gives no name to a foreign key
    whose columns or table have quotes in theirs: a rebuilt table would have other names each time.
    """
    before = {reader: vars(dialect).get(reader) for reader in READERS}
    for reader in READERS:
        setattr(dialect, reader, _corrected(getattr(dialect, reader)))
    try:
        yield
    finally:
        for reader, own in before.items():
            if own is None:
                delattr(dialect, reader)
            else:
                setattr(dialect, reader, own)


def _corrected(read: Callable[..., Any]) -> Callable[..., Any]:
    def corrected(
        connection: Connection, table: str, schema: str | None = None, **options: Any
    ) -> Any:
        reflected = read(connection, table, schema, **options)
        if not reflected:
            return reflected
        written = read_create_table(connection, table, schema).constraints
        if isinstance(reflected, dict):
            return _named(reflected, written)
        return [_named(constraint, written) for constraint in reflected]

    return corrected


def _named(reflected: Any, written: Sequence[Constraint]) -> Any:
    """Return what was reflected of a constraint, with the name that was written."""
    name = reflected["name"]
    for constraint in written:
        if constraint.name is None:
            continue
        doubled = {constraint.name.replace(quote, quote * 2) for quote in QUOTES}
        is_reference = name is None and isinstance(constraint, ForeignKey)
        if name in doubled or (is_reference and _is_reference_of(reflected, constraint)):
            return {**reflected, "name": constraint.name}
    return reflected


def _is_reference_of(reflected: Any, constraint: Constraint) -> bool:
    """Whether a foreign key was reflected of this one."""
    assert isinstance(constraint, ForeignKey)
    told = [*reflected.get("constrained_columns", ()), reflected.get("referred_table", "")]
    written = [*constraint.columns, constraint.table]
    return [name.lower() for name in told] == [name.lower() for name in written]


class SQLiteRebuilding:
    """Know what a table of SQLite has beside it, and keep it."""

    def dependents(self, connection: Connection, table: str) -> Sequence[Dependent]:
        """Return the views and triggers that name a table."""
        return read_dependents(connection, table)

    def created(self, connection: Connection, table: str) -> Created:
        """Read it in the statement that made the table."""
        return read_created(connection, table)

    def computed(self, connection: Connection, table: str) -> Mapping[str, str]:
        """Read them in the statement that made the table."""
        return read_expressions(connection, table)

    def checks(self, connection: Connection, table: str, schema: str | None) -> Sequence[Any]:
        """Read them in the statement that made the table."""
        return read_checks(connection, table, schema)

    @contextmanager
    def rebuilding(self, connection: Connection) -> Iterator[None]:
        """Follow the tables that Alembic makes anew."""
        with follow(connection):
            yield


def _reader(connection: Connection) -> Callable[[Inspector, Table, Any], None]:
    """Return what gives computed columns their expressions when a table is reflected."""

    def read(inspector: Inspector, table: Table, column: Any) -> None:
        if inspector.bind is connection and "computed" in column:
            found = read_expressions(connection, table.name)
            told = column["computed"]
            told["sqltext"] = found.get(column["name"], told["sqltext"])

    return read


class _Rebuilding:
    """Follow a table on its way: made, filled, in the place of the old one."""

    def __init__(self) -> None:
        self.new = ""
        self.dependents: Sequence[Dependent] = ()
        self.sound: Sequence[Dependent] = ()

    def before(
        self, connection: Connection, element: Any, several: Any, values: Any, options: Any
    ) -> tuple[Any, Any, Any]:
        """Leave computed columns out of the copy, and drop what the old table has beside it."""
        if isinstance(element, CreateTable) and element.element.name.startswith(TEMPORARY):
            self.new = element.element.name
        elif isinstance(element, Insert) and getattr(element.table, "name", "") == self.new:
            element = _without_computed(element)
        elif isinstance(element, DropTable) and _temporary(element.element.name) == self.new:
            self.dependents = read_dependents(connection, element.element.name)
            self.sound = [one for one in self.dependents if _fault(connection, one) is None]
            _run(connection, *(one.drop for one in reversed(self.dependents)))
        return element, several, values

    def after(self, connection: Connection, element: Any, *rest: object) -> None:
        """Make again what was dropped once the new table has its name."""
        if hasattr(element, "new_table_name") and element.table_name == self.new:
            _run(connection, *(one.create for one in self.dependents))
            for one in self.sound:
                _check(connection, one)
            self.new, self.dependents, self.sound = "", (), ()


def _temporary(table: str) -> str:
    return f"{TEMPORARY}{table}"[:LONGEST]


def _without_computed(copy: Insert) -> Insert:
    """Return the statement that copies the rows, without what SQLite computes."""
    source: Any = copy.select
    if source is None:
        return copy
    values = [one["expr"] for one in source.column_descriptions]
    pairs = [
        (name, value)
        for name, value in zip(copy._select_names or (), values, strict=True)
        if copy.table.c[name].computed is None
    ]
    names = [name for name, _ in pairs]
    return copy.table.insert().inline().from_select(names, select(*(one for _, one in pairs)))


def _run(connection: Connection, *statements: str) -> None:
    for one in statements:
        connection.exec_driver_sql(one, execution_options=AS_IT_IS).close()


def _check(connection: Connection, dependent: Dependent) -> None:
    """Raise Refused for what has lost a column: SQLite would tell whoever uses it next."""
    fault = _fault(connection, dependent)
    if fault is not None:
        raise Refused(
            f"the {dependent.kind} {dependent.name} of the database needs what the migration "
            f"takes away: {fault.orig}",
            hint="drop it in the migration, or before it, or make it again there as it is to be",
            state=ROLLED_BACK,
        ) from fault


def _fault(connection: Connection, dependent: Dependent) -> DBAPIError | None:
    """Return what SQLite says against using a view or a trigger."""
    columns = connection.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (dependent.on,))
    statement = dependent.probe(columns.scalars().all())
    try:
        if statement:
            # The driver keeps what it has prepared, and SQLite explains that as it was.
            _run(connection, f"EXPLAIN {statement} -- {next(NUMBERS)}")
    except DBAPIError as error:
        return error
    return None
