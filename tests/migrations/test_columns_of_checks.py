"""Which columns a CHECK without a name is about: no other column that goes takes it along."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from cases import Case, on_parent, parent
from dbtasks import migrations
from dbtasks.engines.sql.expressions import mentions
from dbtasks.engines.sql.lexer import MYSQL, POSTGRESQL, SQLITE, Lexer
from dbtasks.migrations.autogenerate.answers import Answers
from groups import faults_of, tables
from worlds import World

ABOUT = [
    ("name > 0", "name"),
    ("NAME > 0", "name"),
    ("((name)::text <> ''::text)", "name"),
    ("(text)::text <> 'a'::text", "text"),
    ("`year` > 2000 and year(`hired`) > 2000", "year"),
    ('"length" > 0', "length"),
    ('"as" > 0', "as"),
    ("[my name] <> ''", "my name"),
    ('"my ""own"" name" > 0', 'my "own" name'),
    ("name IN ('a', 'b')", "name"),
    ("name LIKE 'a%'", "name"),
    ("length(name) > 0", "name"),
    ("emp.name <> ''", "name"),
    ("CAST(name AS text) <> ''", "name"),
    ("extract(year from hired) > 2000", "hired"),
    ("substring(name from 2) <> ''", "name"),
    ("ARRAY[lower(name), other]", "other"),
    ("'it''s' <> name", "name"),
    ("größe > 0", "größe"),
]
NOT_ABOUT = [
    ("((name)::text <> ''::text)", "text"),
    ("(name)::character varying <> ''", "varying"),
    ("(hired)::timestamp(6) without time zone > now()", "zone"),
    ("('red'::hr.color = name)", "color"),
    ("('red'::\"Color\" = name)", "Color"),
    ("year(`hired`) > 2000", "year"),
    ("length (name) > 0", "length"),
    ("\"left\"(name, 1) <> ''", "left"),
    ("name <> 'the length'", "length"),
    ("name <> 'it''s the length'", "length"),
    ("hired > date '2020-01-01'", "date"),
    ("name <> _utf8mb4'a'", "_utf8mb4"),
    ("CAST(name AS text) <> ''", "text"),
    ("cast(`name` as char charset utf8mb4) <> ''", "charset"),
    ("extract(year from hired) > 2000", "year"),
    ("`hired` + interval 1 day > `fired`", "day"),
    ("name COLLATE \"C\" <> ''", "C"),
    ("names > 0", "name"),
    ('"my name" > 0', "name"),
]


def lexer_of(sql: str) -> Lexer:
    """Return the rules that an expression is written by."""
    if sql.startswith("["):
        return SQLITE
    return MYSQL if "`" in sql or "_utf8mb4" in sql else POSTGRESQL


@pytest.mark.parametrize(("sql", "column"), ABOUT)
def test_a_check_is_about_its_columns(sql: str, column: str) -> None:
    assert mentions(lexer_of(sql), sql, column)


@pytest.mark.parametrize(("sql", "column"), NOT_ABOUT)
def test_a_check_is_about_no_function_type_or_text(sql: str, column: str) -> None:
    assert not mentions(lexer_of(sql), sql, column)


def test_a_backslash_ends_no_text_where_the_database_says_so() -> None:
    assert mentions(MYSQL, r"`a` <> 'it\'s' and `b` <> 'name'", "b")
    assert not mentions(MYSQL, r"`a` <> 'it\'s the name'", "name")
    assert mentions(POSTGRESQL, r"a <> '\' and b <> 'name'", "b")


def test_a_name_in_quotes_has_its_case_where_the_database_says_so() -> None:
    for sql, column in (('"Name" > 0', "Name"), ("name > 0", "name"), ("NAME > 0", "name")):
        assert mentions(POSTGRESQL, sql, column, exact=True)
    for sql, column in (('"Name" > 0', "name"), ("name > 0", "Name"), ("Name > 0", "Name")):
        assert mentions(POSTGRESQL, sql, column)
        assert not mentions(POSTGRESQL, sql, column, exact=True)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_check_stays_of_a_column_with_a_capital_letter(world: World) -> None:
    capital = 'sa.Column("A", sa.Integer), sa.CheckConstraint(\'"A" > 0\')'
    world.models(parent(f'sa.Column("a", sa.Integer, sa.CheckConstraint("a > 1")), {capital}'))
    world.make()
    before = checks(world)
    world.models(parent(capital))
    world.make()
    assert checks(world) == ['"A" > 0']
    world.migrate("-1")
    assert sorted(checks(world)) == sorted(before)


CHECKS = [
    ("sqlite", "length(name) > 0", "length"),
    ("postgresql", "name <> ''", "text"),
    ("mariadb", "length(name) > 0", "length"),
    ("mariadb", "name <> 'it''s the length' and name <> ''", "length"),
]


@pytest.mark.parametrize(("database", "check", "column"), CHECKS, indirect=["database"])
def test_a_check_stays_whose_function_is_called_as_a_column(
    world: World, check: str, column: str
) -> None:
    unnamed = f'sa.CheckConstraint("{check}")'
    added = f'{unnamed}, sa.Column("{column}", sa.String(9), nullable=False)'
    for steps in ((added, unnamed), (unnamed, added)):
        world.models(parent(steps[0]))
        world.make()
        before = checks(world)
        assert len(before) == 1
        world.models(parent(steps[1]))
        world.make(Answers(defaults={f"parent.{column}": "a"} if added in steps[1:] else {}))
        assert checks(world) == before
        refuses_an_empty_name(world, column)
        world.migrate("-1")
        assert checks(world) == before
        refuses_an_empty_name(world, column)
        world.migrate("base")
        for one in (world.root / "migrations" / "versions").glob("*.py"):
            one.unlink()


WITHIN = (
    'sa.Column("{0}", sa.{1}, sa.CheckConstraint("{0} > 0"){2}), sa.Column("other", sa.String(9),'
    " sa.CheckConstraint(\"other NOT IN ('5% CHECK (', 'x\\\\:y')\"), comment=\"it's%\\\\:d{3}\")"
)
ALTERED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "type": (("a", "BigInteger", "", ""), {}),
    "null": (("a", "Integer", ", nullable=False", ""), {"defaults": {"parent.a": "1"}}),
    "default": (("a", "Integer", ", server_default='3'", ""), {}),
    "comment": (("a", "Integer", ", comment='it\\'s'", "2"), {}),
    "name": (("b", "Integer", "", ""), {"renames": {"parent.a": "parent.b"}}),
    "name and type": (("b", "BigInteger", "", ""), {"renames": {"parent.a": "parent.b"}}),
    "no more": ((), {"dropped": ["parent.a", "parent.other"]}),
}


def checked(schema: Mapping[str, Sequence[str]]) -> int:
    """Return how many columns have a check within them."""
    return sum("('check', " in text for told in schema.values() for text in told)


def without_columns(case: Case) -> str:
    """Return the models of a case's tables before they get the columns."""
    child, name = sorted(tables(case))
    return re.sub(r"\bchild\b", child, re.sub(r"\bparent\b", name, parent()))


