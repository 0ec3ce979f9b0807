"""One's own side put after the other head: rehearsed first, and told truly where it fails."""

import shutil
from pathlib import Path

import pytest

from conftest import Database
from dbtasks.migrations.history.reader import find_heads, read_files
from office import Inv, execute, on_sqlite, rows
from trees import ADD, DROP, FIRST, add_branch, add_revision, part, revisions


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
def test_what_moves_depends_on_by_new_names(office: Inv, company: Path) -> None:
    part(company)
    phone = company / "migrations" / "versions" / "0003_phone.py"
    depends = 'depends_on = [FIRST, "0002_nick", "0002_floor"]  # in that order'
    phone.write_text(f"FIRST = {FIRST!r}\n{phone.read_text()}\n{depends}\n")
    done = office("makemigrations", "--rebase", "0003_phone")
    assert done.code == 0, done
    moved = phone.with_name("0004_phone.py").read_text()
    assert depends.replace("0002_nick", "0003_nick") in moved
    assert office("migrate").code == 0
    assert office("migrate", "--to", "base", "--no-input").code == 0


@on_sqlite
def test_what_the_other_side_depends_on_is_no_part_of_a_line(office: Inv, company: Path) -> None:
    part(company)
    floor = company / "migrations" / "versions" / "0002_floor.py"
    floor.write_text(f'{floor.read_text()}\ndepends_on = "0002_nick"\n')
    refused = office("makemigrations", "--rebase", "0003_phone")
    assert refused.code == 3, refused
    assert "0002_floor depends on 0002_nick, which would come after 0002_floor, by" in refused.err
    assert "hint: put the other after mine: inv makemigrations --rebase 0002_floor" in refused.err
    assert revisions(company)[-1] == "0003_phone.py"
    shown = office("makemigrations", "--merge", "--dry-run")
    assert "0003_phone:\n  0002_nick: add_column employee\n  0003_phone: add_" in shown.out
    done = office("makemigrations", "--rebase", "0002_floor")
    assert done.code == 0, done
    assert revisions(company)[1:] == ["0002_nick.py", "0003_phone.py", "0004_floor.py"]
    assert office("migrate").code == 0


@pytest.mark.parametrize("start", ["\ufeff", "# -*- coding: latin-1 -*-\n"])
@on_sqlite
def test_a_file_keeps_its_coding(office: Inv, company: Path, start: str) -> None:
    part(company)
    nick = company / "migrations" / "versions" / "0002_nick.py"
    coding = "utf-8" if start == "\ufeff" else "latin-1"
    content = f"{start}{nick.read_text()}\nNAME = 'Zoë'\n".encode(coding)
    nick.write_bytes(content)
    assert office("makemigrations", "--merge", "--dry-run").code == 0
    done = office("makemigrations", "--rebase", "0002_nick")
    assert done.code == 0, done
    moved = nick.with_name("0003_nick.py").read_bytes()
    assert moved == content.replace(b"0002_nick", b"0003_nick").replace(
        FIRST.encode(), b"0002_floor"
    ).replace(b"'0002_floor'", b'"0002_floor"')
    assert office("migrate").code == 0


@on_sqlite
def test_what_a_revision_uses_up_is_there_in_both_directions(office: Inv, company: Path) -> None:
    part(company)
    floor = company / "migrations" / "versions" / "0002_floor.py"
    text = floor.read_text().replace("\nrevision =", "\nONCE = [1]\n\nrevision =", 1)
    floor.write_text(text.replace("    op.", "    ONCE.pop()\n    op."))
    done = office("makemigrations", "--rebase", "0002_floor")
    assert done.code == 0, done
    assert office("migrate").code == 0


@on_sqlite
def test_of_several_branches_the_heads_of_its_own(office: Inv, company: Path) -> None:
    part(company)
    add_branch(company)
    moved = office("makemigrations", "--rebase", "0002_floor")
    assert moved.code == 0, moved
    assert moved.out == "0002_floor → 0004_floor, after 0003_phone\n"
    assert "b001_bill.py" in revisions(company)


@on_sqlite
def test_what_another_branch_depends_on_keeps_its_name(office: Inv, company: Path) -> None:
    part(company)
    add_branch(company, depends_on="0002_floor")
    refused = office("makemigrations", "--rebase", "0002_floor")
    assert refused.code == 3, refused
    assert "b001_bill depends on 0002_floor" in refused.err
    done = office("makemigrations", "--rebase", "0003_phone")
    assert done.code == 0, done


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


FLOOR = 'op.create_table("floor", sa.Column("id", sa.Integer, primary_key=True))'


