"""The CREATE TABLE of SQLite, parsed (https://www.sqlite.org/lang_createtable.html and parse.y)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sql.reader import Reader

BESIDE = frozenset(["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"])
"""The words that begin a constraint beside the columns."""

WITHIN = BESIDE | {"NOT", "NULL", "DEFAULT", "COLLATE", "REFERENCES", "AS", "ON", "DEFERRABLE"}
"""The words that end the type of a column."""

CLAUSES = {
    ("ON", "DELETE"): "on_delete",
    ("ON", "UPDATE"): "on_update",
    ("MATCH",): "match",
    ("DEFERRABLE",): "deferrable",
    ("NOT", "DEFERRABLE"): "deferrable",
    ("INITIALLY",): "initially",
}
"""The words behind what a foreign key refers to, and what they say."""


Span = tuple[int, int]
"""Where a piece of the statement begins and ends."""


@dataclass(frozen=True)
class Part:
    """Hold a column of a key, or an expression: its SQL, its collation and its order."""

    sql: str
    column: str | None
    collation: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class Constraint:
    """Hold what all constraints have: the SQL, behind the name, and what a conflict does."""

    sql: str
    name: str | None
    column: str | None
    """The column within which it was written."""
    conflict: str | None
    span: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)
    """With its name."""


@dataclass(frozen=True)
class NotNull(Constraint):
    """Say that a column has no NULL."""


@dataclass(frozen=True)
class Unique(Constraint):
    """Say that the values of columns are unique."""

    parts: tuple[Part, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return _names(self.parts)


@dataclass(frozen=True)
class PrimaryKey(Unique):
    """Name the key of a table."""

    autoincrement: bool


@dataclass(frozen=True)
class Check(Constraint):
    """Hold a condition."""

    expression: str


@dataclass(frozen=True)
class ForeignKey(Constraint):
    """Refer to another table; without `referred` to its primary key."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    on_delete: str | None
    on_update: str | None
    match: str | None
    deferrable: bool | None
    initially: str | None


@dataclass(frozen=True)
class Column:
    """Hold a column: its SQL, and what the statement says of it."""

    sql: str
    name: str
    type: str
    collation: str | None
    default: str | None
    """The SQL of the default, with the parentheses of an expression."""
    generated: str | None
    """The expression of a computed column, without its parentheses."""
    stored: bool
    constraints: tuple[Constraint, ...]
    span: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)
    name_span: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)
    type_span: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)
    clauses: tuple[tuple[str, Span], ...] = field(default=(), compare=False, repr=False)
    """What is said of it besides the constraints, by its first word."""


@dataclass(frozen=True)
class CreateTable:
    """Hold a table as the statement has it; names are without their quotes."""

    name: str
    columns: tuple[Column, ...] = ()
    table_constraints: tuple[Constraint, ...] = ()
    strict: bool = False
    without_rowid: bool = False
    body: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)
    """The columns and constraints, with their parentheses."""

    @property
    def constraints(self) -> Sequence[Constraint]:
        """Return those of the columns, and those beside them."""
        within = (constraint for column in self.columns for constraint in column.constraints)
        return [*within, *self.table_constraints]

    @property
    def key(self) -> "PrimaryKey | None":
        """Return the primary key."""
        keys = (item for item in self.constraints if isinstance(item, PrimaryKey))
        return next(keys, None)

    @property
    def numbered(self) -> str | None:
        """Return the column that is another name of the rowid (lang_createtable.html#rowid)."""
        key = self.key
        if key is None or len(key.parts) != 1 or self.without_rowid:
            return None
        kinds = {column.name.lower(): column.type.upper() for column in self.columns}
        reversed_ = key.column is not None and key.parts[0].descending
        name = key.columns[0]
        return name if kinds.get(name.lower()) == "INTEGER" and not reversed_ else None


@lru_cache(maxsize=512)  # each change of a rebuilt table reads it again
def parse(sql: str) -> CreateTable:
    """Return what a statement says that SQLite has accepted; a virtual table has no columns."""
    reader = Reader(sql, SQLITE)
    reader.skip("TABLE")
    reader.take("TABLE")
    name = reader.made()
    opening = reader.place
    if not reader.take("("):
        return CreateTable(name)
    columns, constraints = [], list[Constraint]()
    while not (reader.ended or reader.take(")")):
        if reader.word in BESIDE:
            constraints += _constraints(reader)
        else:
            columns.append(_column(reader))
        reader.take(",")
    options = {token.word for token in reader.tokens[reader.place :]}
    return CreateTable(
        name,
        (*columns,),
        (*constraints,),
        "STRICT" in options,
        "WITHOUT" in options,
        body=reader.span(opening),
    )


def _column(reader: Reader) -> Column:
    start, name = reader.place, reader.name()
    name_span = reader.span(start)
    kind = _type(reader)
    type_span = reader.span(start + 1) if kind else (name_span[1], name_span[1])
    found: dict[str, Any] = {"collation": None, "default": None, "generated": None, "clauses": ()}
    constraints = [*_constraints(reader, name, found)]
    return Column(
        sql=reader.since(start),
        name=name,
        type=kind,
        constraints=(*constraints,),
        span=reader.span(start),
        name_span=name_span,
        type_span=type_span,
        **{"stored": False, **found},
    )


