"""Two developers begin at one revision: the refusal, the merge and the rebase."""

from collections.abc import Callable
from pathlib import Path

from conftest import Database, Result
from office import on_sqlite
from trees import add_revision

Inv = Callable[..., Result]


ADD = 'op.add_column("{}", sa.Column("{}", sa.String(20)))'
DROP = 'op.drop_column("{}", "{}")'


def part(company: Path, *, theirs: str = "department") -> None:
    """Write two revisions of mine, and one of theirs, after the first."""
    mine = "employee", "nick"
    add_revision(company, "0002_nick", ADD.format(*mine), downgrade=DROP.format(*mine))
    again = "employee", "phone"
    add_revision(
        company,
        "0003_phone",
        ADD.format(*again),
        downgrade=DROP.format(*again),
        after="0002_nick",
    )
    add_revision(
        company,
        "0002_floor",
        ADD.format(theirs, "floor"),
        downgrade=DROP.format(theirs, "floor"),
    )


def heads(office: Inv) -> list[str]:
    shown = office("showmigrations").out
    return [line for line in shown.splitlines() if line.endswith("(head)")]


def test_two_heads_are_refused(office: Inv, company: Path) -> None:
    part(company)
    for command in (("migrate",), ("makemigrations", "--no-input")):
        refused = office(*command)
        assert refused.code == 3
        assert "makemigrations --merge" in refused.err
        assert "--rebase" in refused.err


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
    assert "cannot be replayed" in refused.err
    assert not [*company.rglob("0004*")]


def test_rebased(office: Inv, company: Path) -> None:
    part(company)
    shown = office("makemigrations", "--rebase", "0003_phone", "--dry-run")
    assert shown.out == (
        "0002_nick → 0003_nick, after 0002_floor\n0003_phone → 0004_phone, after 0003_nick\n"
    )
    assert [*company.rglob("0004*")] == []
    versions = company / "migrations" / "versions"
    windows = (versions / "0002_nick.py").read_bytes().replace(b"\n", b"\r\n")
    (versions / "0002_nick.py").write_bytes(windows)
    done = office("makemigrations", "--rebase", "0002_nick")
    assert done.code == 0, done
    names = sorted(one.name for one in versions.glob("0*.py"))
    assert names[1:] == ["0002_floor.py", "0003_nick.py", "0004_phone.py"]
    moved = (versions / "0003_nick.py").read_bytes()
    assert moved.count(b"\n") == moved.count(b"\r\n") == windows.count(b"\n")
    assert office("migrate").code == 0
    assert "Applying" not in office("migrate").out
    assert office("migrate", "--to", "base", "--no-input").code == 0


@on_sqlite
def test_three_heads_cannot_be_a_line(office: Inv, company: Path) -> None:
    part(company)
    add_revision(company, "0002_third", ADD.format("department", "third"))
    refused = office("makemigrations", "--rebase", "0002_third")
    assert refused.code == 2, refused
    assert "there are 3 heads, 0002_floor, 0002_third, 0003_phone" in refused.err
    assert "hint: join them with: inv makemigrations --merge" in refused.err


def test_rebased_on_a_database_that_has_mine(office: Inv, company: Path) -> None:
    add_revision(
        company,
        "0002_nick",
        ADD.format("employee", "nick"),
        downgrade=DROP.format("employee", "nick"),
    )
    assert office("migrate").code == 0
    part(company)
    unasked = office("makemigrations", "--rebase", "0002_nick")
    assert (unasked.code, "reverting 0002_nick" in unasked.err) == (3, True)
    done = office("makemigrations", "--rebase", "0002_nick", "--no-input")
    assert done.code == 0, done
    assert "Reverting 0002_nick ... OK" in done.out
    assert "Applying 0004_phone ... OK" in done.out
    assert "[X] 0004_phone" in office("showmigrations").out
    assert office("migrate", "--check").code == 0


def test_not_where_others_rely_on_it(inv: Inv, company: Path, database: Database) -> None:
    add_revision(company, "0002_nick", ADD.format("employee", "nick"))
    env = {"DATABASE_URL": database.url, "DBTASKS_ENV": "staging"}
    assert inv("migrate", env=env).code == 0
    part(company)
    refused = inv("makemigrations", "--rebase", "0002_nick", "--no-input", env=env)
    assert (refused.code, "is marked as staging" in refused.err) == (3, True), refused
    assert [*company.rglob("0004*")] == []
    versions = company / "migrations" / "versions"
    windows = (versions / "0002_nick.py").read_bytes().replace(b"\n", b"\r\n")
    (versions / "0002_nick.py").write_bytes(windows)
