"""`dbtasks init` in an empty folder: the reference project, under the user's names."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, Database, Result, in_process
from dbtasks.errors import UsageError
from dbtasks.init import start
from dbtasks.init.starting import package_name

Dbtasks = Callable[..., Result]

OF_DBTASKS = {"pyproject.toml", ".gitignore", ".env.example"}
"""Files that a project and this repository have each for themselves."""


@pytest.fixture
def dbtasks(tmp_path: Path) -> Dbtasks:
    """Return a function that runs `dbtasks` in a folder; an empty one unless named."""
    empty = tmp_path / "empty"
    empty.mkdir()
    return in_process("dbtasks", empty)


def test_the_templates_are_the_reference_project(tmp_path: Path) -> None:
    files = start(tmp_path, "company").files
    compared = 0
    for file in files:
        path = file.path.relative_to(tmp_path)
        if str(path) not in OF_DBTASKS:
            assert file.text == (ROOT / path).read_text(), path
            compared += 1
    assert compared == 9


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_new_project_runs_at_once(dbtasks: Dbtasks, tmp_path: Path, database: Database) -> None:
    env = {"DATABASE_URL": database.url} if database.kind == "postgresql" else {}
    done = dbtasks("init", "my-shop", "--database", database.kind, env=env)
    assert done.code == 0, done.err
    shop = tmp_path / "empty" / "my-shop"
    assert done.out.endswith("Next: cd my-shop && dbtasks migrate seed query\n")
    assert (shop / "src" / "my_shop" / "models.py").is_file()
    shown = dbtasks("migrate", "seed", "query", "--name", "A", cwd=shop, env=env)
    assert (shown.code, shown.out.splitlines()[-1]) == (0, "Alice → Engineering")
    models = shop / "src" / "my_shop" / "models.py"
    column = "    email: Mapped[str | None] = mapped_column(String(200))\n"
    models.write_text(models.read_text().replace("    dept_id:", f"{column}    dept_id:"))
    assert dbtasks("makemigrations", "email", cwd=shop, env=env).code == 0
    done = dbtasks("migrate", "rollback", "-y", cwd=shop, env=env)
    assert done.code == 0, done.err
    assert "1 passed" in dbtasks("test", "-q", "-p", "no:cacheprovider", cwd=shop).out


def test_an_empty_project_says_what_to_add(dbtasks: Dbtasks, tmp_path: Path) -> None:
    assert dbtasks("init", "blog", "--empty").code == 0
    blog = tmp_path / "empty" / "blog"
    assert not list((blog / "migrations").glob("versions/*"))
    for command in ("query", "seed"):
        done = dbtasks("migrate", command, cwd=blog)
        assert done.code == 0, done.err
        assert "There are no models yet: add a class to blog.models" in done.err
    assert "1 passed" in dbtasks("test", "-q", "-p", "no:cacheprovider", cwd=blog).out


def test_nothing_is_overwritten(dbtasks: Dbtasks, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "alembic.ini").write_text("mine")
    done = dbtasks("init", ".")
    assert done.code == 0, done.err
    assert "Exists: alembic.ini" in done.out
    assert (empty / "alembic.ini").read_text() == "mine"
    (empty / "src" / "empty" / "seeds.py").unlink()
    again = dbtasks("init", ".", "--dry-run")
    assert "Would write" not in again.out  # it is a project now, and is adopted
    assert "Found models: empty.models:Base" in again.out


def test_a_dry_run_writes_nothing(dbtasks: Dbtasks, tmp_path: Path) -> None:
    done = dbtasks("init", "shop", "--dry-run")
    assert "Would write tasks.py" in done.out
    assert not (tmp_path / "empty" / "shop").exists()


@pytest.mark.parametrize(
    ("kind", "wanted", "without"),
    [("postgresql", "dbtasks[postgresql]", "app.db"), ("mysql", "dbtasks[mysql]", "app.db")],
)
def test_another_database(tmp_path: Path, kind: str, wanted: str, without: str) -> None:
    texts = {file.path.name: file.text for file in start(tmp_path, "shop", database=kind).files}
    assert f'dependencies = ["{wanted}"]' in texts["pyproject.toml"]
    assert without not in texts["tasks.py"] + texts[".env.example"]
    assert f"\nDATABASE_URL={kind}://user:password@localhost/shop\n" in texts[".env.example"]


@pytest.mark.parametrize("name", ["class", "json", "dbtasks", "tests", "1st", "übung", "a/b", ""])
def test_a_name_that_is_no_package(name: str) -> None:
    with pytest.raises(UsageError):
        package_name(name)


def test_without_tasks_file_init_is_offered(dbtasks: Dbtasks) -> None:
    done = dbtasks("migrate")
    assert (done.code, done.err) == (
        2,
        "error: there is no tasks.py in this folder or above it\n"
        "hint: start a project, or adopt the one in this folder: dbtasks init\n"
        "state: nothing was changed\n",
    )
    assert "init" in dbtasks("--help").out


def test_a_folder_that_cannot_be_written(dbtasks: Dbtasks, tmp_path: Path) -> None:
    (tmp_path / "empty" / "shop").write_text("a file")
    done = dbtasks("init", "shop")
    assert done.code == 9
    assert "cannot write" in done.err
    shutil.rmtree(tmp_path / "empty")
