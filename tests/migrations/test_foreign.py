"""Projects with an env.py of their own: migrated as they are, on the database that we name."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from conftest import Database
from foreign import AUTHOR, BOOK, GENRE, SEARCH, Inv, marks, sqlite_only, tables

ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
asynchronous = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def walk_through(root: Path, run: Inv, database: Database) -> None:
    """Do with a project of two revisions what its people do."""
    assert marks(run(root, "showmigrations")) == ["[ ]1f0c5d", "[ ]8a4e9d"]
    run(root, "migrate", "--check", code=1)
    text = run(root, "migrate", "--dry-run").out
    assert text.index("CREATE TABLE author") < text.index("CREATE TABLE book")
    assert tables(database) == set()
    assert "OK" in run(root, "migrate", "--to", AUTHOR).out
    assert tables(database) == {"alembic_version", "author"}
    assert "CREATE TABLE author" not in run(root, "migrate", "--dry-run").out
    assert f"Applying {BOOK}: book ... OK" in run(root, "migrate").out
    assert "Nothing to apply." in run(root, "migrate").out
    assert marks(run(root, "showmigrations")) == ["[X]1f0c5d", "[X]8a4e9d"]
    run(root, "migrate", "--check")
    run(root, "migrate", "--to=-1", "--no-input")
    assert tables(database) == {"alembic_version", "author"}
    run(root, "migrate", "--to", "base", "--no-input")
    assert tables(database) == {"alembic_version"}


def break_last(root: Path) -> None:
    """Let the last revision fail after it has made its table."""
    path = next(root.rglob(f"{BOOK}*.py"))
    text = path.read_text()
    broken = text.replace(
        "\n\n\ndef downgrade", '\n    op.drop_table("nowhere")\n\n\ndef downgrade'
    )
    assert broken != text
    path.write_text(broken)


def test_project_of_alembic_init(copy: Callable[[str], Path], run: Inv, database: Database) -> None:
    walk_through(copy("generic"), run, database)


def test_our_tables_are_not_dropped_when_compared_with_the_database(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    root = copy("generic")
    run(root, "migrate")
    assert run(root, "makemigrations", "--check", "--from-database").out == "No changes.\n"


@asynchronous
def test_asynchronous_env_in_another_folder(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """The URL of the project has the asynchronous driver, as the application uses it."""
    url = make_url(database.url).set(drivername=ASYNC[database.kind])
    text = url.render_as_string(hide_password=False)
    walk_through(
        copy("nested") / "service",
        lambda *arguments, **options: run(*arguments, **options, url=text),
        database,
    )


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_env_keeps_its_asynchronous_driver(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """The project's URL has libpq's driver and its keywords, alembic.ini's has asyncpg."""
    root = copy("nested") / "service"
    query = "?sslmode=disable&application_name=shop&connect_timeout=5"
    assert "OK" in run(root, "migrate", url=database.url + query).out
    assert tables(database) == {"alembic_version", "author", "book"}
    wrong = run(root, "migrate", "--check", code=2, url=database.url + "?keepalives=1")
    assert "asyncpg" in wrong.err
    assert "keepalives" in wrong.err