def _type(reader: Reader) -> str:
    start = reader.place
    while not (reader.ended or reader.word in WITHIN | {",", ")", "("} or _generates(reader)):
        reader.place += 1
    if reader.place > start and reader.word == "(":
        reader.group()
    return reader.since(start)


def _generates(reader: Reader) -> bool:
    words = [token.word for token in reader.tokens[reader.place : reader.place + 2]]
    return words == ["GENERATED", "ALWAYS"]


def _constraints(
    reader: Reader, column: str | None = None, found: dict[str, Any] | None = None
) -> Iterator[Constraint]:
    """Yield the constraints up to a comma, and note what else is said of a column."""
    while not (reader.ended or reader.word in (",", ")")):
        first = reader.place
        name = reader.named("CONSTRAINT")
        start, word = reader.place, reader.word
        constraint = _constraint(reader, column)
        if constraint is not None:
            kind, values = constraint
            span = reader.span(first)
            yield kind(sql=reader.since(start), name=name, column=column, span=span, **values)
        elif found is not None:
            _note(reader, found)
            found["clauses"] += ((word, reader.span(first)),)
        elif reader.place == start and name is None:
            reader.place += 1


def _constraint(
    reader: Reader, column: str | None
) -> tuple[type[Constraint], dict[str, Any]] | None:
    """Return the kind of the constraint that comes next, and its values; None for none."""
    if reader.take("NOT", "NULL"):
        return NotNull, {"conflict": _conflict(reader)}
    if reader.take("UNIQUE"):
        return Unique, {"parts": _parts(reader, column), "conflict": _conflict(reader)}
    if reader.take("CHECK"):
        return Check, {"expression": reader.group(), "conflict": _conflict(reader)}
    if reader.take("PRIMARY", "KEY"):
        return PrimaryKey, _key(reader, column)
    if reader.take("FOREIGN", "KEY"):
        return ForeignKey, _reference(reader, _names(_parts(reader, None)))
    if reader.word == "REFERENCES" and column is not None:
        return ForeignKey, _reference(reader, (column,))
    return None


def _note(reader: Reader, found: dict[str, Any]) -> None:
    """Note what is said of a column, and is no constraint."""
    if reader.take("DEFAULT"):
        found["default"] = _default(reader)
    elif reader.take("COLLATE"):
        found["collation"] = reader.name()
    elif reader.take("AS"):
        found["generated"] = reader.group()
        found["stored"] = reader.take("STORED")
    elif reader.take("NULL"):
        _conflict(reader)
    else:
        reader.place += 1  # GENERATED, ALWAYS, VIRTUAL


def _default(reader: Reader) -> str:
    start = reader.place
    if reader.word == "(":
        reader.group()
    else:
        reader.place += 2 if reader.word in ("+", "-") else 1
    return reader.since(start)


def _key(reader: Reader, column: str | None) -> dict[str, Any]:
    """Return the values of a primary key; AUTOINCREMENT may be within its parentheses."""
    start, parts = reader.place, _parts(reader, column)
    within = [token.word for token in reader.tokens[start : reader.place]]
    conflict = _conflict(reader)
    auto = reader.take("AUTOINCREMENT") or "AUTOINCREMENT" in within
    return {"parts": parts, "conflict": conflict, "autoincrement": auto}


def _parts(reader: Reader, column: str | None) -> tuple[Part, ...]:
    """Return the parts in parentheses; a column's own constraint has but an order."""
    if column is not None:
        descending = reader.take("DESC")
        reader.take("ASC")
        return (Part(column, column, descending=descending),)
    parts = []
    while not reader.ended and reader.word != ")":
        reader.place += 1  # the parenthesis, or a comma
        parts.append(_part(reader))
    reader.place += 1
    return (*parts,)


def _part(reader: Reader) -> Part:
    start = reader.place
    reader.skip("COLLATE", "ASC", "DESC", "NULLS", "AUTOINCREMENT", ",", ")")
    sql, single = reader.since(start), reader.place == start + 1
    name = reader.tokens[start].value if single else None
    collation = reader.named("COLLATE")
    descending = reader.take("DESC")
    reader.skip(",", ")")
    return Part(sql, name, collation, descending)


def _conflict(reader: Reader) -> str | None:
    """Return what is done about a row that breaks a constraint."""
    return reader.token().word if reader.take("ON", "CONFLICT") else None


def _reference(reader: Reader, columns: tuple[str, ...]) -> dict[str, Any]:
    reader.take("REFERENCES")
    values: dict[str, Any] = dict.fromkeys(CLAUSES.values()) | {"conflict": None, "referred": ()}
    values |= {"columns": columns, "table": reader.name()}
    if reader.word == "(":
        values["referred"] = _names(_parts(reader, None))
    while clause := next((words for words in CLAUSES if reader.take(*words)), None):
        deferrable = clause[-1] == "DEFERRABLE"
        values[CLAUSES[clause]] = len(clause) == 1 if deferrable else _action(reader)
    return values


def _names(parts: Sequence[Part]) -> tuple[str, ...]:
    return tuple(part.column or part.sql for part in parts)


def _action(reader: Reader) -> str:
    """Return what a foreign key does: CASCADE, RESTRICT, SET NULL, SET DEFAULT or NO ACTION."""
    word = reader.token().word
    return f"{word} {reader.token().word}" if word in ("SET", "NO") else word
