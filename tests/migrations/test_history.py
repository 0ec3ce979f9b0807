"""showmigrations as typed: the list, the plan, the drawing, and records for programs."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import Database, Result, clean_environment
from dbtasks import Project, migrations, person
from dbtasks.errors import Refused
from terminals import run_on_terminal
from trees import FIRST, add_revision

Inv = Callable[..., Result]

TIME = re.compile(r"  \d{4}-\d\d-\d\d \d\d:\d\d by \S+ \(\d+\.\d\ds\)$")

FIELDS = [
    *("revision", "message", "parents", "labels", "depends_on"),
    *("applied", "known", "changed", "path", "applied_at", "seconds", "applied_by"),
]


def declare(path: Path, **names: str) -> None:
    """Add assignments to a revision."""
    added = "".join(f"\n{name} = {value!r}" for name, value in names.items())
    path.write_text(path.read_text() + added + "\n")


@pytest.fixture
def merged(company: Path) -> Path:
    """Return the reference project with two branches that are merged."""
    add_revision(company, "0002_left")
    add_revision(company, "0002_right")
    add_revision(company, "0003_merge", after=("0002_left", "0002_right"))
    return company


@pytest.fixture
def branches(merged: Path) -> Path:
    """Return it with a history beside them, which has a label."""
    declare(add_revision(merged, "0004_audit", after=None), branch_labels="audit")
    declare(add_revision(merged, "0005_log", after="0004_audit"), depends_on="0002_left")
    return merged


def lines(shown: Result) -> list[str]:
    assert shown.code == 0, shown
    return shown.out.splitlines()


def on_a_terminal(company: Path, encoding: str) -> list[str]:
    """Run `inv showmigrations --graph` on a terminal that has this encoding."""
    environment = clean_environment() | {"PYTHONIOENCODING": encoding}
    code, shown = run_on_terminal(company, "showmigrations", "--graph", environment=environment)
    assert code == 0
    return shown.splitlines()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_list_says_what_is_particular(inv: Inv, branches: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    inv("migrate", "--to", "0002_left", env=env)
    shown = [TIME.sub("", line) for line in lines(inv("showmigrations", env=env))]
    assert shown[0] == f"[X] {FIRST}"
    assert sorted(shown[1:]) == [
        "[ ] 0002_right",
        "[ ] 0003_merge (merges 0002_left, 0002_right)",
        "[ ] 0004_audit (audit)",
        "[ ] 0005_log (audit) (depends on 0002_left)",
        "[X] 0002_left",
    ]


def test_plan_is_what_migrate_does(inv: Inv, merged: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    inv("migrate", "--to", "0002_left", env=env)
    planned = [line.split()[2] for line in lines(inv("showmigrations", "--plan", env=env))]
    records = json.loads(inv("showmigrations", "--plan", "--format", "json", env=env).out)
    assert [one["revision"] for one in records] == planned
    assert planned.index("0002_right") < planned.index("0003_merge")
    assert "0002_left" not in planned
    applied = [line.split()[1] for line in lines(inv("migrate", env=env))]
    assert applied == planned
    assert inv("showmigrations", "--plan", env=env).out == "Nothing to apply.\n"
    assert inv("showmigrations", "--plan", "--format", "json", env=env).out == "[]\n"


def test_plan_of_a_line(inv: Inv, company: Path) -> None:
    add_revision(company, "0002_place")
    assert lines(inv("showmigrations", "--plan")) == [f"[ ] {FIRST}", "[ ] 0002_place"]
    inv("migrate", "--to", FIRST)
    assert lines(inv("showmigrations", "--plan")) == ["[ ] 0002_place"]


def test_graph_of_a_line_is_one_column(inv: Inv, company: Path) -> None:
    add_revision(company, "0002_place")
    inv("migrate", "--to", FIRST)
    shown = lines(inv("showmigrations", "--graph"))
    assert shown == ["* [ ] 0002_place (head)", f"* [X] {FIRST}"]


def test_graph_of_branches(inv: Inv, merged: Path) -> None:
    inv("migrate", "--to", "0002_right")
    top, fork, *middle, join, bottom = lines(inv("showmigrations", "--graph"))
    assert top == "* [ ] 0003_merge (merges 0002_left, 0002_right) (head)"
    assert (fork, join, bottom) == ("├─╮", "├─╯", f"* [X] {FIRST}")
    assert sorted(middle) == ["* │ [ ] 0002_left", "│ * [X] 0002_right"]
    assert on_a_terminal(merged, "utf-8")[1] == fork
    plain = on_a_terminal(merged, "ascii")
    assert (plain[1], plain[4]) == ("|-.", "|-'")
    (merged / "migrations" / "versions" / "0003_merge.py").unlink()
    heads = [line for line in lines(inv("showmigrations", "--graph")) if "(head)" in line]
    assert len(heads) == 2


def test_documents_go_to_a_file(inv: Inv, branches: Path) -> None:
    for form, beginning, parts in (
        ("mermaid", "flowchart BT\n", ("r1 --> ", "-.->", '(audit)"]')),
        ("dot", "digraph migrations {\n", ("r1 -> ", "[style=dashed]", '(audit)"];')),
    ):
        done = inv("showmigrations", "--graph", "--format", form)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(beginning)
        assert all(part in done.out for part in parts)
        assert inv("showmigrations", "--graph", "--format", form, "-o", "history").out == ""
        assert (branches / "history").read_text() == done.out


def test_json_has_every_field(inv: Inv, branches: Path) -> None:
    inv("migrate", "--to", FIRST)
    records = json.loads(inv("showmigrations", "--format", "json").out)
    assert all(list(one) == FIELDS for one in records)
    found = {one["revision"]: one for one in records}
    assert [found[FIRST][name] for name in FIELDS[:9]] == [
        *(FIRST, "department and employee", [], [], []),
        *(True, True, False, f"migrations/versions/{FIRST}.py"),
    ]
    assert found["0003_merge"]["parents"] == ["0002_left", "0002_right"]
    assert found["0005_log"]["depends_on"] == ["0002_left"]
    assert found["0005_log"]["labels"] == ["audit"]
    assert found["0005_log"]["applied"] is False


def test_other_records(inv: Inv, branches: Path) -> None:
    rows = list(csv.DictReader(inv("showmigrations", "--format", "csv").out.splitlines()))
    assert list(rows[0]) == FIELDS
    merge = next(row for row in rows if row["revision"] == "0003_merge")
    assert json.loads(merge["parents"]) == ["0002_left", "0002_right"]
    assert len(lines(inv("showmigrations", "--format", "jsonl"))) == 6
    header = lines(inv("showmigrations", "--format", "table"))[0].split()
    assert header[:5] == ["revision", "message", "labels", "applied", "known"]


def test_only_the_database_has_it(inv: Inv, company: Path) -> None:
    lost = add_revision(company, "0002_lost")
    inv("migrate")
    lost.unlink()
    stray = "[?] 0002_lost: only the database has it"
    assert TIME.sub("", lines(inv("showmigrations"))[-1]) == stray
    assert lines(inv("showmigrations", "--graph"))[:2] == [f"* {stray}", ""]
    record = json.loads(inv("showmigrations", "--format", "json").out)[-1]
    assert (record["revision"], record["known"], record["path"]) == ("0002_lost", False, None)


def test_names_and_messages_of_alembics_own_files(inv: Inv, company: Path) -> None:
    path = add_revision(company, "1975ea83b712")
    path.write_text(path.read_text().replace('"""', '"""Add a place\nand a street\n\nmore', 1))
    path.rename(path.with_name("1975ea83b712_add_a_place.py"))
    assert lines(inv("showmigrations"))[1] == "[ ] 1975ea83b712 Add a place and a street"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plan", "--graph"], "--plan and --graph exclude each other"),
        (["--format", "dot"], "inv showmigrations --graph --format dot"),
        (["--plan", "--format", "mermaid"], "--format mermaid is a form of --graph"),
        (["--graph", "--format", "json"], "take text, mermaid, dot"),
        (["--format", "xml"], "take text, table, json, jsonl, csv"),
    ],
)
def test_options_that_do_not_go_together(
    inv: Inv, company: Path, arguments: list[str], words: str
) -> None:
    done = inv("showmigrations", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert list(company.glob("*.db")) == []


def test_times_are_those_of_the_journal(project: Project, company: Path) -> None:
    add_revision(company, "0002_place")
    began = datetime.now(UTC)
    migrations.migrate(project, to=FIRST)
    first, second = migrations.showmigrations(project)
    assert first.ran is not None
    assert abs((first.ran.at - began).total_seconds()) < 60
    local = first.ran.at.astimezone().strftime("%Y-%m-%d %H:%M")
    took = f"({first.ran.seconds:.2f}s)"
    assert str(first) == f"[X] {FIRST}  {local} by {person.describe()} {took}"
    assert (str(second), second.ran) == ("[ ] 0002_place", None)
    migrations.migrate(project, to="base")
    assert migrations.showmigrations(project)[0].ran is None


def test_older_revisions_are_known_from_the_journal(project: Project, company: Path) -> None:
    """An older image sees what the database has, also below a head that it does not know."""
    newer = add_revision(company, "0002_place")
    migrations.migrate(project)
    newer.unlink()
    found = [(one.revision.id, one.applied) for one in migrations.showmigrations(project)]
    assert found == [(FIRST, True), ("0002_place", True)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_pending_refuses_what_migrate_refuses(project: Project, company: Path) -> None:
    lost = add_revision(company, "unrelated", after=None)
    migrations.migrate(project, to="unrelated")
    lost.unlink()
    assert [one.known for one in migrations.showmigrations(project)] == [True, False]
    with pytest.raises(Refused, match="unrelated"):
        migrations.pending(project)
