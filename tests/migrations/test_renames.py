"""makemigrations: what is gone where something is new is renamed or dropped, as is said."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database
from dbtasks.migrations.autogenerate.trial import Trial
from dbtasks.migrations.history.source_edit import Code
from office import (
    NAME,
    Inv,
    add_column,
    change,
    execute,
    is_clean,
    on_sqlite,
    revisions,
    rows,
)
from trees import add_revision


def test_a_renamed_column_keeps_its_rows(office: Inv, company: Path, database: Database) -> None:
    change(
        company,
        "    name: Mapped[str] = mapped_column(S",
        "    full_name: Mapped[str] = mapped_column(S",
    )
    made = office("makemigrations", "--no-input", "--rename", "employee.name:employee.full_name")
    assert made.code == 0, made
    assert revisions(company)[1:] == ["0002_change_employee.py"]
    assert office("migrate").code == 0
    assert rows(database, "SELECT full_name FROM employee ORDER BY id") == [("Alice",), ("Bob",)]
    assert is_clean(office)
    assert office("rollback", "--no-input").code == 0
    assert rows(database, "SELECT name FROM employee ORDER BY id") == [("Alice",), ("Bob",)]


@on_sqlite
def test_a_rename_without_effect_is_refused_once(
    office: Inv, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a code that lacks the new name; it would be found again and again."""
    monkeypatch.setattr(Trial, "run", lambda trial, operations: Code(""))
    change(
        company,
        "    name: Mapped[str] = mapped_column(S",
        "    full_name: Mapped[str] = mapped_column(S",
    )
    made = office("makemigrations", "--no-input", "--rename", "employee.name:employee.full_name")
    assert made.code == 3, made
    told = "rename column employee.name to full_name: its code changes nothing in a scratch"
    assert told in made.err
    assert "hint: write the revision by hand: inv makemigrations --empty\n" in made.err


def test_a_renamed_table_keeps_its_rows(office: Inv, company: Path, database: Database) -> None:
    change(company, '"employee"', '"staff"')
    made = office("makemigrations", "--no-input", "--rename", "employee:staff")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT name FROM staff ORDER BY id") == [("Alice",), ("Bob",)]
    assert is_clean(office)
    assert office("rollback", "--no-input").code == 0
    assert rows(database, "SELECT name FROM employee ORDER BY id") == [("Alice",), ("Bob",)]


def test_children_stay_when_their_parent_is_renamed(
    office: Inv, company: Path, database: Database
) -> None:
    change(company, '"department.id"', '"division.id"')
    change(company, '"department"\n', '"division"\n')
    made = office("makemigrations", "--no-input", "--rename", "department:division")
    assert made.code == 0, made
    assert office("migrate").code == 0
    joined = "SELECT e.name, d.name FROM employee e JOIN division d ON d.id = e.dept_id ORDER BY 1"
    assert rows(database, joined) == [("Alice", "Engineering"), ("Bob", "Engineering")]
    assert is_clean(office)


def test_a_column_is_renamed_and_of_another_length(
    office: Inv, company: Path, database: Database
) -> None:
    change(company, NAME, "    full_name: Mapped[str | None] = mapped_column(String(120))\n")
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--rename employee.name:employee.full_name" in refused.err
    made = office("makemigrations", "--no-input", "--rename", "employee.name:employee.full_name")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT full_name FROM employee ORDER BY id") == [("Alice",), ("Bob",)]
    assert is_clean(office)


def test_a_table_is_renamed_and_its_column(office: Inv, company: Path, database: Database) -> None:
    change(company, '"department.id"', '"unit.id"')
    change(company, '"department"\n', '"unit"\n')
    change(
        company,
        "name: Mapped[str] = mapped_column(String(50))",
        "title: Mapped[str] = mapped_column(String(50))",
    )
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--rename department:unit or --drop department" in refused.err
    made = office(
        *("makemigrations", "--no-input", "--rename", "department:unit"),
        *("--rename", "unit.name:unit.title"),
    )
    assert made.code == 0, made
    assert office("migrate").code == 0
    joined = "SELECT e.name, d.title FROM employee e JOIN unit d ON d.id = e.dept_id ORDER BY 1"
    assert rows(database, joined) == [("Alice", "Engineering"), ("Bob", "Engineering")]
    assert is_clean(office)
    assert office("rollback", "--no-input").code == 0


