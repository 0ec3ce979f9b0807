"""The CREATE INDEX of each database is read as far as we need it."""

import pytest

from dbtasks.engines.sql.create_index import parse
from dbtasks.engines.sql.lexer import MYSQL, POSTGRESQL, SQLITE, Lexer


@pytest.mark.parametrize(
    ("lexer", "sql", "expected"),
    [
        (SQLITE, "CREATE INDEX i ON t (a)", ("i", False, "a", "")),
        (
            SQLITE,
            "create unique index if not exists [i (] on t(lower(a) DESC, ')') WHERE a > '('",
            ("i (", True, "lower(a) DESC, ')'", "a > '('"),
        ),
        (MYSQL, "CREATE INDEX `i` ON `t` (`a`(10), b)", ("i", False, "`a`(10), b", "")),
        (
            POSTGRESQL,
            "CREATE INDEX i ON s.t USING btree (a) WHERE (a > 0)",
            ("i", False, "a", "(a > 0)"),
        ),
    ],
)
def test_reads_name_parts_and_condition(
    lexer: Lexer, sql: str, expected: tuple[str, bool, str, str]
) -> None:
    made = parse(sql, lexer)
    assert made is not None
    assert made[:4] == expected
    assert sql[made.start :].strip().startswith(made.parts)


def test_another_statement_makes_no_index() -> None:
    assert parse("CREATE TABLE t (a)", SQLITE) is None
    assert parse("SELECT 1", SQLITE) is None
