"""Two developers begin at one revision: the refusal, and the merge."""

import re
from pathlib import Path

from conftest import Database
from office import Inv, on_sqlite, rows
from trees import ADD, FIRST, add_branch, add_revision, part


def test_two_heads_are_refused(office: Inv, company: Path) -> None:
    part(company)
    for command in (("migrate",), ("makemigrations", "--no-input")):
        refused = office(*command)
        assert refused.code == 3
        assert "makemigrations --merge" in refused.err
        assert "--rebase" in refused.err


@on_sqlite
def test_check_refuses_two_heads_unless_they_are_declared(office: Inv, company: Path) -> None:
    part(company)
    for options in ((), ("--from-database",)):
        refused = office("makemigrations", "--check", *options)
        assert refused.code == 3, refused
        assert "the history has 2 heads: 0002_floor, 0003_phone" in refused.err
        assert refused.out == ""
    tasks = company / "tasks.py"
    tasks.write_text(tasks.read_text().replace("(\n", "(\n    heads=2,\n", 1))
    checked = office("makemigrations", "--check")
    assert (checked.code, "drop column employee.nick" in checked.out) == (1, True), checked


def test_merged(office: Inv, company: Path) -> None:
    part(company, theirs="employee")
    shown = office("makemigrations", "--merge", "--dry-run")
    assert shown.code == 0
    assert "0003_phone:\n  0002_nick: add_column employee\n" in shown.out
    assert "both touch employee" in shown.err
    assert not [*company.rglob("0004*")]
    merged = office("makemigrations", "--merge")
    assert merged.code == 0, merged
    assert merged.out.splitlines()[-1].endswith("0004_merge.py")
    done = office("migrate")
    assert done.code == 0, done
    assert office("migrate", "--check").code == 0
    back = office("rollback", "--no-input")
    assert (back.code, "Reverting 0004_merge" in back.out, back.out.count("OK")) == (0, True, 1)
    assert office("migrate").code == 0
    again = office("redo", "--no-input")
    assert (again.code, again.out.count("0004_merge")) == (0, 2), again
    further = office("rollback", "--steps", "2", "--no-input")
    assert (further.code, "inv migrate --to" in further.err) == (2, True)
    assert office("migrate", "--to", "0001", "--no-input").code == 0


def test_sides_that_do_not_go_together_are_not_merged(office: Inv, company: Path) -> None:
    part(company)
    add_revision(company, "0003_same", ADD.format("employee", "nick"), after="0002_floor")
    refused = office("makemigrations", "--merge")
    assert refused.code == 3, refused
    assert re.search(
        r"error: the sides do not go together: after (0003_phone|0003_same), "
        r"(0003_same|0002_nick) cannot be replayed: .*nick.*; nor do they the other way round\n",
        refused.err,
    )
    assert "hint: fix 000" in refused.err
    assert "0003_same:\n  0002_floor: add_column department\n  0003_same: add_" in refused.out
    assert not [*company.rglob("0004*")]


def test_sides_that_go_together_the_other_way_round_are_told_so(office: Inv, company: Path) -> None:
    rename = "op.execute('ALTER TABLE employee RENAME COLUMN name TO title')"
    add_revision(company, "0002_ann", "op.execute(\"UPDATE employee SET name = 'A'\")")
    add_revision(company, "0002_bob", rename)
    shown = office("makemigrations", "--merge", "--no-input")
    assert shown.code == 3, shown
    assert "after 0002_bob, 0002_ann cannot be replayed: " in shown.err
    assert "hint: put 0002_bob after it: inv makemigrations --rebase 0002_bob; or fix" in shown.err
    assert "0002_ann has SQL of its own: see that it goes with the other side" in shown.err
    assert office("makemigrations", "--rebase", "0002_bob", "--no-input").code == 0
    assert office("migrate").code == 0


@on_sqlite
def test_a_side_that_does_not_run_by_itself_is_not_called_apart(office: Inv, company: Path) -> None:
    part(company)
    add_revision(company, "0003_wrong", ADD.format("nothing", "nick"), after="0002_floor")
    refused = office("makemigrations", "--merge")
    assert refused.code == 8, refused
    assert "error: 0003_wrong cannot be replayed: " in refused.err
    assert "hint: fix it: each revision has to run on an empty database" in refused.err


def test_a_head_that_another_depends_on_is_joined_with_it_first(
    office: Inv, company: Path, database: Database
) -> None:
    part(company)
    add_revision(company, "b001_bill", after=None)
    bill = add_revision(company, "b002_x", "op.execute('DELETE FROM employee')", after="b001_bill")
    bill.write_text(f'{bill.read_text()}\ndepends_on = "0002_floor"\n')
    assert office("migrate", "--to", "0003_phone").code == 0
    merged = office("makemigrations", "--merge", "--no-input", "--name", "both")
    assert merged.code == 0, merged
    names = [one.rpartition("/")[2] for one in merged.out.splitlines() if "Wrote" in one]
    assert len(names) == 2, merged
    assert rows(database, "SELECT count(*) FROM employee") != [(0,)]
    done = office("migrate")
    assert done.code == 0, done
    assert rows(database, "SELECT count(*) FROM employee") == [(0,)]
    assert office("migrate", "--check").code == 0
    assert office("migrate", "--to", "base", "--no-input").code == 0
    assert office("migrate").code == 0


@on_sqlite
def test_two_heads_of_one_label_are_refused_and_joined_alone(office: Inv, company: Path) -> None:
    first = company / "migrations" / "versions" / f"{FIRST}.py"
    text = re.sub(r"\nbranch_labels[^\n]*", "", first.read_text())
    first.write_text(text.replace("\nrevision", '\nbranch_labels = "main"\nrevision', 1))
    add_branch(company)
    assert office("migrate").code == 0
    part(company)
    refused = office("migrate")
    assert refused.code == 3, refused
    assert "the branch main has 2 heads: 0002_floor, 0003_phone" in refused.err
    assert "give each a label of its own, or heads=3 in collection(...)" in refused.err
    shown = office("makemigrations", "--merge", "--dry-run")
    assert (shown.code, "bill:" in shown.out) == (0, False), shown
    assert "other branches, which stay beside it: b001_bill" in shown.err
    assert office("makemigrations", "--merge").code == 0
    assert office("migrate").code == 0
    assert office("migrate", "--check").code == 0