def test_a_table_is_dropped_that_another_referred_to(office: Inv, company: Path) -> None:
    assert office("flush", "--no-input").code == 0
    change(company, '"department.id"', '"unit.id"')
    change(company, '"department"\n', '"unit"\n')
    made = office("makemigrations", "--no-input", "--drop", "department")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert is_clean(office)
    assert office("rollback", "--no-input").code == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_table_in_another_schema_is_not_dropped_silently(office: Inv, company: Path) -> None:
    name = '    __tablename__ = "employee"\n'
    change(company, name, f'{name}    __table_args__ = {{"schema": "hr"}}\n')
    refused = office("makemigrations", "--no-input")
    assert (refused.code, "--drop employee" in refused.err) == (3, True), refused
    by_hand = office("makemigrations", "--no-input", "--rename", "employee:hr.employee")
    assert (by_hand.code, "SET SCHEMA" in by_hand.err) == (2, True), by_hand
    assert len(revisions(company)) == 1
    assert office("makemigrations", "--no-input", "--drop", "employee").code == 0


def test_a_table_with_an_index_is_renamed_and_dropped(
    office: Inv, company: Path, database: Database
) -> None:
    change(company, NAME, "    name: Mapped[str] = mapped_column(String(100), index=True)\n")
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    change(company, '"employee"', '"staff"')
    refused = office("makemigrations", "--no-input")
    assert (refused.code, "--rename employee:staff" in refused.err) == (3, True), refused
    assert office("makemigrations", "--no-input", "--rename", "employee:staff").code == 0
    assert office("migrate").code == 0
    assert rows(database, "SELECT name FROM staff ORDER BY id") == [("Alice",), ("Bob",)]
    assert is_clean(office)
    models = company / "src" / "company" / "models.py"
    text = models.read_text(encoding="utf-8").partition("class Employee")[0]
    models.write_text(re.sub(r".*relationship\(.*", "", text), encoding="utf-8")
    made = office("makemigrations", "--no-input")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert is_clean(office)
    back = office("rollback", "--no-input", "--steps", "3")
    assert back.code == 0, back


def test_nothing_is_dropped_and_added_silently(office: Inv, company: Path) -> None:
    change(
        company,
        "    name: Mapped[str] = mapped_column(S",
        "    full_name: Mapped[str] = mapped_column(S",
    )
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3
    assert "was the column renamed?" in refused.err
    assert "--rename employee.name:employee.full_name or --drop employee.name" in refused.err
    assert revisions(company) == ["0001_department_employee.py"]
    without = office("makemigrations", "--no-input", "--drop", "employee.name")
    assert without.code == 3
    assert "--default employee.full_name=VALUE" in without.err
    made = office(
        *("makemigrations", "--no-input", "--drop", "employee.name"),
        *("--default", "employee.full_name=it's: \\ 100%"),
    )
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert is_clean(office)


@pytest.mark.parametrize(
    ("answer", "code", "expected"),
    [
        ("y\n", 0, "rename column employee.name to full_name"),
        ("n\nnobody\n", 0, "drop column employee.name"),
        ("n\n\n", 3, "Existing rows need a value for the column employee.full_name."),
        ("?\ny\n", 0, 'without a migration: full_name = mapped_column("name", …)'),
        ("?\ny\n", 0, "while old code still runs"),
        ("perhaps\ny\n", 0, "rename column employee.name to full_name"),
        ("\n\n", 3, "employee.full_name: existing rows need a value"),
    ],
)
@on_sqlite
def test_a_person_is_asked(
    office: Inv,
    company: Path,
    terminal: Callable[..., tuple[int, str]],
    answer: str,
    code: int,
    expected: str,
) -> None:
    change(
        company,
        "    name: Mapped[str] = mapped_column(S",
        "    full_name: Mapped[str] = mapped_column(S",
    )
    done, shown = terminal("makemigrations", answer=answer)
    assert (done, expected in shown) == (code, True), shown
    assert "Was employee.name renamed to employee.full_name? (VARCHAR(100)) [y/N/?] " in shown
    assert ("while old code still runs" in shown) == answer.startswith("?")
    assert len(revisions(company)) == (2 if code == 0 else 1)


AGE = "age: Mapped[int | None] = mapped_column(Integer)"
GRADE = "grade: Mapped[str | None] = mapped_column(String(20))"


@pytest.fixture
def aged(office: Inv, company: Path, database: Database) -> Inv:
    """Return `inv` on a database with people's ages, which the models have as their grades now."""
    change(company, "import ForeignKey, String", "import ForeignKey, Integer, String")
    add_column(company, AGE)
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    execute(database, "UPDATE employee SET age = 7")
    change(company, AGE, GRADE)
    return office


