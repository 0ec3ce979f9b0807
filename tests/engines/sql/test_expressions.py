"""Expressions: alike only where a database reads them alike."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.engines.sql.expressions import (
    alike,
    canonical,
    is_constant,
    is_list,
    mentions,
    renamed,
    same_default,
)
from dbtasks.engines.sql.lexer import MYSQL, POSTGRESQL, SQLITE

OPERATORS = (
    *("or", "AND", "=", "<>", "!=", "==", "<", "IS", "is not", "like", "NOT LIKE", "||", "&", "|"),
    *("<<", "+", "-", "*", "/", "%", "->>", "glob"),
)
ATOMS = ("a", '"a"', "[B]", "b", "1", "2.5", "'A'", "'a'", "NULL", "true", "'null'", "x'41'")


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("(({}))".format),
        inner.map("NOT {}".format),
        inner.map("- {}".format),
        inner.map("~ {}".format),
        inner.map("{} IS NULL".format),
        inner.map("({}) COLLATE nocase".format),
        st.tuples(inner, inner, inner).map("{0[0]} BETWEEN {0[1]} AND {0[2]}".format),
        st.tuples(inner, inner).map("coalesce({0[0]}, {0[1]})".format),
        st.tuples(inner, inner, inner).map("{0[0]} IN ({0[1]}, {0[2]})".format),
        st.tuples(inner, inner, inner).map("CASE {0[0]} WHEN {0[1]} THEN {0[2]} END".format),
        st.tuples(inner, inner, inner).map("CASE WHEN {0[0]} THEN {0[1]} ELSE {0[2]} END".format),
    )


EXPRESSIONS = st.recursive(st.sampled_from(ATOMS), combined, max_leaves=8)


def values(sql: str) -> list[object]:
    """Return what SQLite makes of an expression, for some rows."""
    connection = sqlite3.connect(":memory:")
    rows = "(NULL, 1), (0, 'A'), (1, 'a'), ('a', 2.5), (2, NULL), (-1, 0), ('{}', 'x')"
    source = f"WITH t(a, b) AS (VALUES {rows}) SELECT"
    found: list[object] = []
    for number in range(7):
        try:
            statement = f"{source} typeof({sql}), {sql} FROM t LIMIT 1 OFFSET {number}"
            found += connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "JSON" not in str(error):
                raise
            found.append("no JSON")
    return found


@given(EXPRESSIONS)
def test_canonical_text_means_the_same(sql: str) -> None:
    told = canonical(SQLITE, sql)
    assert values(told) == values(sql)
    assert canonical(SQLITE, told) == told
    assert canonical(SQLITE, f"( ({sql}) )") == told


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("((a > 0))", "A>0"),
        ("(a>0) AND (b<5)", "a > 0 and b < 5"),
        ("(a = 1) and ((b = 2) and (c = 3))", "a=1 and b=2 and c=3"),
        ("(a - b) + c", "a - b + c"),
        ('"a" > 0', "[A] > 0"),
        ("(a ->> 'x') = 1", "a->>'x' = 1"),
        ("a != 1 -- not one", "a <> 1"),
        ("lower((a))", "LOWER(a)"),
    ],
)
def test_what_means_nothing_is_no_difference(one: str, other: str) -> None:
    assert canonical(SQLITE, one) == canonical(SQLITE, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(a + b) * c", "a + b * c"),
        ("a - (b + c)", "a - b + c"),
        ("(a OR b) AND c", "a OR b AND c"),
        ("x IN ('A')", "x IN ('a')"),
        ("x = 'a  b'", "x = 'a b'"),
        ("x IS NOT (a = b)", "x IS NOT a = b"),
        ("a BETWEEN 1 AND (b AND c)", "a BETWEEN 1 AND b AND c"),
        ('"null"', "null"),
        ("(a || b) = c", "a || b = c"),
    ],
)
def test_what_means_something_is_a_difference(one: str, other: str) -> None:
    assert canonical(SQLITE, one) != canonical(SQLITE, other)


def test_names_in_quotes_are_told_apart_by_their_case_on_postgresql() -> None:
    assert canonical(POSTGRESQL, '"A" > 0') != canonical(POSTGRESQL, "A > 0")
    assert canonical(POSTGRESQL, '"a" > 0') == canonical(POSTGRESQL, "A > 0")


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("((name)::text = 'x'::text)", "name = 'x'"),
        (
            "(a = ANY (ARRAY['x'::character varying(3), 'y'::\"s\".t])::text[])",
            "a = ANY (ARRAY['x','y'])",
        ),
        ("(at > '2020-01-01'::timestamp(6) without time zone)", "at > '2020-01-01'"),
    ],
)
def test_casts_of_the_database_are_no_difference(told: str, meant: str) -> None:
    assert alike(POSTGRESQL, told, meant)


def test_defaults_are_compared_by_their_values() -> None:
    assert same_default(MYSQL, "'5'", "5")
    assert same_default(POSTGRESQL, "'a b'::character varying", "'a b'")
    assert not same_default(POSTGRESQL, "'A'::character varying", "'a'")
    assert not same_default(SQLITE, "'a'", None)
    assert same_default(SQLITE, "(lower('A'))", "lower('A')")
    assert same_default(MYSQL, "current_timestamp()", "CURRENT_TIMESTAMP")
    assert not same_default(MYSQL, "current_timestamp(6)", "CURRENT_TIMESTAMP")


@pytest.mark.parametrize("sql", ["1", "-1.5", "('it''s')", "null", "TRUE"])
def test_constants_are_known(sql: str) -> None:
    assert is_constant(SQLITE, sql)


@pytest.mark.parametrize("sql", ["a", "1 + 1", "now()", "", "'a' || 'b'"])
def test_what_is_computed_is_no_constant(sql: str) -> None:
    assert not is_constant(SQLITE, sql)


def test_a_new_name_takes_the_place_of_columns_alone() -> None:
    sql = "t.name = 'name' AND name(1) > \"NAME\" AND CAST(a AS name) -- name"
    new = renamed(SQLITE, sql, {"name": "full name"}, "t", '"{}"'.format)
    assert new == '"full name" = \'name\' AND name(1) > "full name" AND CAST(a AS name) -- name'


def test_text_and_comments_mention_no_column() -> None:
    assert not mentions(SQLITE, "a > 'b' /* b */ AND c.b IS b(1)", "c")
    assert mentions(SQLITE, "a > 'b' /* b */ AND c.b IS b(1)", "b")


def test_a_list_of_values_is_known() -> None:
    assert is_list(POSTGRESQL, "((a IN ('x', 'y')))")
    assert not is_list(POSTGRESQL, "a > 1 AND b IN (1)")