@pytest.mark.pyproject
def test_labelled_branches_and_a_folder_for_each_kind(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    root = copy("branches")
    run(root, "migrate", "--check", code=1)
    assert tables(database) == set()
    run(root, "migrate", "--to", "catalogue")
    assert tables(database) == {"shop_version", "author", "book"}
    assert "CREATE TABLE search" in run(root, "migrate", "--dry-run").out
    assert f"Applying {SEARCH}" in run(root, "migrate").out
    assert tables(database) == {"shop_version", "author", "book", "search"}
    assert "Nothing to apply." in run(root, "migrate").out
    assert sorted(marks(run(root, "showmigrations"))) == ["[X]1f0c5d", "[X]8a4e9d", "[X]c2b6e1"]
    run(root, "migrate", "--to", "base", "--no-input")
    assert tables(database) == {"shop_version"}
    assert list(root.rglob("*.db")) == []


@sqlite_only
def test_broken_downgrades(copy: Callable[[str], Path], run: Inv, database: Database) -> None:
    root = copy("broken")
    run(root, "migrate")
    run(root, "migrate", "--to=-1", "--no-input")
    failed = run(root, "migrate", "--to=-1", "--no-input", code=2)
    assert f"error: {BOOK} raised AttributeError" in failed.err
    assert "drop_sequence" in failed.err
    assert "state: rolled back" in failed.err
    assert "book" in tables(database)
    refused = run(root, "migrate", "--to", "base", "--no-input", code=3)
    assert f"{AUTHOR} cannot be reverted: it has no downgrade()" in refused.err
    assert marks(run(root, "showmigrations")) == ["[X]1f0c5d", "[X]8a4e9d", "[ ]d5537b"]


@pytest.mark.every_value
@pytest.mark.parametrize("name", ["generic", "nested/service"])
@asynchronous
def test_failure_leaves_nothing(
    copy: Callable[[str], Path], run: Inv, database: Database, name: str
) -> None:
    """Plain Alembic leaves both tables on SQLite, and no re-run works.

    The project's URL has no asynchronous driver; env.py gets one, as alembic.ini has one.
    """
    project, _, folder = name.partition("/")
    root = copy(project) / folder
    break_last(root.parent if folder else root)
    failed = run(root, "migrate", code=8)
    assert f"error: {BOOK}: " in failed.err
    assert "state: rolled back, 0 of 2 applied" in failed.err
    assert tables(database) == set()


LISTENING = """
@event.listens_for(Engine, "connect")
def turn_on(connection, record):
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


@event.listens_for(Engine, "begin")
def begin(connection):
    connection.exec_driver_sql("BEGIN")


"""


@sqlite_only
def test_project_that_has_followed_sqlalchemys_advice_on_sqlite(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """It begins transactions and turns foreign keys on, which rebuilding a table cannot have."""
    root = copy("generic")
    models = root / "models.py"
    head, _, tail = models.read_text().partition("class Base")
    head = head.replace("import ForeignKey", "import Engine, ForeignKey, event").rstrip()
    models.write_text(f"{head}\n\n\n{LISTENING.strip()}\n\n\nclass Base{tail}")
    run(root, "migrate")
    path = database.url.partition(":///")[2]
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO author VALUES (1, 'Ursula')")
        connection.execute("INSERT INTO book VALUES (1, 'Tehanu', 1)")
    (root / "alembic" / "versions" / "rebuild.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        f'revision, down_revision = "{GENRE}", "{BOOK}"\n\n'
        "def upgrade():\n"
        '    with op.batch_alter_table("author") as batch:\n'
        '        batch.alter_column("name", type_=sa.String(80))\n'
    )
    run(root, "migrate")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM book").fetchone() == (1,)
    connection.close()


@sqlite_only
def test_logging_of_env_leaves_our_output_alone(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Its fileConfig takes away every handler that it finds, and may write to stdout."""
    root = copy("generic")
    ini = root / "alembic.ini"
    settings = ini.read_text().replace("sys.stderr", "sys.stdout")
    ini.write_text(
        settings.replace("level = WARNING\nhandlers = console", "level = INFO\nhandlers = console")
    )
    path = next(root.rglob(f"{BOOK}*.py"))
    text = path.read_text().replace("import sqlalchemy", "import logging\n\nimport sqlalchemy")
    said = '    print("printed")\n    logging.getLogger("shop").info("logged")\n'
    path.write_text(text.replace("def upgrade() -> None:\n", f"def upgrade() -> None:\n{said}"))
    done = run(root, "migrate", "--echo")
    assert [line.split(" ... ")[0] for line in done.out.splitlines()] == [
        f"Applying {AUTHOR}: author",
        f"Applying {BOOK}: book",
    ]
    assert "printed" in done.err
    assert "logged" in done.err
    assert done.err.count("CREATE TABLE author") == 1
    assert "alembic.runtime" not in done.err


@pytest.mark.pyproject
@sqlite_only
def test_ini_for_logging_beside_pyproject(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Alembic's pyproject template leaves the URL and the logging in alembic.ini."""
    root = copy("generic")
    env = root / "alembic" / "env.py"
    env.write_text(f"{env.read_text()}\nassert config.config_file_name\n")
    ini = root / "alembic.ini"
    ini.write_text(ini.read_text().replace("script_location = %(here)s/alembic\n", ""))
    (root / "pyproject.toml").write_text(
        '[tool.alembic]\nscript_location = "%(here)s/alembic"\nprepend_sys_path = ["."]\n'
    )
    assert "OK" in run(root, "migrate").out
    tasks = root / "tasks.py"
    tasks.write_text(tasks.read_text().replace(")", ', alembic="pyproject.toml")'))
    assert "OK" in run(root, "migrate", "--to=-1", "--no-input").out