def test_a_column_of_another_kind_is_asked_about(
    aged: Inv, company: Path, database: Database
) -> None:
    refused = aged("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--rename employee.age:employee.grade or --drop employee.age" in refused.err
    assert len(revisions(company)) == 2
    made = aged("makemigrations", "--no-input", "--rename", "employee.age:employee.grade")
    assert made.code == 0, made
    assert aged("migrate").code == 0
    assert rows(database, "SELECT grade FROM employee") == [("7",), ("7",)]
    assert is_clean(aged)
    assert aged("rollback", "--no-input").code == 0
    assert rows(database, "SELECT age FROM employee") == [(7,), (7,)]


def test_a_column_of_another_kind_is_dropped_where_it_is_said(
    aged: Inv, database: Database
) -> None:
    made = aged("makemigrations", "--no-input", "--drop", "employee.age")
    assert made.code == 0, made
    assert aged("migrate").code == 0
    assert rows(database, "SELECT grade FROM employee") == [(None,), (None,)]
    assert is_clean(aged)


@on_sqlite
def test_a_person_is_told_that_the_type_changes_too(
    aged: Inv, terminal: Callable[..., tuple[int, str]]
) -> None:
    code, shown = terminal("makemigrations", answer="?\ny\n")
    assert (code, "rename column employee.age to grade" in shown) == (0, True), shown
    assert "Was employee.age renamed to employee.grade? (INTEGER → VARCHAR(20)) [y/N/?]" in shown
    assert "its type changes too, from INTEGER to VARCHAR(20)" in shown
    assert "while old code still runs, it asks for age" in shown
    assert "without a migration" not in shown


@on_sqlite
def test_a_column_of_the_same_kind_is_asked_about_first(
    aged: Inv, company: Path, terminal: Callable[..., tuple[int, str]]
) -> None:
    change(company, GRADE, f"{GRADE}\n    {AGE.replace('age', 'years')}")
    code, shown = terminal("makemigrations", answer="n\nn\n")
    assert code == 0, shown
    assert re.findall(r"Was (\S+) renamed to (\S+)\?", shown) == [
        ("employee.age", "employee.years"),
        ("employee.age", "employee.grade"),
    ]


BADGE = """

class {name}(Base):
    __tablename__ = "{table}"
    id: Mapped[int] = mapped_column(primary_key=True)
"""


def test_a_table_with_one_column_in_common_is_asked_about(
    office: Inv, company: Path, database: Database
) -> None:
    models = company / "src" / "company" / "models.py"
    before = models.read_text(encoding="utf-8")

    def write(name: str, *columns: str) -> None:
        lines = "".join(
            f"    {one}: Mapped[str | None] = mapped_column(String(9))\n" for one in columns
        )
        badge = BADGE.format(name=name, table=name.lower())
        models.write_text(before + badge + lines, encoding="utf-8")

    write("Badge", "code", "color", "shape", "size", "weight")
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    execute(database, "INSERT INTO badge (id, code) VALUES (1, 'A1')")
    write("Card", "bank", "code", "expires")
    refused = office("makemigrations", "--no-input")
    assert (refused.code, "--rename badge:card or --drop badge" in refused.err) == (3, True), (
        refused
    )
    columns = [f"--drop=card.{one}" for one in ("color", "shape", "size", "weight")]
    made = office("makemigrations", "--no-input", "--rename", "badge:card", *columns)
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT code, bank FROM card") == [("A1", None)]
    assert is_clean(office)
    write("Desk", "height")
    nothing_in_common = office("makemigrations", "--no-input")
    assert nothing_in_common.code == 0, nothing_in_common


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_names_in_a_schema_have_it_in_every_flag(
    office: Inv, company: Path, database: Database
) -> None:
    models = company / "src" / "company" / "models.py"
    before = models.read_text(encoding="utf-8").replace("import ", "import Enum, ", 1)

    def write(*columns: str) -> None:
        pay = BADGE.format(name="Pay", table="pay")
        lines = "".join(f"    {one}\n" for one in ('__table_args__ = {"schema": "hr"}', *columns))
        models.write_text(before + pay + lines, encoding="utf-8")

    kind = "kind: Mapped[str] = mapped_column(Enum({}, name='kind', schema='hr'))"
    write("amount: Mapped[int | None]", kind.format("'low', 'high'"))
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    execute(database, "INSERT INTO hr.pay (id, amount, kind) VALUES (1, 5, 'high')")
    write("salary: Mapped[int | None]", "year: Mapped[int]", kind.format("'low', 'mean'"))
    flags: list[str] = []
    for asked, answer in (
        (
            "--rename hr.pay.amount:hr.pay.salary or --drop hr.pay.amount",
            "hr.pay.amount:hr.pay.salary",
        ),
        (
            "--default hr.pay.year=VALUE or --default-sql 'hr.pay.year=SQL EXPRESSION'",
            "hr.pay.year=2026",
        ),
        (
            "--default hr.pay.kind=VALUE or --default-sql 'hr.pay.kind=SQL EXPRESSION'",
            "hr.pay.kind=mean",
        ),
    ):
        refused = office("makemigrations", "--no-input", *flags)
        assert (refused.code, asked in refused.err) == (3, True), refused
        flags += [asked.split()[0], answer]
    made = office("makemigrations", "--no-input", *flags)
    assert made.code == 0, made
    assert made.err.count("change type kind") == 1
    assert office("migrate").code == 0
    assert rows(database, "SELECT salary, year, kind FROM hr.pay") == [(5, 2026, "mean")]
    assert is_clean(office)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_column_of_a_type_that_is_not_known_is_asked_about(
    office: Inv, company: Path, database: Database
) -> None:
    add_revision(company, "0002_spot", 'op.execute("ALTER TABLE employee ADD spot box")')
    assert office("migrate").code == 0
    execute(database, "UPDATE employee SET spot = '(1,2),(3,4)'")
    add_column(company, "place: Mapped[str | None] = mapped_column(String(20))")
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--rename employee.spot:employee.place or --drop employee.spot" in refused.err
    made = office("makemigrations", "--no-input", "--rename", "employee.spot:employee.place")
    assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT place FROM employee") == [("(3,4),(1,2)",)] * 2
    assert office("rollback", "--no-input").code == 0
    assert rows(database, "SELECT spot::text FROM employee") == [("(3,4),(1,2)",)] * 2


@on_sqlite
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_what_is_dropped_may_be_named_in_any_order(
    office_process: Inv, company: Path, seed: str
) -> None:
    columns = "    {}: Mapped[str | None] = mapped_column(String(20))\n"
    before = "".join(map(columns.format, "bxy"))
    change(company, NAME, f"{NAME}{before}")
    assert office_process("makemigrations", "--no-input").code == 0
    change(company, before, "".join(map(columns.format, ("c", "xx"))))
    made = office_process(
        *("makemigrations", "--no-input", "--rename", "employee.b:employee.c"),
        *("--rename", "employee.y:employee.xx", "--drop", "employee.x"),
        env={"PYTHONHASHSEED": seed},
    )
    assert made.code == 0, made
    dropped = [line.strip() for line in made.err.splitlines() if "drop" in line]
    assert dropped == ["drop column employee.x"]


@pytest.fixture
def renamed(office: Inv, company: Path) -> Inv:
    """Return `inv` in a project whose models have a person's name by another one."""
    change(company, NAME, NAME.replace(" name", " full_name"))
    return office


@on_sqlite
@pytest.mark.parametrize(
    "new", ["nothing", "FULL_NAME", "dept_id", "name", "department.full_name", ""]
)
def test_a_new_name_that_nothing_new_has_is_refused(renamed: Inv, company: Path, new: str) -> None:
    name = new if "." in new else f"employee.{new}" if new else ""
    refused = renamed("makemigrations", "--no-input", "--rename", f"employee.name:{name}")
    assert refused.code == 2, refused
    possible = "--rename employee.name:employee.full_name or --drop employee.name"
    assert (possible if new else "write NAME:NAME") in refused.err
    assert len(revisions(company)) == 1


@pytest.mark.parametrize("new", ["Staff", "department", "hr.staff"])
def test_a_new_name_of_a_table_that_nothing_new_has_is_refused(
    office: Inv, company: Path, new: str
) -> None:
    change(company, '"employee"', '"staff"')
    refused = office("makemigrations", "--no-input", "--rename", f"employee:{new}")
    assert refused.code == 2, refused
    assert "take --rename employee:staff or --drop employee" in refused.err
    assert len(revisions(company)) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ("--rename=employee.name:employee.full_name", "--rename=employee.name:employee.x"),
            "two things of employee.name",
        ),
        (
            ("--rename=employee.name:employee.full_name", "--drop=employee.name"),
            "renamed or dropped, not both",
        ),
        (
            (
                "--rename=employee.name:employee.full_name",
                "--rename=employee.dept_id:employee.full_name",
            ),
            "employee.name and employee.dept_id cannot all become employee.full_name",
        ),
        (("--default=employee.x=1", "--default=employee.x=2"), "two things of employee.x"),
        (("--default=employee.x=1", "--default-sql=employee.x=2"), "not both"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    renamed: Inv, company: Path, flags: tuple[str, ...], told: str
) -> None:
    refused = renamed("makemigrations", "--no-input", *flags)
    assert (refused.code, told in refused.err) == (2, True), refused
    assert len(revisions(company)) == 1


