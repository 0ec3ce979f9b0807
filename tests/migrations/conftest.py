"""What the tests of several kinds of projects run on."""

import shutil
import sys
from collections.abc import Callable, Iterator
from copy import copy as copying
from pathlib import Path

import pytest
from alembic.autogenerate import comparators

from conftest import ROOT, Database, Result
from foreign import Inv
from worlds import World


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies one of tests/projects."""

    def make(name: str) -> Path:
        unwanted = shutil.ignore_patterns("__pycache__")
        return Path(
            shutil.copytree(ROOT / "tests" / "projects" / name, tmp_path / name, ignore=unwanted)
        )

    return make


@pytest.fixture
def run(inv: Inv, database: Database) -> Inv:
    """Return `inv` on the database, which has to succeed unless a code is given."""

    def run(root: Path, *arguments: str, code: int = 0, url: str = database.url) -> Result:
        result = inv(*arguments, cwd=root, env={"DATABASE_URL": url})
        assert result.code == code, result.err
        assert "Traceback" not in result.err
        return result

    return run


@pytest.fixture
def world(company: Path, database: Database) -> World:
    """Return a project without revisions, whose models a test writes."""
    return World(company, database)


@pytest.fixture
def forget() -> Iterator[None]:
    """Let no comparator, and no module, of a test's own package outlive it."""
    registry, modules = comparators._registry, {*sys.modules}
    before = {key: copying(entries) for key, entries in registry.items()}
    yield
    registry.clear()
    registry.update(before)
    for name in {*sys.modules} - modules:
        if name in ("view_package", "alembic_postgresql_enum"):
            del sys.modules[name]
