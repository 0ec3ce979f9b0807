"""migrate, killed at any statement: nothing is torn, or the journal says exactly what is.

A few points of each kind; `benchmarks/killed.py` goes over all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from conftest import KINDS, clean_environment, fresh_database
from kills import Survey

POINTS = 3


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sqlite", ()),
        ("sqlite", ("--per-revision",)),
        ("postgresql", ()),
        ("postgresql", ("--per-revision",)),
        ("mariadb", ()),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_killed_at_some_points(
    request: pytest.FixtureRequest,
    company: Path,
    tmp_path: Path,
    kind: str,
    options: tuple[str, ...],
) -> None:
    @contextmanager
    def fresh() -> Iterator[str]:
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        with fresh_database(request, folder, kind, KINDS[kind]) as database:
            yield database.url

    survey = Survey(company, clean_environment(), fresh, *options, transactional=kind != "mariadb")
    count = survey.count()
    points = POINTS - len(options)
    step = count // points
    faults = {at: survey.faults_at(at) for at in range(step - step // 3, count, step)}
    assert len(faults) == points
    assert [one for one in faults.items() if one[1]] == []
