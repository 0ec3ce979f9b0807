"""What a SQLite database has: the statements that it keeps as they were written, told apart."""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite.base import SQLiteDialect, ischema_names

from dbtasks.engines.base.definitions import (
    CHECK,
    COLUMN,
    FOREIGN_KEY,
    INDEX,
    PRIMARY_KEY,
    TABLE,
    TRIGGER,
    UNIQUE,
    UNNAMED,
    VIEW,
    Definition,
    Key,
    Place,
    Reference,
    given,
)
from dbtasks.engines.sql import create_index
from dbtasks.engines.sql.expressions import canonical, is_constant, mentioned, renamed
from dbtasks.engines.sql.lexer import SQLITE, Kind
from dbtasks.engines.sqlite import create_table
from dbtasks.engines.sqlite.create_table import (
    Check,
    Column,
    Constraint,
    ForeignKey,
    NotNull,
    PrimaryKey,
    Unique,
)

MASTER = """
SELECT type, tbl_name, name, sql FROM sqlite_master
WHERE sql <> '' AND name NOT GLOB 'sqlite_*' ORDER BY rowid
"""

TRUTHS = {"TRUE": "1", "FALSE": "0", "NULL": ""}

TABLE_OPTIONS = dict(SQLiteDialect.construct_arguments or ()).get(Table) or {}
"""What SQLAlchemy takes of a table: before 2.0.37 not STRICT."""

Definitions = Iterator[tuple[Key, Definition]]


def definitions(connection: Connection) -> Definitions:
    """Yield all that a database has."""
    columns: dict[str, Sequence[str]] = {}
    for kind, table, name, sql in connection.exec_driver_sql(MASTER).all():
        if kind == "table":
            created = create_table.parse(sql)
            columns[table] = [column.name for column in created.columns]
            yield from _Table(table, sql, created).definitions()
        elif kind == "index":
            yield Key(INDEX, None, table, name), _index(sql, columns.get(table, ()))
        elif kind == "view":
            yield Key(VIEW, None, name), Definition({"sql": _spelled(sql)}, sql=sql)
        else:
            yield Key(TRIGGER, None, table, name), Definition({"sql": _spelled(sql)}, sql=sql)


class _Table:
    def __init__(self, name: str, sql: str, created: create_table.CreateTable) -> None:
        self.name, self.sql, self.created = name, sql, created
        self.columns = [column.name for column in created.columns]
        self.unnamed = 0

    def definitions(self) -> Definitions:
        created = self.created
        attributes = given(
            strict="yes" if created.strict else "",
            rowid="no" if created.without_rowid else "",
            virtual="" if created.columns else _spelled(self.sql),
        )
        parts = {"sqlite_with_rowid": False} if created.without_rowid else {}
        if created.strict and "strict" in TABLE_OPTIONS:
            parts["sqlite_strict"] = True
        yield Key(TABLE, None, self.name), Definition(attributes, sql=self.sql, parts=parts)
        for column in created.columns:
            yield Key(COLUMN, None, self.name, column.name), self._column(column)
        for constraint in created.constraints:
            if not isinstance(constraint, NotNull):
                yield self._constraint(constraint)

    def _column(self, column: Column) -> Definition:
        required = next((one for one in column.constraints if isinstance(one, NotNull)), None)
        computed = _spelled(column.generated or "")
        attributes = given(
            type=_spelled(column.type).upper(),
            null="yes" if required is None else "no",
            conflict=required.conflict if required else None,
            default=_stored(column.default or "", column.type),
            collation=(column.collation or "").lower(),
            computed=f"{computed} stored" if column.stored else computed,
        )
        parts: dict[str, object] = dict(
            given(default=column.default, collation=column.collation, computed=column.generated)
        )
        if column.generated is not None:
            parts["persisted"] = column.stored
        if column.type.partition("(")[0].strip().upper() not in ischema_names:
            parts["type"] = column.type  # which SQLAlchemy reflects as one that is like it
        if required is not None and required.conflict:
            parts["sqlite_on_conflict_not_null"] = required.conflict
        return Definition(attributes, self._uses(column.generated or ""), parts=parts)

    def _uses(self, sql: str) -> frozenset[str]:
        return mentioned(SQLITE, sql, self.columns)

    def _constraint(self, constraint: Constraint) -> tuple[Key, Definition]:
        name = constraint.name
        match constraint:
            case PrimaryKey():
                kind, definition = PRIMARY_KEY, _unique(constraint)
                name = None  # no statement changes it
            case Unique():
                kind, definition = UNIQUE, _unique(constraint)
            case ForeignKey():
                kind, definition = FOREIGN_KEY, _foreign_key(constraint)
            case _:
                assert isinstance(constraint, Check)
                kind, definition = CHECK, self._check(constraint)
        self.unnamed += name is None
        return Key(kind, None, self.name, name or f"{UNNAMED}{self.unnamed}"), definition

    def _check(self, check: Check) -> Definition:
        # Without the name of the table, which it does not keep where that is rebuilt.
        sql = _spelled(renamed(SQLITE, check.expression, {}, self.name, str))
        attributes = given(sql=sql, conflict=check.conflict)
        return Definition(attributes, self._uses(check.expression), sql=check.expression)