@on_sqlite
def test_a_flag_about_what_is_not_gone_is_refused_before_anything_is_asked(
    renamed: Inv, company: Path
) -> None:
    given = ("--rename", "employee.dept_id:employee.full_name")
    refused = renamed("makemigrations", "--no-input", *given)
    assert (refused.code, "about employee.dept_id" in refused.err) == (2, True), refused


def test_columns_that_swap_names_do_so_in_the_steps_that_are_told(
    office: Inv, company: Path, database: Database
) -> None:
    nick = "    nick: Mapped[str | None] = mapped_column(String(100))\n"
    change(company, NAME, f"{NAME.replace('str]', 'str | None]')}{nick}")
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    execute(database, "UPDATE employee SET nick = 'Al'")
    refused = office(
        *("makemigrations", "--no-input", "--rename", "employee.name:employee.nick"),
        *("--rename", "employee.nick:employee.name"),
    )
    assert (refused.code, "cannot be renamed in one revision" in refused.err) == (2, True), refused
    steps = re.findall(r"--rename (\w+\.(\w+):\w+\.(\w+))", refused.err)
    assert len(steps) == 3
    for flag, old, new in steps:
        change(company, f"    {old}: Mapped[str | None]", f"    {new}: Mapped[str | None]")
        made = office("makemigrations", "--no-input", "--rename", flag)
        assert made.code == 0, made
    assert office("migrate").code == 0
    assert rows(database, "SELECT name, nick FROM employee ORDER BY id") == [
        ("Al", "Alice"),
        ("Al", "Bob"),
    ]
    assert is_clean(office)