def apply_mine(office: Inv, company: Path, **bodies: str) -> None:
    """Write and apply my revision, and then theirs beside it."""
    given = {
        "upgrade": ADD.format("employee", "nick"),
        "downgrade": DROP.format("employee", "nick"),
    }
    add_revision(company, "0002_nick", **given | bodies)
    assert office("migrate").code == 0


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_an_order_that_fails_is_not_begun(
    office: Inv, company: Path, database: Database, way: str
) -> None:
    downgrade = DROP.format("employee", "nick")
    apply_mine(office, company, downgrade=f"{downgrade}\n{FLOOR}")
    execute(database, "UPDATE employee SET nick = 'kept'")
    if way == "upgrade":
        add_revision(company, "0002_theirs", ADD.format("employee", "nick"))
    else:
        add_revision(company, "0002_theirs", FLOOR)
    files = revisions(company)
    refused = office("makemigrations", "--rebase", "0002_nick", "--no-input")
    assert refused.code == 3, refused
    verb = "replayed" if way == "upgrade" else "reverted"
    assert f"the new order does not run: 0003_nick cannot be {verb}: " in refused.err
    assert refused.err.endswith("state: nothing was changed\n")
    assert "Reverting" not in refused.out
    assert revisions(company) == files
    assert rows(database, "SELECT DISTINCT nick FROM employee") == [("kept",)]


def test_where_the_rows_are_in_the_way_it_says_what_is_done(
    office: Inv, company: Path, database: Database
) -> None:
    apply_mine(office, company)
    rows_only = 'if op.get_bind().scalar(sa.text("SELECT count(*) FROM employee")): raise KeyError'
    add_revision(company, "0002_theirs", rows_only)
    failed = office("makemigrations", "--rebase", "0002_nick", "--no-input")
    assert failed.code == 2, failed
    assert "Reverting 0002_nick ... OK" in failed.out
    state = failed.err.splitlines()[-1]
    assert state.startswith("state: reverted: 0002_nick; the files are 0003_nick.py now; then: ")
    assert "hint: put that right; then: inv migrate" in failed.err
    assert revisions(company)[1:] == ["0002_theirs.py", "0003_nick.py"]
    add_revision(company, "0002_theirs")
    assert office("migrate").code == 0
    assert rows(database, "SELECT count(nick) FROM employee") == [(0,)]


def test_files_that_cannot_be_written_stay_as_they_were(office: Inv, company: Path) -> None:
    part(company)
    (company / "migrations" / "versions" / "0004_phone.py").mkdir()
    files = revisions(company)
    failed = office("makemigrations", "--rebase", "0002_nick")
    assert failed.code == 3, failed
    assert "0004_phone.py" in failed.err
    assert revisions(company) == files


KILLER = """
import os, sys
count = 0
def hook(event, arguments):
    global count
    if event == "open":
        changes = isinstance(arguments[1], str) and arguments[1][:1] in "wxa"
    else:
        changes = event in ("os.rename", "os.remove")
    path = str(arguments[0]) if changes else ""
    if "/migrations/" in path and "__pycache__" not in path:
        count += 1
        if count == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), 9)
if "KILL_AT" in os.environ:
    sys.addaudithook(hook)
"""
"""Ends the process before a change of the project's files, whichever has this number."""

HIRE = "op.execute(\"INSERT INTO department (name) VALUES ('{}')\")"
FIRE = "op.execute(\"DELETE FROM department WHERE name = '{}'\")"


def hire(company: Path) -> None:
    """Write two revisions of mine that each add a row, and the other head beside them."""
    for revision, after in (("0002_bob", FIRST), ("0003_bob", "0002_bob")):
        add_revision(
            company, revision, HIRE.format(revision), downgrade=FIRE.format(revision), after=after
        )


def departments(database: Database) -> list[tuple[object, ...]]:
    return rows(database, "SELECT name FROM department ORDER BY name")


HIRED = [("0002_bob",), ("0003_bob",), ("Engineering",)]
CHANGES = 9
"""The note, two files and a part of each, their two names, and the note removed."""

MOVED = [f"{FIRST}.py", "0002_theirs.py", "0003_bob.py", "0004_bob.py"]


def kill(office_process: Inv, company: Path, at: int) -> bool:
    """Rebase, killed before a change of files; whether there were as many."""
    tasks = company / "tasks.py"
    tasks.write_text(KILLER + tasks.read_text().removeprefix(KILLER))
    env = {"KILL_AT": str(at)}
    done = office_process("makemigrations", "--rebase", "0002_bob", "--no-input", env=env)
    assert done.code in (0, -9), done
    return done.code != 0


def is_whole_or_refused(versions: Path) -> bool:
    """Whether plain Alembic finds the old history, the new one, or one that misses a revision."""
    files = read_files([versions])
    assert files is not None
    old = {FIRST, "0002_theirs", "0002_bob", "0003_bob"}
    new = {FIRST, "0002_theirs", "0003_bob", "0004_bob"}
    return find_heads(files) is None or {one.id for one in files} in (old, new)