def _unique(constraint: Unique) -> Definition:
    autoincrement = isinstance(constraint, PrimaryKey) and constraint.autoincrement
    listed = (
        f"{_spelled(part.sql)} {(part.collation or '').lower()} {'desc' * part.descending}".strip()
        for part in constraint.parts
    )
    attributes = given(
        columns=", ".join(listed),
        conflict=constraint.conflict,
        autoincrement="yes" if autoincrement else "",
    )
    parts: dict[str, object] = {}
    if constraint.conflict:
        parts["sqlite_on_conflict"] = constraint.conflict
    if autoincrement:
        parts["autoincrement"] = True
    columns = constraint.columns
    return Definition(attributes, frozenset(columns), columns, parts=parts)


def _foreign_key(key: ForeignKey) -> Definition:
    actions = {"ondelete": key.on_delete, "onupdate": key.on_update}
    parts: dict[str, object] = {name: act for name, act in actions.items() if act != "NO ACTION"}
    parts |= {"match": key.match, "initially": key.initially, "deferrable": key.deferrable or None}
    parts = {name: value for name, value in parts.items() if value is not None}
    reference = Reference(Place(None, key.table), key.referred)
    told = f"{key.columns} {key.table} {key.referred} {sorted(parts.items())}".lower()
    return Definition({"sql": told}, frozenset(key.columns), key.columns, "", reference, parts)


def _index(sql: str, columns: Sequence[str]) -> Definition:
    index = create_index.parse(sql, SQLITE)
    assert index is not None
    attributes = given(
        unique="yes" if index.unique else "no",
        sql=_spelled(index.parts),
        where=_spelled(index.where),
    )
    names = {name.lower(): name for name in columns}
    parts = [token.value.lower() for token in SQLITE.code(index.parts)]
    is_plain = not index.where and {*parts[::2]} <= {*names} and {*parts[1::2]} <= {","}
    text = f"{index.parts} {index.where}"
    uses = mentioned(SQLITE, text, columns)
    plain = tuple(names[part] for part in parts[::2]) if is_plain else None
    return Definition(attributes, uses, plain, sql)


def _stored(default: str, kind: str) -> str:
    """Return a default in one spelling for all that a column of a type stores alike."""
    spelled = _spelled(default)
    if not is_constant(SQLITE, spelled):
        return spelled
    tokens = [token for token in SQLITE.code(spelled) if token.text not in ("(", ")")]
    text, is_text = "".join(token.value for token in tokens), tokens[-1].kind is Kind.STRING
    if not is_text:
        text = TRUTHS.get(text.upper(), text)
    if not text and not is_text:
        return ""  # NULL, as without a default
    is_whole, affinity = re.fullmatch(r"-?\d+", text) is not None, _affinity(kind)
    if affinity == "TEXT":
        return f"'{text}'" if is_whole else spelled
    return text if not is_text or (is_whole and affinity == "NUMERIC") else spelled


def _affinity(kind: str) -> str:
    """Return to what a column converts numbers and texts, if to either.

    https://www.sqlite.org/datatype3.html#determination_of_column_affinity
    """
    kind = kind.upper()
    if "INT" not in kind and any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    return "BLOB" if "INT" not in kind and ("BLOB" in kind or not kind) else "NUMERIC"


def _spelled(sql: str) -> str:
    return canonical(SQLITE, sql)
