"""Each command that writes files, killed at a few system calls; benchmarks/ has the rest."""

from pathlib import Path

import pytest

import syscalls
from conftest import clean_environment
from file_kills import COMMANDS, prepare, spread

POINTS = 3


@pytest.mark.parametrize("name", COMMANDS)
def test_a_whole_content_is_left(company: Path, name: str) -> None:
    try:
        syscalls.library()
    except syscalls.NoCompilerError as error:
        pytest.skip(f"no C compiler: {error}")
    kills = prepare(company, clean_environment(), name)
    points = spread(kills.count(), 60)
    chosen = points[:: -(len(points) // POINTS)]
    assert [fault for at in chosen for fault in kills.faults_at(at)] == []
