"""makemigrations at a terminal: what it shows, what it asks, and what may be typed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Database
from office import Inv, add_column, change, is_clean, on_sqlite, rows
from trees import revisions

Terminal = Callable[..., tuple[int, str]]


@on_sqlite
def test_the_code_is_shown_line_by_line(office: Inv, company: Path, terminal: Terminal) -> None:
    for name in ("nick", "room"):
        add_column(company, f"{name}: Mapped[str | None] = mapped_column(String(20))")
    code, shown = terminal("makemigrations", "--dry-run")
    assert code == 0, shown
    assert "\\n" not in shown
    assert len([one for one in shown.splitlines() if one.startswith("    op.add_column(")]) == 2
    assert '        batch_op.drop_column("room")' in shown.splitlines()


FULL_NAME = "full_name: Mapped[str] = mapped_column(S"
LOGIN = "login: Mapped[str] = mapped_column(String(50))"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("''", ["", ""]),
        ('""', ["", ""]),
        ("sql: lower(name)", ["alice", "bob"]),
        ("it's", ["it's", "it's"]),
    ],
)
@on_sqlite
def test_an_empty_text_and_sql_may_be_typed(
    office: Inv,
    company: Path,
    database: Database,
    terminal: Terminal,
    typed: str,
    stored: list[str],
) -> None:
    add_column(company, LOGIN)
    code, shown = terminal("makemigrations", answer=f"{typed}\n")
    assert code == 0, shown
    assert "('' = empty string, sql:EXPR = SQL expression, Enter = cancel): " in shown
    assert office("migrate").code == 0
    found = rows(database, "SELECT login FROM employee ORDER BY name")
    assert [one for (one,) in found] == stored
    assert is_clean(office)


@on_sqlite
def test_nothing_typed_stops(office: Inv, company: Path, terminal: Terminal) -> None:
    add_column(company, LOGIN)
    add_column(company, LOGIN.replace("login", "room"))
    code, shown = terminal("makemigrations", answer="\n")
    assert (code, len(revisions(company))) == (3, 1), shown
    assert shown.count("Enter = cancel") == 1
    assert office("makemigrations", "--check").code == 1


@on_sqlite
def test_all_flags_that_are_missing_are_named_at_once(office: Inv, company: Path) -> None:
    add_column(company, LOGIN)
    add_column(company, LOGIN.replace("login", "room"))
    add_column(company, "place: Mapped[str] = mapped_column('its place', String(50))")
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--default employee.login=VALUE or --default-sql 'employee.login=SQL E" in refused.err
    assert "--default employee.room=VALUE" in refused.err
    assert "--default 'employee.its place=VALUE'" in refused.err
    given = [f"--default=employee.{one}=x" for one in ("login", "room", "its place")]
    assert office("makemigrations", "--no-input", *given).code == 0


@on_sqlite
def test_all_renames_are_asked_about_at_once(office: Inv, company: Path) -> None:
    change(company, "    name: Mapped[str] = mapped_column(S", f"    {FULL_NAME}")
    models = company / "src" / "company" / "models.py"
    before, _, after = models.read_text().partition("    name: Mapped[str]")
    models.write_text(f"{before}    title: Mapped[str]{after}")
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    assert "--rename department.name:department.title or --drop department.name" in refused.err
    assert "--rename employee.name:employee.full_name or --drop employee.name" in refused.err


def test_what_hangs_on_a_rename_is_named_with_it(office: Inv, company: Path) -> None:
    change(company, '"employee"', '"staff"')
    change(company, "    name: Mapped[str] = mapped_column(S", f"    {FULL_NAME}")
    change(company, f"    {FULL_NAME}", f"    {LOGIN}\n    {FULL_NAME}")
    change(company, "    name: Mapped[str]", "    floor: Mapped[int]\n    title: Mapped[str]")
    refused = office("makemigrations", "--no-input")
    assert refused.code == 3, refused
    wanted = {
        "--rename employee:staff": "--drop employee",
        "--rename staff.name:staff.full_name": "--drop staff.name",
        "--rename department.name:department.title": "--drop department.name",
        "--default department.floor=VALUE": "--default-sql 'department.floor=SQL EXPRESSION'",
        "--default staff.login=VALUE": "--default-sql 'staff.login=SQL EXPRESSION'",
    }
    flags = {f"{one} or {other}" for one, other in wanted.items()}
    hint = next(one for one in refused.err.splitlines() if one.startswith("hint: add "))
    assert {*hint.removeprefix("hint: add ").split(", and ")} == flags
    assert len(revisions(company)) == 1
    given = " ".join(wanted).replace("VALUE", "1").split()
    assert office("makemigrations", "--no-input", *given).code == 0
    assert office("migrate").code == 0
    assert is_clean(office)


@on_sqlite
def test_of_a_table_it_is_told_what_breaks_and_how_to_do_without(
    office: Inv, company: Path, terminal: Terminal
) -> None:
    change(company, '"employee"', '"staff"')
    code, shown = terminal("makemigrations", answer="?\ny\n")
    assert code == 0, shown
    assert 'without a migration: __tablename__ = "employee" leaves the table as it is' in shown
    assert "while old code still runs, it asks for employee, and fails" in shown
