"""query: the right records, with their case, streamed, without a statement a record."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert

from company.models import Department, Employee
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


@pytest.mark.parametrize("prefix", [*NAMES, "a", "b", "A", "Bob_", "Al%", "[", "/", "\\"])
def test_name_matches_its_beginning_exactly(filled: Project, prefix: str) -> None:
    found = [row[1] for row in query(filled, name=prefix).rows()]
    assert sorted(found) == sorted(name for name in NAMES if name.startswith(prefix))


@pytest.mark.parametrize("name", [*NAMES, "bob", "A", "Bob "])
def test_where_is_exact(filled: Project, name: str) -> None:
    found = [row[1] for row in query(filled, where=[f"name={name}"]).rows()]
    assert found == [one for one in NAMES if one == name]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20))
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
