"""SQL taken apart: exactly, and by the rules of each database."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbtasks.engines.sql.lexer import MYSQL, ORACLE, POSTGRESQL, SQLITE, STANDARD, Kind, Lexer

LEXERS = {
    "sqlite": SQLITE,
    "postgresql": POSTGRESQL,
    "mysql": MYSQL,
    "oracle": ORACLE,
    "standard": STANDARD,
}
PIECES = st.one_of(
    st.sampled_from(
        [
            *("'", "''", '"', "`", "[", "]", "\\", "\\'", "--", "-- ", "\n", "/*", "*/", "#", "$$"),
            *("$a$", "E'", "x'", "q'[", "]'", "U&'", "::", ":a", "?1", "@b", "$1", "1e5", ".5"),
            *("0xff", "a", "é", "CASE", " ", "\t", "(", ")", "->>", "||", "<=>", ";", ","),
        ]
    ),
    st.text(max_size=3),
)


@given(st.sampled_from([*LEXERS.values()]), st.lists(PIECES, max_size=30).map("".join))
def test_tokens_together_are_the_text(lexer: Lexer, sql: str) -> None:
    tokens = [*lexer.tokens(sql)]
    assert "".join(token.text for token in tokens) == sql
    assert all(sql.startswith(token.text, token.start) and token.text for token in tokens)


def shown(lexer: Lexer, sql: str) -> list[str]:
    return [f"{token.kind} {token.text}" for token in lexer.code(sql)]


@pytest.mark.parametrize(
    ("name", "sql", "expected"),
    [
        (
            "sqlite",
            '[a b]`c`"d""e"x\'00\'',
            ["name [a b]", "name `c`", 'name "d""e"', "string x'00'"],
        ),
        ("sqlite", ":a@b?2$c", ["parameter :a", "parameter @b", "parameter ?2", "parameter $c"]),
        ("sqlite", "'it''s' -- ' \n'\\'", ["string 'it''s'", "string '\\'"]),
        ("sqlite", "a1$ 1.5e-3 .5 0xFF", ["word a1$", "number 1.5e-3", "number .5", "number 0xFF"]),
        ("sqlite", "a->>'b'", ["word a", "operator ->>", "string 'b'"]),
        ("postgresql", "E'a\\'b' 'c\\'", ["string E'a\\'b'", "string 'c\\'"]),
        ("postgresql", "E'a'\n'b\\'c' d", ["string E'a'\n'b\\'c'", "word d"]),
        (
            "postgresql",
            "$t$ ' $$ $t$ $1 a$b$",
            ["string $t$ ' $$ $t$", "parameter $1", "word a$b$"],
        ),
        ("postgresql", "/* /* */ */ a::b", ["word a", "operator ::", "word b"]),
        ("postgresql", "a#b", ["word a", "operator #", "word b"]),
        ("postgresql", "E'a' " + "-- " * 40 + "b", ["string E'a'"]),
        ("postgresql", "name'x' U&\"y\"", ["word name", "string 'x'", 'name U&"y"']),
        ("mysql", "'a\\'b' \"c\\\"d\"", ["string 'a\\'b'", 'string "c\\"d"']),
        ("mysql", "1--1 -- 2\n# 3\n", ["number 1", "operator -", "operator -", "number 1"]),
        ("mysql", "a#b\n", ["word a"]),
        ("mysql", "/*!50000 a */", ["word a"]),
        ("mysql", "@a @@b.c ?", ["parameter @a", "parameter @@b.c", "parameter ?"]),
        ("oracle", "a#b$", ["word a#b$"]),
        ("oracle", "q'[it's]' q'!'!' :1", ["string q'[it's]'", "string q'!'!'", "parameter :1"]),
    ],
)
def test_each_database_has_its_rules(name: str, sql: str, expected: list[str]) -> None:
    assert shown(LEXERS[name], sql) == expected


@pytest.mark.parametrize("sql", ["'a", '"a', "/* a", "[a", "$a$ b"])
def test_what_has_no_end_goes_to_the_end(sql: str) -> None:
    assert [token.text for token in (POSTGRESQL if sql[0] == "$" else SQLITE).tokens(sql)] == [sql]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_quotes_of_a_name_are_taken_off_as_sqlite_does(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    (token,) = SQLITE.code(quoted)
    (told,) = sqlite3.connect(":memory:").execute(f"SELECT 1 AS {quoted}").description
    assert (token.kind, token.value) == (Kind.NAME, told[0])
