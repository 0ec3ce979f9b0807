"""migrate from several processes at once: each revision is applied once, and nobody fails."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conftest import KINDS, Database, clean_environment, fresh_database
from races import (
    MIGRATE,
    PACKAGE,
    RUNNERS,
    UPGRADE,
    add_barrier,
    faults,
    faults_of_versions,
    make_newer,
    make_plain,
    plant,
    race,
)


@pytest.fixture
def five(company: Path) -> Path:
    """Return the folder of a project with five revisions."""
    plant(company)
    return company


@pytest.fixture(params=[*KINDS, "galera", "pgbouncer"])
def nodes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sequence[str]]:
    """Return the URLs of a fresh, empty database of each kind, one a node."""
    kind = request.param
    if kind == "galera":
        yield request.getfixturevalue("galera")
    elif kind == "pgbouncer":
        yield [request.getfixturevalue("pgbouncer").url]
    else:
        with fresh_database(request, tmp_path, kind, KINDS[kind]) as fresh:
            yield [fresh.url]


def test_all_succeed_and_each_revision_is_applied_once(five: Path, nodes: Sequence[str]) -> None:
    add_barrier(five)
    finished = race(five, MIGRATE, nodes, clean_environment())
    assert [(one.code, one.err) for one in finished if one.code] == []
    assert len(finished) == RUNNERS
    assert [faults(node) for node in nodes] == [[]] * len(nodes)


def test_the_next_version_upgrades_a_format_with_a_number(
    five: Path, database: Database, tmp_path: Path
) -> None:
    environment = clean_environment() | {"DATABASE_URL": database.url}
    line = [sys.executable, *MIGRATE]
    first = [*line, "--to", "0001_applied"]
    subprocess.run(first, cwd=five, env=environment, check=True, capture_output=True)
    environment["PYTHONPATH"] = str(make_newer(tmp_path / "newer"))
    done = subprocess.run(line, cwd=five, env=environment, capture_output=True, text=True)
    assert (done.returncode, "format" in done.stderr) == (0, False), done.stderr
    assert faults_of_versions([], database.url) == []


def test_two_versions_do_no_harm_to_each_other(
    five: Path, nodes: Sequence[str], tmp_path: Path
) -> None:
    """Half of the processes have the next format of our tables, and find those of this one."""
    environment = clean_environment() | {"DATABASE_URL": nodes[0]}
    line = [sys.executable, *MIGRATE, "--to", "0001_applied"]
    subprocess.run(line, cwd=five, env=environment, check=True, capture_output=True)
    newer = make_newer(tmp_path / "newer")
    add_barrier(five)
    finished = race(five, MIGRATE, nodes, clean_environment(), packages=[PACKAGE.parent, newer])
    faulty = [faults_of_versions(finished, node) for node in nodes]
    assert faulty == [[]] * len(nodes)


@pytest.mark.parametrize("nodes", ["postgresql"], indirect=True)
def test_the_start_is_one_that_plain_alembic_does_not_survive(
    five: Path, nodes: Sequence[str]
) -> None:
    """Otherwise the processes have not met, and the test above shows nothing."""
    make_plain(five)
    add_barrier(five)
    finished = race(five, UPGRADE, nodes, clean_environment())
    assert any(one.code for one in finished)