@on_sqlite
def test_a_chain_of_new_names_begins_with_the_one_that_is_free(office: Inv) -> None:
    refused = office(
        *("makemigrations", "--no-input", "--rename", "employee.name:employee.nick"),
        *("--rename", "employee.nick:employee.alias"),
    )
    assert refused.code == 2, refused
    steps = re.findall(r"--rename (\S+?);? ", f"{refused.err} ")
    assert steps[:1] == ["employee.nick:employee.alias"]
    assert "--rename employee.name:employee.nick" in refused.err


COMPUTED = 'age: Mapped[int | None] = mapped_column(Integer, Computed("id + 1"))'


@pytest.mark.parametrize("models", [(AGE, COMPUTED), (COMPUTED, AGE)])
def test_a_column_is_not_emptied_silently_as_it_is_computed_now_or_no_more(
    office: Inv, company: Path, database: Database, models: tuple[str, str]
) -> None:
    change(company, "import ForeignKey, String", "import Computed, ForeignKey, Integer, String")
    add_column(company, models[0])
    assert office("makemigrations", "--no-input").code == 0
    assert office("migrate").code == 0
    change(company, *models)
    refused = office("makemigrations", "--no-input")
    assert (refused.code, "hint: add --drop employee.age\n" in refused.err) == (3, True), refused
    assert len(revisions(company)) == 2
    made = office("makemigrations", "--no-input", "--drop", "employee.age")
    assert made.code == 0, made
    assert office("migrate").code == 0
    found = rows(database, "SELECT age FROM employee ORDER BY id")
    assert found == ([(2,), (3,)] if models[1] == COMPUTED else [(None,), (None,)])
    assert is_clean(office)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
@on_sqlite
def test_a_person_is_asked_before_a_column_is_emptied(
    office: Inv, company: Path, terminal: Callable[..., tuple[int, str]], answer: str, code: int
) -> None:
    change(company, "import ForeignKey, String", "import Computed, ForeignKey, Integer, String")
    add_column(company, AGE)
    assert office("makemigrations", "--no-input").code == 0
    change(company, AGE, COMPUTED)
    done, shown = terminal("makemigrations", answer=answer)
    assert done == code, shown
    assert "employee.age loses its values. Continue? [y/N/?]" in shown
    assert "age is computed now, or no more" in shown
    assert len(revisions(company)) == (3 if code == 0 else 2)
