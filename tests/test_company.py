"""The company's rows, in a database that is made for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from company.models import Employee
from company.seeds import seed
from dbtasks import Project, migrations


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.configure(
        Path(__file__).parents[1],
        metadata="company.models:Base",
        url=f"sqlite:///{tmp_path / 'test.db'}",
    ) as project:
        migrations.migrate(project)
        yield project


def test_seed_adds_the_first_employees_once(project: Project) -> None:
    for _ in range(2):
        with project.session(writes=True) as session:
            seed(session)
    with project.session() as session:
        employees = session.scalars(select(Employee).order_by(Employee.id))
        assert [str(one) for one in employees] == ["Alice → Engineering", "Bob → Engineering"]
