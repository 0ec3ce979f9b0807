"""pytest-alembic's tests, which many projects have, hold for the reference project.

They are called here: its plugin does not go with pytest 9.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Database, clean_environment

PROGRAM = """
import os, sys

from sqlalchemy import create_engine

sys.path.insert(0, "src")
import pytest_alembic
from pytest_alembic.config import Config
from pytest_alembic.tests import default
from pytest_alembic.tests.experimental import all_models_register_on_metadata as models
from pytest_alembic.tests.experimental import downgrade_leaves_no_trace as trace

engine = create_engine(os.environ["DATABASE_URL"])
module = {"default": default, "models": models, "trace": trace}[sys.argv[1]]
with pytest_alembic.runner(Config({"file": "alembic.ini"}), engine=engine) as runner:
    getattr(module, sys.argv[2])(runner, *sys.argv[3:])
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("default", "test_single_head_revision"),
        ("default", "test_upgrade"),
        ("default", "test_model_definitions_match_ddl"),
        ("default", "test_up_down_consistency"),
        ("trace", "test_downgrade_leaves_no_trace"),
        ("models", "test_all_models_register_on_metadata"),
    ],
)
def test_passes_on_the_reference_project(
    company: Path, database: Database, module: str, name: str
) -> None:
    arguments = []
    if module == "models":  # it finds no Base of SQLAlchemy 2.0's kind by itself
        package = company / "src" / "company" / "__init__.py"
        package.write_text("from company.models import Base\n\nmetadata = Base.metadata\n")
        arguments = ["company"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, name, *arguments],
        cwd=company,
        env=clean_environment() | {"DATABASE_URL": database.url, "PYTHONPATH": "src"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
