"""The CREATE TABLE of SQLite is read as SQLite itself reads it."""

import sqlite3
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from dbtasks.engines.sql.lexer import SQLITE
from dbtasks.engines.sqlite.create_table import (
    Check,
    Constraint,
    CreateTable,
    ForeignKey,
    NotNull,
    PrimaryKey,
    Unique,
    parse,
)
from sqlite_tables import TABLE, Draw


def made(statement: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(TABLE)
    connection.execute(statement)
    return connection


def made_if_valid(statement: str) -> sqlite3.Connection:
    try:
        return made(statement)
    except sqlite3.OperationalError:  # a default that a NOT NULL column cannot have, and the like
        reject()


def stored(connection: sqlite3.Connection) -> str:
    schema = "(SELECT * FROM sqlite_master UNION ALL SELECT * FROM sqlite_temp_master)"
    ((sql,),) = connection.execute(f"SELECT sql FROM {schema} WHERE name = 't x'")
    return str(sql)


def squeezed(kind: str) -> str:
    """Return a type without what SQLite may leave out or normalize."""
    return "".join(token.value.lower().replace(" ", "") for token in SQLITE.code(kind))


def check_columns(connection: sqlite3.Connection, table: CreateTable) -> None:
    told = connection.execute("SELECT * FROM pragma_table_xinfo('t x')").fetchall()
    keys = [one for one in table.constraints if isinstance(one, PrimaryKey)]
    in_key = {one.lower() for key in keys for one in key.columns}
    required = {one.column for one in table.constraints if isinstance(one, NotNull)}
    assert [one.name for one in table.columns] == [name for _, name, *_ in told]
    for column, (_, name, kind, notnull, default, key, hidden) in zip(
        table.columns, told, strict=True
    ):
        assert squeezed(column.type) == squeezed(kind)
        implied = bool(key) and (table.strict or table.without_rowid)
        assert (name in required or implied) == bool(notnull)
        assert (name.lower() in in_key) == bool(key)
        assert hidden == (0 if column.generated is None else 3 if column.stored else 2)
        if column.generated is None:
            assert column.default in (default, f"({default})")


def check_indexes(connection: sqlite3.Connection, table: CreateTable) -> None:
    """Look for the indexes of the constraints, which share one where they are the same."""
    told = set()
    for _, index, _, origin, _ in connection.execute("PRAGMA index_list('t x')").fetchall():
        if origin in ("u", "pk"):
            asked = f"SELECT name, lower(coll) FROM pragma_index_xinfo('{index}') WHERE key"
            told.add((*connection.execute(asked).fetchall(),))
    own = {one.name.lower(): (one.collation or "binary").strip('"') for one in table.columns}
    exact = {one.name.lower(): one.name for one in table.columns}
    read = set()
    for one in table.constraints:
        number = is_number(table, one)  # such a key takes no collation of its own
        if isinstance(one, Unique) and not (number and not table.without_rowid):
            read.add(
                tuple(
                    (
                        exact[column.lower()],
                        ((not number and part.collation) or own[column.lower()]).lower(),
                    )
                    for column, part in zip(one.columns, one.parts, strict=True)
                )
            )
    assert read == told


def is_number(table: CreateTable, constraint: Constraint) -> bool:
    """Tell whether a constraint is the key of one INTEGER column: the rowid, where there is one."""
    kinds = {one.name.lower(): one.type.upper() for one in table.columns}
    if not isinstance(constraint, PrimaryKey) or len(constraint.columns) != 1:
        return False
    return kinds[constraint.columns[0].lower()] == "INTEGER"


def check_foreign_keys(connection: sqlite3.Connection, table: CreateTable) -> None:
    told: dict[int, list[Any]] = {}
    asked = "PRAGMA foreign_key_list('t x')"  # of MATCH it always says NONE
    for number, _, other, column, referred, update, delete, _ in connection.execute(asked):
        key = told.setdefault(number, [other, [], [], update, delete])
        key[1].append(column)
        key[2].append(referred)
    read = [
        [
            *(one.table, [*one.columns], [*one.referred]),
            *(one.on_update or "NO ACTION", one.on_delete or "NO ACTION"),
        ]
        for one in table.constraints
        if isinstance(one, ForeignKey)
    ]
    assert sorted(map(repr, read)) == sorted(map(repr, told.values()))


@given(st.data())
def test_reads_what_sqlite_reads(data: st.DataObject) -> None:
    statement = Draw(data).statement()
    check_statement(statement, made_if_valid(statement))


@pytest.mark.parametrize("key", ["a COLLATE nocase", "a COLLATE nocase DESC"])
@pytest.mark.parametrize("kind", ["INTEGER", "integer COLLATE rtrim", "INT", "TEXT"])
@pytest.mark.parametrize("option", ["", "WITHOUT ROWID"])
def test_reads_collations_of_a_key_as_sqlite_does(key: str, kind: str, option: str) -> None:
    statement = f'CREATE TABLE "t x" (a {kind} UNIQUE, b, PRIMARY KEY ({key})) {option}'
    check_statement(statement, made(statement))


def check_statement(statement: str, connection: sqlite3.Connection) -> None:
    sql = stored(connection)
    table = parse(sql)
    assert table.name == "t x"
    (told,) = connection.execute("SELECT wr, strict FROM pragma_table_list('t x')").fetchall()
    assert (table.without_rowid, table.strict) == (bool(told[0]), bool(told[1]))
    check_columns(connection, table)
    check_indexes(connection, table)
    check_foreign_keys(connection, table)
    pieces = [*table.columns, *table.constraints]
    assert all(piece.sql in sql for piece in pieces)
    assert parse(statement) == table


@given(st.data())
def test_pieces_make_the_table_again(data: st.DataObject) -> None:
    """The exact text of each column and constraint is all that the table is."""
    table = parse(stored(made_if_valid(Draw(data).statement())))
    beside = [f"{label(one)}{one.sql}" for one in table.table_constraints]
    body = ",\n".join([*(one.sql for one in table.columns), *beside])
    options = ["STRICT"] * table.strict + ["WITHOUT ROWID"] * table.without_rowid
    again = made(f'CREATE TABLE "t x" (\n{body}\n) {", ".join(options)}')
    assert parse(stored(again)) == table


def label(constraint: Constraint) -> str:
    name = constraint.name
    return "" if name is None else 'CONSTRAINT "' + name.replace('"', '""') + '" '


def test_checks_have_their_text_and_name() -> None:
    table = parse(
        "CREATE TABLE t (a CONSTRAINT [a b] CHECK (a > ')'), b, CHECK (b) CONSTRAINT c CHECK (a))"
    )
    checks = [one for one in table.constraints if isinstance(one, Check)]
    assert [(one.name, one.column, one.expression) for one in checks] == [
        ("a b", "a", "a > ')'"),
        (None, None, "b"),
        ("c", None, "a"),
    ]


def test_columns_that_were_added_and_renamed_are_read() -> None:
    connection = made('CREATE TABLE "t x" (a, b CHECK (a > b))')
    connection.execute('ALTER TABLE "t x" ADD COLUMN c INT DEFAULT (1) CHECK (c > 0)')
    connection.execute('ALTER TABLE "t x" RENAME COLUMN a TO "a,b"')
    table = parse(stored(connection))
    assert [one.name for one in table.columns] == ["a,b", "b", "c"]
    checks = [one.expression for one in table.constraints if isinstance(one, Check)]
    assert checks == ['"a,b" > b', "c > 0"]


def test_a_table_made_from_a_query_is_read() -> None:
    connection = made('CREATE TABLE "t x" AS SELECT 1 AS "a b", \'x\' AS c')
    assert [one.name for one in parse(stored(connection)).columns] == ["a b", "c"]


@pytest.mark.parametrize("sql", ["CREATE VIRTUAL TABLE t USING fts5(a, b)"])
def test_a_virtual_table_has_no_columns(sql: str) -> None:
    assert parse(sql) == CreateTable("t")
