"""query: the right records, with their case, streamed, without a statement a record."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert
from sqlalchemy import text as sql_text

from company.models import Department, Employee
from conftest import Database
from dbtasks import Project, migrations
from dbtasks.errors import Rejected, UsageError
from dbtasks.records import query

NAMES = [
    "Alice",
    "alice",
    "ALICE",
    "Bob%",
    "Bob",
    "Bo_b",
    "%",
    "_",
    "a[b]c",
    "*",
    "?",
    "x'y",
    'x"y',
    "back\\slash",
    "Ålice",
    "Å",
    "",
    " ",
    "A ",
]


@pytest.fixture
def filled(project: Project) -> Project:
    migrations.migrate(project)
    with project.connect(writes=True) as connection:
        connection.execute(insert(Department), [{"id": 1, "name": "Engineering"}])
        rows = [{"id": n, "name": name, "dept_id": 1} for n, name in enumerate(NAMES, 1)]
        connection.execute(insert(Employee), rows)
    return project


@contextmanager
def statements(project: Project) -> Iterator[list[str]]:
    """Collect the SELECTs that are sent."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "SELECT" in statement.upper():
            sent.append(statement)

    engine = project.engine()
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_name_matches_its_beginning_exactly(filled: Project) -> None:
    for prefix in (*filter(None, NAMES), "a", "b", "A", "Bob_", "Al%", "[", "/", "\\"):
        found = [row[1] for row in query(filled, name=prefix).rows()]
        wanted = sorted(name for name in NAMES if name.startswith(prefix))
        assert sorted(found) == wanted, prefix


def test_an_empty_beginning_is_refused(filled: Project) -> None:
    with pytest.raises(UsageError, match="name__startswith= has no value"):
        query(filled, name="")


def test_where_is_exact(filled: Project) -> None:
    for name in (*NAMES, "bob", "A", "Bob "):
        found = [row[1] for row in query(filled, where=[f"name={name}"]).rows()]
        assert found == [one for one in NAMES if one == name], name


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20
    )
)
def test_any_text_finds_only_itself(filled: Project, text: str) -> None:
    expected = [name for name in NAMES if name.startswith(text)]
    assert sorted(row[1] for row in query(filled, name=text).rows()) == sorted(expected)


def test_conditions_are_all_met(filled: Project) -> None:
    assert [row[0] for row in query(filled, where=["dept_id=1", "id=2"]).rows()] == [2]
    assert list(query(filled, where=["id=1", "id=2"]).rows()) == []


def test_limit_and_order(filled: Project) -> None:
    found = query(filled, limit=3)
    assert found.columns == ("id", "name", "dept_id")
    assert [row[0] for row in found.rows()] == [1, 2, 3]
    assert list(query(filled, limit=0).rows()) == []


def test_text_is_the_classs_own(filled: Project) -> None:
    assert query(filled).has_text
    assert next(query(filled).texts()) == "Alice → Engineering"
    assert list(query(filled, "Department").texts()) == ["Engineering"]


