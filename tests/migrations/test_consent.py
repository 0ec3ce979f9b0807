"""What is reverted is what was confirmed, also when another run comes first; redo is one run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect

from conftest import Database, Result, clean_environment
from dbtasks import Project, migrations
from dbtasks.errors import Refused, UsageError
from trees import FIRST, add_revision

Inv = Callable[..., Result]

PLACE = 'op.create_table("place", sa.Column("id", sa.Integer(), primary_key=True))'
WAIT = """import pathlib, time
    pathlib.Path("{here}/begun").touch()
    while not pathlib.Path("{here}/go").exists():
        time.sleep(0.02)
    """


@pytest.fixture
def place(company: Path) -> Path:
    """Return a second revision of the reference project, which makes a table."""
    return add_revision(company, "0002_place", PLACE, downgrade='op.drop_table("place")')


def tables(project: Project) -> set[str]:
    with project.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_what_another_run_has_applied_meanwhile_is_not_reverted(
    inv: Inv, company: Path, place: Path, database: Database, project: Project
) -> None:
    """There was nothing to revert, so nobody was asked: then the first run committed."""
    text = place.read_text()
    place.write_text(text.replace("op.create_table", WAIT.format(here=company) + "op.create_table"))
    environment = clean_environment() | {"DATABASE_URL": database.url}
    command = [sys.executable, "-m", "invoke"]
    inv("migrate", "--to", FIRST, env={"DATABASE_URL": database.url})
    with subprocess.Popen([*command, "migrate"], cwd=company, env=environment) as first:
        while not (company / "begun").exists():
            os.sched_yield()
        second = subprocess.Popen(
            [*command, "migrate", "--to", FIRST],
            cwd=company,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        # It says so when it waits for the lock; SQLite's waits inside the file.
        if database.kind != "sqlite":
            assert second.stderr is not None
            while "waiting for" not in second.stderr.readline():
                pass
        (company / "go").touch()
        said = second.communicate()[1]
        assert first.wait() == 0
    assert second.returncode in ((0, 3) if database.kind == "sqlite" else (3,)), said
    assert "place" in tables(project)


def test_only_what_was_confirmed_is_reverted(project: Project, place: Path) -> None:
    migrations.migrate(project)
    planned = [step.revision.id for step in migrations.plan(project, to="-1").steps]
    migrations.migrate(project, to="-1", reverts=planned)
    with pytest.raises(Refused, match=f"now {FIRST} would be reverted") as caught:
        migrations.migrate(project, to="-1", reverts=planned)
    assert caught.value.state == "nothing was changed"
    assert "employee" in tables(project)


def test_redo_is_one_run(inv: Inv, project: Project, database: Database, place: Path) -> None:
    env = {"DATABASE_URL": database.url}
    migrations.migrate(project)
    done = inv("redo", "--no-input", env=env)
    assert [line.split()[0] for line in done.out.splitlines()] == ["Reverting", "Applying"]
    place.write_text(place.read_text().replace(PLACE, 'op.execute("BROKEN")'))
    failed = inv("redo", "--no-input", env=env)
    if database.kind == "mariadb":
        assert (failed.code, failed.err.splitlines()[-1]) == (8, "state: 1 of 2 done")
        assert "place" not in tables(project)
    else:
        assert failed.err.splitlines()[-1] == "state: rolled back, 0 of 2 done"
        assert (failed.code, "place" in tables(project)) == (8, True)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_back_from_several_heads_is_not_guessed(project: Project, company: Path) -> None:
    add_revision(company, "0002_left")
    add_revision(company, "0002_right", after=FIRST)
    for head in ("0002_left", "0002_right"):
        migrations.migrate(project, to=head)
    with pytest.raises(UsageError, match="2 heads, and -1 does not say from which"):
        migrations.plan(project, to="-1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--check", "--fake"],
        ["--plan", "--resume"],
        ["--dry-run", "--fake-initial"],
        ["--fake", "--fake-initial"],
        ["--fake-initial", "--resume"],
        ["--resume", "--to", FIRST],
        ["--wait", "99999999999"],
        ["--lock-timeout", "nan"],
    ],
)
def test_options_that_make_no_sense_together(inv: Inv, company: Path, arguments: list[str]) -> None:
    done = inv("migrate", *arguments)
    assert (done.code, done.out) == (2, "")
    assert list(company.glob("*.db")) == []


@pytest.mark.parametrize(
    "command",
    [
        *("migrate", "migrate --to 0002_bad", "migrate --to=+2", "migrate --to 0001"),
        *("migrate --to base", "migrate --to=-1", "rollback", "rollback --steps 2", "redo"),
    ],
)
def test_a_revision_that_is_rejected_tells_what_to_run_again(
    inv: Inv, company: Path, database: Database, command: str
) -> None:
    bad = 'op.execute("UPDATE nowhere SET a = 1")'
    forwards = command in ("migrate", "migrate --to 0002_bad", "migrate --to=+2")
    path = add_revision(
        company, "0002_bad", bad if forwards else "pass", downgrade="pass" if forwards else bad
    )
    url = {"DATABASE_URL": database.url}
    if not forwards:
        assert inv("migrate", env=url).code == 0
    arguments = () if forwards else ("--no-input",)
    failed = inv(*command.split(), *arguments, env=url)
    assert failed.code != 0
    assert f"hint: fix {path.name}, then: inv {command.replace('=+', ' +')}\n" in failed.err
