"""Text lookups: the same text is found on every database, whatever the column's collation."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Enum,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    column,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import oracle, postgresql
from sqlalchemy.types import TypeEngine

from conftest import Database
from dbtasks import Project
from dbtasks.engines.oracle.backend import Oracle
from dbtasks.engines.postgresql.backend import PostgreSQL
from dbtasks.errors import Rejected, UsageError

SHORT = 190  # characters of an indexed column that MariaDB takes

WORDS = [
    *("Alice", "alice", "ALICE", "Alice ", " Alice", "  ", ""),
    *("Élodie", "élodie", "Elodie", "E\u0301lodie", "e\u0301lodie"),
    *("100%", "100x", "a_b", "axb", "a/b", "a\\b", "a\\_b", "it's", 'say "hi"'),
    *("[a]", "a]", "[^a]", "*", "a*b", "?", "^a$", "line\nbreak", "line\n", "\n"),
    *("straße", "STRAẞE", "STRASSE", "İzmir", "izmir", "Izmir", "ızmir"),
    *(
        "ΟΔΟΣ",
        "οδος",
        "οδοσ",
        "Жук",
        "жук",
        "😀",
        "a😀",
        "😁",
        "Ԩ",
        "Ⱥ",
        "ⱥ",
        "𐐀",
        "日本",
        "\u200b",
        "a\u200b",
    ),
]
TOO_NEW = "Ԩ"  # a letter of Unicode 7; the tables of MariaDB are of 5.2
LONG = ["a%[ " * 15_000, "a%[ " * 15_000 + "end", "A%[ " * 15_000]
TEXTS = WORDS + LONG

MEANINGS: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "contains": str.__contains__,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "iexact": lambda value, text: lower(value) == lower(text),
    "icontains": lambda value, text: lower(text) in lower(value),
    "istartswith": lambda value, text: lower(value).startswith(lower(text)),
    "iendswith": lambda value, text: lower(value).endswith(lower(text)),
    "regex": lambda value, text: re.search(text, value) is not None,
}

FOLDING = {"sqlite": "NOCASE", "mariadb": "utf8mb4_general_ci", "postgresql": "folding"}
NONDETERMINISTIC = (
    "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
)


def lower(text: str) -> str:
    return "".join("i" if letter == "İ" else letter.lower() for letter in text)


def columns(kind: str) -> dict[str, TypeEngine[str]]:
    found: dict[str, TypeEngine[str]] = {
        "plain": String(SHORT),
        "long": Text(),
        "folding": String(SHORT, collation=FOLDING[kind]),
    }
    if kind == "mariadb":
        found["unicode"] = String(SHORT, collation="utf8mb4_unicode_520_ci")
        found["german"] = String(SHORT, collation="latin1_german1_ci")
    return found


def fits(kind: TypeEngine[str], word: str) -> bool:
    length, collation = getattr(kind, "length", None), getattr(kind, "collation", None)
    if length is not None and len(word) > length:
        return False
    return not str(collation).startswith("latin1") or all(ord(letter) < 256 for letter in word)


@pytest.fixture
def project(database: Database, tmp_path: Any) -> Iterator[Project]:
    with Project.configure(tmp_path, url=database.url) as project:
        yield project


@pytest.fixture
def words(project: Project, database: Database) -> Table:
    """Return a table with a row for each text, and NULL where a column cannot hold it."""
    types = columns(database.kind)
    table = Table(
        "words",
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=False),
        *(Column(name, kind) for name, kind in types.items()),
        *(Index(f"words_{name}", name) for name in types if name != "long"),
    )
    with project.opened(create=True) as connection, connection.begin():
        if database.kind == "postgresql":
            connection.execute(text(NONDETERMINISTIC))
        table.create(connection)
        rows = [
            {name: word if fits(kind, word) else None for name, kind in types.items()} | {"id": n}
            for n, word in enumerate(TEXTS)
        ]
        nothing = dict.fromkeys(types) | {"id": len(TEXTS)}
        connection.execute(table.insert(), [*rows, nothing])
    return table


def find(connection: Connection, table: Table, condition: ColumnElement[bool]) -> set[str]:
    return {TEXTS[n] for n in connection.scalars(select(table.c.id).where(condition))}


@pytest.mark.parametrize("lookup", MEANINGS)
def test_every_text_finds_what_python_finds(
    project: Project, database: Database, words: Table, lookup: str
) -> None:
    means = MEANINGS[lookup]
    with project.connect() as connection:
        for name, kind in columns(database.kind).items():
            held = [word for word in TEXTS if fits(kind, word)]
            for word in LONG[1:] if name == "long" and lookup != "regex" else WORDS:
                given = re.escape(word) if lookup == "regex" else word
                condition = project.backend.match(words.c[name], lookup, given)
                expected = {one for one in held if means(one, given)}
                assert find(connection, words, condition) == expected, (name, word)


@pytest.mark.parametrize("database", ["sqlite", "mariadb"], indirect=True)
def test_a_collation_that_the_model_does_not_name_changes_nothing(
    project: Project, words: Table
) -> None:
    undeclared = column("folding", String())
    with project.connect() as connection:
        for lookup, means in MEANINGS.items():
            for word in ("Alice", "alice", "Alice ", "Élodie", "élodie"):
                condition = project.backend.match(undeclared, lookup, word)
                expected = {one for one in WORDS if means(one, word)}
                assert find(connection, words, condition) == expected, (lookup, word)


AWKWARD = "aAáÁbB%_/\\[]*?^'\" \n😀"
anything = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
# Letters whose cases all databases know, and Unicode has not changed for long.
letters = st.one_of(
    st.sampled_from(AWKWARD),
    st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_categories=["Cn"]),
    st.characters(min_codepoint=0x391, max_codepoint=0x3C9, exclude_categories=["Cn"]),
    st.characters(min_codepoint=0x400, max_codepoint=0x481),
)


@st.composite
def values_and_texts(draw: st.DrawFn, alphabet: st.SearchStrategy[str]) -> tuple[str, str]:
    """Return a value and a text that often is a part of it, or nearly."""
    value = draw(st.text(alphabet, max_size=30))
    start, end = draw(st.integers(0, len(value))), draw(st.integers(0, len(value)))
    part = value[start:end]
    change = draw(st.sampled_from([str, str.swapcase, str.lower, str.upper, str.strip]))
    return value, draw(st.one_of(st.just(change(part)), st.just(change(value)), st.text(alphabet)))


@pytest.mark.parametrize("pairs", [st.one_of(st.sampled_from(AWKWARD), anything), letters])
def test_generated_texts_are_compared_as_python_does(
    project: Project, words: Table, pairs: st.SearchStrategy[str]
) -> None:
    knows_cases = pairs is letters
    table, match = words, project.backend.match

    with project.connect(writes=True, dry_run=True) as connection:

        @settings(
            max_examples=150,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(values_and_texts(pairs))
        def check(pair: tuple[str, str]) -> None:
            value, wanted = pair
            connection.execute(table.update().where(table.c.id == 0).values(long=value))
            given = {
                lookup: re.escape(wanted) if lookup == "regex" else wanted
                for lookup in MEANINGS
                if knows_cases or not lookup.startswith("i")
            }
            found = connection.execute(
                select(*(match(table.c.long, *one).label(one[0]) for one in given.items())).where(
                    table.c.id == 0
                )
            ).one()
            for lookup, one in given.items():
                assert bool(found._mapping[lookup]) is MEANINGS[lookup](value, one), lookup

        check()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_the_case_of_new_letters_is_known(project: Project, words: Table) -> None:
    condition = project.backend.match(words.c.plain, "iexact", TOO_NEW.lower())
    with project.connect() as connection:
        assert find(connection, words, condition) == {TOO_NEW}


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_mariadb_does_not_know_the_case_of_new_letters(project: Project, words: Table) -> None:
    condition = project.backend.match(words.c.plain, "iexact", TOO_NEW.lower())
    with project.connect() as connection:
        assert find(connection, words, condition) == set()


def test_null_never_matches_and_neither_does_its_contrary(project: Project, words: Table) -> None:
    null = select(words.c.id).where(words.c.id == len(TEXTS))
    with project.connect() as connection:
        for lookup in MEANINGS:
            for word in ("", "a"):
                condition = project.backend.match(words.c.plain, lookup, word)
                assert connection.scalars(null.where(condition)).all() == [], lookup
                assert connection.scalars(null.where(~condition)).all() == [], lookup


def test_an_invalid_regular_expression_is_refused(project: Project, words: Table) -> None:
    refused = UsageError if project.backend.title == "SQLite" else Rejected
    for pattern in ("(", "[a", "*", "a{2,1}"):
        with pytest.raises(refused):
            with project.connect() as connection:
                find(connection, words, project.backend.match(words.c.plain, "regex", pattern))


def test_a_regular_expression_has_its_wildcards_and_its_case(
    project: Project, words: Table
) -> None:
    with project.connect() as connection:
        condition = project.backend.match(words.c.folding, "regex", "^A.*[ec]e$")
        assert find(connection, words, condition) == {"Alice"}


@pytest.mark.parametrize("database", ["sqlite", "mariadb"], indirect=True)
def test_an_index_is_used(project: Project, database: Database, words: Table) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.kind == "sqlite" else "EXPLAIN"
    with project.connect() as connection:
        for lookup, name, word in (
            ("exact", "plain", "Alice"),
            ("exact", "plain", "straße"),
            ("exact", "folding", "Élodie"),
            ("startswith", "plain", "Al"),
        ):
            found = select(words.c.long).where(project.backend.match(words.c[name], lookup, word))
            statement = found.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"{explain} {statement}").all()
            assert f"words_{name}" in str(plan), (lookup, name, word)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_postgresql_index_is_used_for_exact(project: Project, words: Table) -> None:
    with project.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for name in ("plain", "folding"):
            found = select(words.c.long).where(project.backend.match(words.c[name], "exact", "a"))
            statement = found.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.execute(text(f"EXPLAIN {statement}")).scalars().all()
            assert f"words_{name}" in str(plan)


def test_equals_compares_what_is_no_text_as_it_is(project: Project) -> None:
    size, shade = column("size", Integer), column("shade", Enum("red", "blue"))
    if project.backend.title != "SQLite":  # which compares numbers by value
        assert project.backend.equals(size, 1).compare(size == 1)
    assert project.backend.equals(shade, "red").compare(shade == "red")


def test_a_citext_column_is_compared_as_text(tmp_path: Any) -> None:
    backend = PostgreSQL(make_url("postgresql://h/d"), tmp_path)
    name = column("name", postgresql.CITEXT())
    sql = str(backend.match(name, "exact", "a").compile(dialect=postgresql.dialect()))
    assert "CAST(name AS TEXT) = " in sql


@pytest.mark.every_value
@pytest.mark.parametrize(
    ("lookup", "kind", "sql"),
    [
        ("regex", String(9), "REGEXP_LIKE(name, 'a', 'c')"),
        ("exact", String(9), "name = 'a'"),
        ("exact", Text(), "name LIKE 'a' ESCAPE '/'"),
        ("istartswith", String(9), "lower(name) LIKE lower('a%') ESCAPE '/'"),
    ],
)
def test_oracle_gets_what_its_documentation_says(
    tmp_path: Any, lookup: str, kind: TypeEngine[str], sql: str
) -> None:
    backend = Oracle(make_url("oracle://h/s"), tmp_path)
    condition = backend.match(column("name", kind), lookup, "a")
    options = {"literal_binds": True}
    assert str(condition.compile(dialect=oracle.dialect(), compile_kwargs=options)) == sql
