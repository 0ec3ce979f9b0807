"""Several commands that change the revisions at once: each follows what the one before wrote."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

import pytest

from conftest import Result, clean_environment
from dbtasks import DbtasksError, Project, files, migrations
from dbtasks.errors import Locked
from office import Inv, add_column, on_sqlite
from trees import FIRST, add_revision, part, revisions

PATIENCE = 60.0


def at_once(company: Path, *commands: Sequence[str]) -> list[Result]:
    """Run the commands, and let none go on before all wait for their turn."""
    started = []
    with files.locked(company / "migrations"):
        for number, command in enumerate(commands):
            errors = company.parent / f"errors {number}"
            with errors.open("w") as stream:
                line = [sys.executable, "-m", "invoke", *command]
                process = subprocess.Popen(
                    line,
                    cwd=company,
                    env=clean_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    text=True,
                )
            started.append((process, errors))
        until = monotonic() + PATIENCE
        while not all("waiting for another command" in one.read_text() for _, one in started):
            assert monotonic() < until, [one.read_text() for _, one in started]
            sleep(0.05)
    outputs = [process.communicate(timeout=PATIENCE)[0] for process, _ in started]
    return [
        Result(process.returncode, out, errors.read_text())
        for (process, errors), out in zip(started, outputs, strict=True)
    ]


def codes(results: Sequence[Result]) -> list[int]:
    return sorted(one.code for one in results)


def test_revisions_of_different_names_make_a_line(inv: Inv, company: Path) -> None:
    done = at_once(company, *(["makemigrations", "--empty", "--name", name] for name in "abc"))
    assert codes(done) == [0, 0, 0], done
    assert sorted(name[:4] for name in revisions(company)) == ["0001", "0002", "0003", "0004"]
    assert inv("migrate").out.count("Applying") == 4


def test_what_the_first_wrote_is_not_missing_any_more(inv: Inv, company: Path) -> None:
    add_column(company, "nick: Mapped[str | None]")
    lines = [["makemigrations", "--name", "one"], ["makemigrations", "--name", "two"]]
    done = at_once(company, *lines, ["makemigrations", "--update"])
    # Where --update has the first turn, the revision that is there gets the column.
    updated = "nick" in done[-1].err
    assert len(revisions(company)) == (1 if updated else 2), done
    assert sum("add column employee.nick" in one.err for one in done) == 1, done
    assert inv("makemigrations", "--check").code == 0


@pytest.mark.parametrize(
    "command", [["makemigrations", "--merge"], ["makemigrations", "--rebase", "0002_nick"]]
)
def test_heads_are_joined_once(inv: Inv, company: Path, command: list[str]) -> None:
    part(company)
    done = at_once(company, command, command)
    assert codes(done) == [0, 2], done
    assert inv("migrate").code == 0


def test_one_of_merge_and_rebase_is_done(inv: Inv, company: Path) -> None:
    part(company)
    done = at_once(
        company, ["makemigrations", "--merge"], ["makemigrations", "--rebase", "0003_phone"]
    )
    assert codes(done) == [0, 2], done
    assert inv("migrate").code == 0


def test_revisions_are_squashed_once(inv: Inv, company: Path) -> None:
    add_revision(company, "0002_a")
    add_revision(company, "0003_b", after="0002_a")
    squash = ["squashmigrations", "--from", FIRST, "--to", "0003_b"]
    done = at_once(company, squash, squash, ["makemigrations", "--empty", "--name", "c"])
    assert codes(done)[:2] == [0, 0], done
    assert [one[:4] for one in revisions(company)] == ["0003", "0004"]
    assert inv("migrate").code == 0


@on_sqlite
def test_a_turn_that_does_not_come(project: Project, company: Path) -> None:
    told: list[str] = []
    with files.locked(company / "migrations"):
        assert migrations.makemigrations(project, dry_run=True).revision is None
        with (
            pytest.raises(Locked, match=r"migrations is locked by another command.*waited 0.2 s"),
            migrations.taking_turns(project, wait=0.2, on_wait=told.append),
        ):
            pass
    assert told == ["another command that changes the revisions"]
    with migrations.taking_turns(project), migrations.taking_turns(project, wait=0):
        pass


@on_sqlite
def test_an_error_of_the_block_stays(project: Project) -> None:
    with pytest.raises(BlockingIOError), migrations.taking_turns(project):
        raise BlockingIOError
    with pytest.raises(DbtasksError), migrations.taking_turns(project):
        migrations.merge(project)
