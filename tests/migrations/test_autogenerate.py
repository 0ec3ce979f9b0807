"""Plain Alembic beside us, on a project with an env.py of its own: it sees none of our tables."""

import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url

import warm
from conftest import ROOT, Database, Result, clean_environment

Inv = Callable[..., Result]

DOCUMENTED = (ROOT / "docs" / "migrations.md").read_text()


@pytest.fixture
def generic(tmp_path: Path, database: Database) -> Path:
    """Return a project of `alembic init`, whose alembic.ini has the database's URL."""
    unwanted = shutil.ignore_patterns("__pycache__")
    source = ROOT / "tests" / "projects" / "generic"
    root = Path(shutil.copytree(source, tmp_path / "generic", ignore=unwanted))
    ini = root / "alembic.ini"
    text = ini.read_text()
    ini.write_text(text.replace("driver://user:pass@localhost/dbname", database.url))
    return root


def alembic(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.run("alembic", *arguments, cwd=root, env=clean_environment())


def own_tables(database: Database) -> list[str]:
    """Return the names of our tables, wherever they are."""
    engine = create_engine(make_url(database.url))
    looked = inspect(engine)
    schemas = ["dbtasks"] if database.kind == "postgresql" else [None]
    found = [name for schema in schemas for name in looked.get_table_names(schema=schema)]
    engine.dispose()
    return [name for name in found if name.startswith("dbtasks_")]


def leave_out(root: Path) -> None:
    """Add the line that the documentation gives."""
    lines = [line.strip() for line in DOCUMENTED.splitlines()]
    (line,) = (line for line in lines if line.startswith("include_name="))
    env = root / "alembic" / "env.py"
    text = env.read_text()
    configured = "target_metadata=target_metadata)"
    assert configured in text
    env.write_text(text.replace(configured, f"{configured[:-1]}, {line})"))


def test_alembic_sees_none_of_our_tables(inv: Inv, generic: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    assert inv("migrate", cwd=generic, env=env).code == 0
    assert "dbtasks_migration" in own_tables(database)
    if find_spec("alembic.runtime.plugins") is None and database.kind != "postgresql":
        # What the documented line is for: they have no schema of their own here.
        assert "dbtasks_migration" in alembic(generic, "check").stderr
        leave_out(generic)
    checked = alembic(generic, "check")
    assert (checked.returncode, "No new upgrade operations" in checked.stdout) == (0, True), checked
    made = alembic(generic, "revision", "--autogenerate", "-m", "nothing")
    assert made.returncode == 0, made.stderr
    (path,) = generic.rglob("*_nothing.py")
    assert "dbtasks_" not in path.read_text()
    assert "op." not in path.read_text()


def test_our_tables_are_not_made_before_they_are_needed(
    inv: Inv, generic: Path, database: Database
) -> None:
    env = {"DATABASE_URL": database.url}
    assert alembic(generic, "upgrade", "head").returncode == 0
    for command in (
        ["migrate"],
        ["migrate", "--check"],
        ["migrate", "--plan"],
        ["migrate", "--dry-run"],
        ["showmigrations"],
        ["unlock"],
    ):
        assert inv(*command, cwd=generic, env=env).code == 0
    assert own_tables(database) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_env_py_that_names_no_models(inv: Inv, generic: Path, database: Database) -> None:
    """Alembic's template has `target_metadata = None`; tasks.py says what the models are."""
    env = generic / "alembic" / "env.py"
    named = "target_metadata = Base.metadata"
    assert named in env.read_text()
    env.write_text(env.read_text().replace(named, "target_metadata = None"))
    given = {"DATABASE_URL": database.url}
    assert inv("makemigrations", "--check", cwd=generic, env=given).out == "No changes.\n"
    tasks = generic / "tasks.py"
    tasks.write_text("from dbtasks.tasks import collection\n\nnamespace = collection()\n")
    refused = inv("makemigrations", "--check", cwd=generic, env=given)
    assert (refused.code, "metadata=" in refused.err) == (2, True), refused
