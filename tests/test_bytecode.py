"""Code that is written twice within a second, at the same size, runs as it is written last."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

import warm
from conftest import Database, Result, clean_environment
from dbtasks import Project, bytecode, migrations
from dbtasks.migrations.history.directory import read_config
from trees import FIRST, add_revision

Inv = Callable[..., Result]

SAME_SECOND = int(time.time()) + 3600
"""The time of all versions of a file: by it and the size Python takes them for one."""

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def rewrite(path: Path, old: str, new: str) -> None:
    """Change a file as an editor does, without a sign by which Python sees it."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    assert len(old) == len(new)
    path.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(path, (SAME_SECOND, SAME_SECOND))


def revision(company: Path, table: str) -> Path:
    path = add_revision(
        company,
        "0002_more",
        f'op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))',
        downgrade=f'op.drop_table("{table}")',
    )
    os.utime(path, (SAME_SECOND, SAME_SECOND))
    return path


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return {*inspect(engine).get_table_names()} & {"one", "two"}
    finally:
        engine.dispose()


@pytest.fixture
def alembic(company: Path, database: Database) -> Callable[..., str]:
    """Return a function that runs plain Alembic as a process."""

    def run(*arguments: str) -> str:
        environment = clean_environment() | {"DATABASE_URL": database.url}
        done = warm.run("alembic", *arguments, cwd=company, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@on_sqlite
def test_revisions_in_one_process(project: Project, company: Path, database: Database) -> None:
    path = revision(company, "one")
    migrations.migrate(project)
    assert tables(database.url) == {"one"}
    migrations.migrate(project, to=FIRST, reverts=["0002_more"])
    rewrite(path, '"one"', '"two"')
    migrations.migrate(project)
    assert tables(database.url) == {"two"}


@on_sqlite
def test_revisions_of_plain_alembic_in_one_process(
    project: Project, company: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic finds no bytecode of ours, and we use none of Alembic's."""
    monkeypatch.setenv("DATABASE_URL", database.url)
    config = read_config(project)
    path = revision(company, "one")
    migrations.migrate(project, to=FIRST)
    rewrite(path, '"one"', '"two"')
    command.upgrade(config, "head")
    assert tables(database.url) == {"two"}
    command.downgrade(config, FIRST)
    rewrite(path, '"two"', '"one"')
    migrations.migrate(project)
    assert tables(database.url) == {"one"}


@on_sqlite
def test_revisions_in_several_processes(
    inv_process: Inv, alembic: Callable[..., str], company: Path, database: Database
) -> None:
    environment = {"DATABASE_URL": database.url}

    def migrate(to: str, *, by: object) -> None:
        if by is alembic:
            alembic("upgrade" if to == "head" else "downgrade", to)
        else:
            assert inv_process("migrate", "--to", to, "--no-input", env=environment).code == 0

    path = revision(company, "one")
    for first, then, old, new in (
        (inv_process, inv_process, "one", "two"),
        (inv_process, alembic, "two", "one"),
        (alembic, inv_process, "one", "two"),
    ):
        migrate("head", by=first)
        migrate(FIRST, by=first)
        rewrite(path, f'"{old}"', f'"{new}"')
        migrate("head", by=then)
        assert tables(database.url) == {new}
        migrate(FIRST, by=inv_process)


@on_sqlite
def test_a_squash_after_a_revision_ran(project: Project, company: Path, database: Database) -> None:
    path = revision(company, "one")
    migrations.migrate(project)
    migrations.migrate(project, to="base", reverts=["0002_more", FIRST])
    rewrite(path, '"one"', '"two"')
    migrations.squashmigrations(project, first=FIRST, last="0002_more")
    migrations.migrate(project)
    assert tables(database.url) == {"two"}


MODELS = "import company.models"


@on_sqlite
def test_models_env_and_tasks(
    inv_process: Inv, alembic: Callable[..., str], company: Path, database: Database
) -> None:
    """The bytecode is plain Python's and plain Alembic's: `inv` itself writes none of these."""
    files = (company / "src/company/models.py", company / "migrations/env.py", company / "tasks.py")
    for path in files:
        os.utime(path, (SAME_SECOND, SAME_SECOND))
    alembic("upgrade", "head")
    subprocess.run(
        [sys.executable, "-c", MODELS], cwd=company / "src", env=clean_environment(), check=True
    )
    environment = {"DATABASE_URL": database.url}
    assert inv_process("makemigrations", "--check", env=environment).code == 0
    rewrite(files[0], "String(50)", "String(60)")
    assert "String(60)" in files[0].read_text()
    assert inv_process("makemigrations", "--check", env=environment).code == 1
    rewrite(files[1], "environment.run(", "environment.ran(")
    assert "environment.ran" in files[1].read_text()
    assert "'ran'" in inv_process("makemigrations", "--check", env=environment).err
    rewrite(files[2], "company.models", "company.middle")
    assert "company.middle" in inv_process("query", env=environment).err


def test_bytecode_that_is_settled_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("A = 1\n")
    os.utime(source, (SAME_SECOND - 7200, SAME_SECOND - 7200))
    for _ in range(2):
        subprocess.run([sys.executable, "-c", "import one"], cwd=tmp_path, check=True)
        bytecode.discard_doubtful(str(source))
        assert [*(tmp_path / "__pycache__").glob("one.*.pyc")] != []


def test_alembic_itself_is_deceived(tmp_path: Path) -> None:
    """When this fails, Python or Alembic has learnt it, and dbtasks.bytecode can go."""
    path = tmp_path / "one.py"
    for text in ('revision = "a"\n', 'revision = "b"\n'):
        path.write_text(f"{text}down_revision = None\n")
        os.utime(path, (SAME_SECOND, SAME_SECOND))
        heads = ScriptDirectory(str(tmp_path), version_locations=[str(tmp_path)]).get_heads()
    assert heads == ["a"]