def check_altered(world: World, cases: Sequence[Case]) -> None:
    world.models("".join(map(without_columns, cases)))
    world.make()
    world.models("".join(case.before for case in cases))
    world.make()
    before = world.schema()
    assert checked(before) == 2 * len(cases)
    with world.project() as project:
        assert migrations.missing(project, from_database=True) == ()
    world.models("".join(case.after for case in cases))
    world.make(
        Answers(
            {old: new for case in cases for old, new in case.renames.items()},
            [name for case in cases for name in case.dropped],
            {column: value for case in cases for column, value in case.defaults.items()},
        )
    )
    assert checked(world.schema()) == 2 * sum("Check" in case.after for case in cases)
    world.migrate("-1")
    assert world.schema() == before


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_check_within_a_column_outlives_its_being_altered(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    before = WITHIN.format("a", "Integer", "", "")
    cases = [
        on_parent(name, before, WITHIN.format(*after) if after else "", rows=(), **answers)
        for name, (after, answers) in ALTERED.items()
    ]
    assert faults_of(request, tmp_path, kind, cases, check_altered) == {}


def checks(world: World) -> list[str]:
    """Return the texts of the checks that the parents have."""
    engine = create_engine(world.database.url)
    found = [str(one["sqltext"]) for one in inspect(engine).get_check_constraints("parent")]
    engine.dispose()
    return found


def refuses_an_empty_name(world: World, column: str) -> None:
    """Expect that no parent can be without a name."""
    engine = create_engine(world.database.url)
    there = any(one["name"] == column for one in inspect(engine).get_columns("parent"))
    quoted = engine.dialect.identifier_preparer.quote_identifier(column)
    more = (f", {quoted}", ", 'a'") if there else ("", "")
    statement = "INSERT INTO parent (name{}) VALUES ('{}'{})"
    with engine.connect() as connection:
        connection.execute(text(statement.format(more[0], "Ann", more[1])))
        with pytest.raises(DBAPIError):
            connection.execute(text(statement.format(more[0], "", more[1])))
    engine.dispose()
