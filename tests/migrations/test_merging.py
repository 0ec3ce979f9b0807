"""Two developers begin at one revision: the refusal, and the merge."""

import re
from pathlib import Path

from office import Inv, on_sqlite
from trees import ADD, add_revision, part


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
    assert refused.code != 0
    assert re.search(r"error: (0003_same|0002_nick) cannot be replayed: .*nick", refused.err)
    assert not [*company.rglob("0004*")]
