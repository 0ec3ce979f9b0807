"""migrate and other commands, killed anywhere: nothing is torn, or the next run finishes it.

A few points of each; `benchmarks/interrupted.py --faults KILL` goes over more.
"""

from pathlib import Path

import pytest

import syscalls
from conftest import Database, clean_environment

POINTS = 2


@pytest.mark.parametrize("name", ["migrate", "migrate --per-revision", "loaddata", "update"])
def test_killed_at_some_points(name: str, company: Path, database: Database) -> None:
    try:
        syscalls.library()
    except syscalls.NoCompilerError as error:
        pytest.skip(f"no C compiler: {error}")
    with syscalls.stage(company, clean_environment(), database.url, name) as stage:
        points = syscalls.spread(stage.count(syscalls.KILL), POINTS)
        faults = [fault for at in points for fault in stage.faults_at(syscalls.KILL, at)]
    assert not faults, "\n".join(faults)