@pytest.mark.parametrize("has_mine", [True, False])
def test_killed_between_its_files_it_is_finished(
    office: Inv,
    office_process: Inv,
    company: Path,
    database: Database,
    tmp_path: Path,
    has_mine: bool,
) -> None:
    hire(company)
    folder, kept = company / "migrations", tmp_path / "kept"
    shutil.copytree(folder, kept)
    floor = {
        "upgrade": ADD.format("employee", "nick"),
        "downgrade": DROP.format("employee", "nick"),
    }
    every = has_mine and database.kind == "sqlite"
    for at in range(1, CHANGES + 1) if every else (4, 7):
        assert not has_mine or office("migrate").code == 0
        add_revision(company, "0002_theirs", **floor)
        assert kill(office_process, company, at)
        assert is_whole_or_refused(folder / "versions"), at
        killed = office("migrate")
        assert killed.code == 3, (at, killed)
        if at > 1:  # before, nothing has begun
            assert "hint: finish it: inv makemigrations --rebase 0002_bob" in killed.err
        again = office("makemigrations", "--rebase", "0002_bob", "--no-input")
        assert again.code == 0, (at, again)
        assert revisions(company) == MOVED
        assert not [*company.rglob(".*")]
        assert office("migrate").code == 0
        assert departments(database) == HIRED
        assert office("migrate", "--to", FIRST, "--no-input").code == 0
        assert departments(database) == [("Engineering",)]
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
    add_revision(company, "0002_theirs", **floor)
    assert not kill(office_process, company, CHANGES + 1)
    assert revisions(company) == MOVED


FULL = """
import errno, os, sys
count = 0
def hook(event, arguments):
    global count
    writes = event == "open" and arguments[2] & os.O_CREAT
    path = str(arguments[0]) if writes or event in ("os.rename", "os.remove") else ""
    swept = event == "os.remove" and path.endswith(".part")  # whether it works or not
    if "/migrations/" in path and "__pycache__" not in path and not swept:
        count += 1
        if int(os.environ["FAILS_FROM"]) <= count < int(os.environ["FAILS_UNTIL"]):
            raise OSError(errno.ENOSPC, f"No space left, change {count}", path)
sys.addaudithook(hook)
"""
"""Lets the changes of the project's files fail from one number on until another."""


@on_sqlite
@pytest.mark.parametrize("until", [1, 100])
def test_the_first_error_is_reported_where_it_cannot_be_undone_too(
    office_process: Inv, company: Path, tmp_path: Path, until: int
) -> None:
    hire(company)
    add_revision(company, "0002_theirs")
    before = revisions(company)
    (tmp_path / "sitecustomize.py").write_text(FULL)
    for at in range(2, CHANGES + 4, 3):
        env = {"PYTHONPATH": str(tmp_path), "FAILS_FROM": f"{at}", "FAILS_UNTIL": f"{at + until}"}
        done = office_process("makemigrations", "--rebase", "0002_bob", env=env)
        if done.code == 0:
            break
        assert (done.code, f"No space left, change {at}\n" in done.err) == (9, True), (at, done)
        if (company / "migrations" / ".unfinished.json").exists():
            assert "state: some of the files are changed" in done.err, (at, done)
            assert office_process("makemigrations", "--rebase", "0002_bob").code == 0
            break
        assert "state: nothing was changed" in done.err, (at, done)
        assert revisions(company) == before
    assert at > 1
    assert revisions(company) == MOVED
    assert office_process("migrate").code == 0


@on_sqlite
def test_a_stopped_one_is_finished_by_its_own_command(
    office: Inv, office_process: Inv, company: Path
) -> None:
    hire(company)
    assert office("migrate").code == 0
    add_revision(company, "0002_theirs")
    assert kill(office_process, company, 6)
    theirs = office("makemigrations", "--rebase", "0002_theirs", "--no-input")
    assert (theirs.code, "inv makemigrations --rebase 0002_bob\n" in theirs.err) == (3, True), (
        theirs
    )
    for command in ("showmigrations", "migrate"):
        assert "--rebase 0002_bob was stopped between its files" in office(command).err
    last = company / "migrations" / "versions" / "0004_bob.py"
    changed = last if last.exists() else last.with_name("0003_bob.py")
    before = changed.read_text()
    changed.write_text(f"{before}# mine\n")
    refused = office("makemigrations", "--rebase", "0002_bob", "--no-input")
    assert refused.code == 3, refused
    assert f"{changed} is another than it was then" in refused.err
    changed.write_text(before)
    assert office("makemigrations", "--rebase", "0002_bob", "--no-input").code == 0
    assert revisions(company) == MOVED


@on_sqlite
def test_a_note_without_its_end_is_in_nobodys_way(office: Inv, company: Path) -> None:
    part(company)
    note = company / "migrations" / ".unfinished.json"
    note.write_text("{")
    refused = office("migrate")
    assert (refused.code, f"hint: remove {note}" in refused.err) == (3, True), refused
    assert office("makemigrations", "--rebase", "0002_nick").code == 0
    assert not note.exists()


@on_sqlite
def test_a_stopped_one_is_finished_where_the_files_came_back(
    office: Inv, office_process: Inv, company: Path
) -> None:
    hire(company)
    add_revision(company, "0002_theirs")
    versions = company / "migrations" / "versions"
    before = {one: one.read_bytes() for one in versions.glob("*.py")}
    assert kill(office_process, company, CHANGES)
    for path, content in before.items():
        path.write_bytes(content)
    assert office("makemigrations", "--rebase", "0002_bob").code == 0
    assert revisions(company) == MOVED
    assert office("migrate").code == 0