def test_number_of_statements_does_not_grow(project: Project) -> None:
    """Each employee has a department of its own, so that no cache can hide a load."""
    migrations.migrate(project)
    counts = []
    for upto in (2, 2000):
        with project.connect(writes=True) as connection:
            start = 1 if upto == 2 else 3
            numbers = range(start, upto + 1)
            connection.execute(insert(Department), [{"id": n, "name": f"d{n}"} for n in numbers])
            rows = [{"id": n, "name": f"e{n}", "dept_id": n} for n in numbers]
            connection.execute(insert(Employee), rows)
        with statements(project) as sent:
            texts = list(query(project).texts())
        assert texts[-1] == f"e{upto} → d{upto}"
        assert len(texts) == upto
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 3


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("model", "where", "words"),
    [
        ("Employe", [], "no model 'Employe'"),
        ("company.model.Employee", [], "no model"),
        ("Employee", ["nam=x"], "no field 'nam'"),
        ("Employee", ["department=1"], "is a relationship"),
        ("Employee", ["id"], "no condition"),
        ("Employee", ["=1"], "no condition"),
        ("Employee", ["id=x"], "id='x' is not a value of type Integer"),
        ("Employee", ["id=99999999999999999999"], "does not fit|too large"),
        ("Employee", ["id=" + "9" * 5000], "5000 characters"),
        ("Employee", ["id; DROP TABLE employee=1"], "no field"),
    ],
)
def test_bad_question_is_refused_before_anything_is_sent(
    project: Project, model: str, where: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        query(project, model, where=where)
    assert caught.value.hint


def test_model_by_its_module(filled: Project) -> None:
    assert len(list(query(filled, "company.models.Department").rows())) == 1


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_question_before_migrate(project: Project) -> None:
    with pytest.raises(Rejected) as caught:
        list(query(project).rows())
    assert "inv migrate" in (caught.value.hint or "")


def test_stopping_early_leaves_the_connection_usable(filled: Project) -> None:
    texts = query(filled).texts()
    next(texts)
    texts.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(list(query(filled).texts())) == len(NAMES)


def rows(project: Project, **asked: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query(project, **asked).rows()]


def test_columns_over_a_path_cost_one_statement(filled: Project) -> None:
    query(filled, columns=["id"]).count()  # the first connection asks for the server's version
    with statements(filled) as sent:
        asked = query(filled, columns=["id", "department.name", "department.id"], limit=2)
        assert asked.columns == ("id", "department.name", "department.id")
        assert list(asked.rows()) == [(1, "Engineering", 1), (2, "Engineering", 1)]
    assert len(sent) == 1
    assert sent[0].upper().count(" JOIN ") == 1


def test_order(filled: Project) -> None:
    with filled.connect(writes=True) as connection:
        connection.execute(insert(Department), [{"id": 2, "name": "Art"}])
        connection.execute(insert(Employee), [{"id": 99, "name": "Zoe", "dept_id": 2}])
    last = len(NAMES)
    assert rows(filled, order_by=["-id"], columns=["id"], limit=2) == [(99,), (last,)]
    assert rows(filled, order_by=["department.name"], columns=["id"], limit=2) == [(99,), (1,)]
    assert rows(filled, order_by=["-department.name", "-id"], columns=["id"], limit=1) == [(last,)]
    assert rows(filled, order_by=["-dept_id"], columns=["id"], limit=3) == [(99,), (1,), (2,)]
    first = next(query(filled, order_by=["department.name"]).texts())
    assert first == "Zoe → Art"


def test_offset(filled: Project) -> None:
    whole = rows(filled)
    assert rows(filled, offset=2) == whole[2:]
    assert rows(filled, limit=3, offset=2) == whole[2:5]
    assert rows(filled, offset=1000) == []
    texts = query(filled, limit=1, offset=1).texts()
    assert list(texts) == ["alice → Engineering"]


def test_count(filled: Project) -> None:
    assert query(filled).count() == len(NAMES)
    assert query(filled, limit=3).count() == 3
    assert query(filled, limit=3, offset=len(NAMES) - 1).count() == 1
    assert query(filled, limit=0).count() == 0
    columns = ["id", "department.id", "department.name", "name"]
    assert query(filled, columns=columns, order_by=["department.name"]).count() == len(NAMES)
    assert query(filled, "Department", where=["employees.id__gt=0"]).count() == 1


@pytest.mark.parametrize("columns", [[], ["id"], ["id", "name", "dept_id", "department.name"]])
def test_plan_is_of_the_very_statement(filled: Project, columns: list[str]) -> None:
    """Four columns are as many as the plan of SQLite has, one as many as PostgreSQL's."""
    asked = query(filled, columns=columns, where=["name__contains=x'y:z%", "id__in=1,2"], limit=5)
    with statements(filled) as sent:
        names, plan = asked.explain()
        list(asked.rows())
    explain, statement = sent[-2:]
    assert explain.startswith("EXPLAIN")
    assert explain.endswith(statement)
    assert {"detail", "QUERY PLAN", "possible_keys"} & set(names)
    assert all(len(row) == len(names) for row in plan)
    assert "employee" in str(plan)
    assert "id" in names or names == ("QUERY PLAN",)


def test_sql_is_the_statement_with_its_values(filled: Project) -> None:
    asked = query(filled, where=["name=x'y", "id__in=1,2"], limit=7)
    with statements(filled) as sent:
        text = asked.sql()
        assert sent == []
        list(asked.rows())
    statement, _, values = text.rpartition("\n-- ")
    assert statement == sent[-1]
    assert '"x\'y"' in values
    assert "=7" in values
    assert "--" not in query(filled).sql()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"columns": ["nam"]}, "no field 'nam'"),
        ({"columns": ["department"]}, "department is a relationship"),
        ({"order_by": ["department"]}, "department is a relationship"),
        ({"order_by": ["--id"]}, "no field '-id'"),
        ({"order_by": [""]}, "no field ''"),
        ({"model": "Department", "columns": ["employees.name"]}, "several values for one"),
        ({"model": "Department", "order_by": ["-employees.name"]}, "several values for one"),
    ],
)
def test_columns_and_order_that_cannot_be(
    project: Project, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        query(project, **asked)
    assert caught.value.hint


MANY = 200_000

SERIES = {
    "sqlite": f"(WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < {MANY})"
    " SELECT v FROM n) AS s",
    "postgresql": f"generate_series(1, {MANY}) AS s(v)",
    "mariadb": f"(SELECT seq AS v FROM seq_1_to_{MANY}) AS s",
}

READ_ALL = """
import resource, sys, time
from dbtasks import Project
from dbtasks.records import query

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

project = Project.configure(sys.argv[1], url=sys.argv[2], metadata="company.models:Base")
list(query(project, "Employee", limit=2000).rows())
before, start = peak(), time.perf_counter()
rows = query(project, "Employee", columns=["id", "name", "department.name"]).rows()
next(rows)
first = time.perf_counter() - start
count = 1 + sum(1 for row in rows)
print(count, first, time.perf_counter() - start, peak() - before)
"""


def test_many_rows_are_streamed(project: Project, company: Path, database: Database) -> None:
    """All rows at once would be 40 MB and more; the first would come with the last."""
    migrations.migrate(project)
    with project.connect(writes=True) as connection:
        connection.execute(insert(Department), [{"id": 1, "name": "Engineering"}])
        source = f"SELECT v, 'a name that is of some length', 1 FROM {SERIES[database.kind]}"
        connection.execute(sql_text(f"INSERT INTO employee (id, name, dept_id) {source}"))
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(company), database.url],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    count, first, whole, grown = map(float, done.stdout.split())
    assert count == MANY
    assert first < max(0.5, whole / 2)
    assert grown < 8_000  # kB
