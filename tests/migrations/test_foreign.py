"""Projects with an env.py of their own: migrated as they are, on the database that we name."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url

from conftest import KINDS, ROOT, Database, Result, fresh_database

AUTHOR, BOOK, SEARCH, GENRE = "1f0c5d2a7b31", "8a4e9d03c6f2", "c2b6e1f4907a", "d5537be1a0c4"
ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

Inv = Callable[..., Result]

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
asynchronous = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


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
def other(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[Database]:
    """Return a second database of the same kind."""
    folder = tmp_path / "other"
    folder.mkdir()
    with fresh_database(request, folder, database.kind, KINDS[database.kind]) as fresh:
        yield fresh


@pytest.fixture
def run(inv: Inv, database: Database) -> Inv:
    """Return `inv` on the database, which has to succeed unless a code is given."""

    def run(root: Path, *arguments: str, code: int = 0, url: str = database.url) -> Result:
        result = inv(*arguments, cwd=root, env={"DATABASE_URL": url})
        assert result.code == code, result.err
        assert "Traceback" not in result.err
        return result

    return run


def tables(database: Database) -> set[str]:
    """Return the project's tables, without ours."""
    url = make_url(database.url)
    if database.kind == "sqlite" and not Path(url.database or "").exists():
        return set()
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return {name for name in found if not name.startswith("dbtasks_")}


def marks(result: Result) -> list[str]:
    return [line[:3] + line[4:10] for line in result.out.splitlines()]


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
    assert f"Applying {BOOK} ... OK" in run(root, "migrate").out
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
    failed = run(root, "migrate", "--to=-1", "--no-input", code=70)
    assert f"error: {BOOK} raised AttributeError" in failed.err
    assert "drop_sequence" in failed.err
    assert "state: rolled back" in failed.err
    assert "book" in tables(database)
    refused = run(root, "migrate", "--to", "base", "--no-input", code=3)
    assert f"{AUTHOR} cannot be reverted: it has no downgrade()" in refused.err
    assert marks(run(root, "showmigrations")) == ["[X]1f0c5d", "[X]8a4e9d", "[ ]d5537b"]


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


OWN_ENGINE = """
from alembic import context
from sqlalchemy import create_engine, text

with create_engine({url!r}{more}).connect() as connection:
    {before}
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def write_env(root: Path, url: str, more: str = "", before: str = "") -> None:
    text = OWN_ENGINE.format(url=url, more=more, before=before)
    (root / "alembic" / "env.py").write_text(text)


def test_url_of_its_own_leads_to_the_project(
    copy: Callable[[str], Path], run: Inv, database: Database, other: Database
) -> None:
    root = copy("generic")
    write_env(root, other.url)
    run(root, "migrate")
    run(root, "migrate", "--to=-1", "--no-input")
    assert marks(run(root, "showmigrations")) == ["[X]1f0c5d", "[ ]8a4e9d"]
    assert tables(database) == {"alembic_version", "author"}
    assert tables(other) == set()
    assert not list((root.parent / "other").iterdir())


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_another_kind_of_database_is_refused(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    root = copy("generic")
    write_env(root, "mysql+pymysql://shop:hunter2-secret@db.invalid/shop")
    for command in ("showmigrations", "migrate"):
        refused = run(root, command, code=3)
        assert "mysql://db.invalid/shop" in refused.err
        assert database.url.rpartition("/")[2] in refused.err
        assert "hunter2" not in refused.err
    assert tables(database) == set()


@sqlite_only
def test_connection_that_cannot_be_followed_is_refused(
    copy: Callable[[str], Path], run: Inv, database: Database, tmp_path: Path
) -> None:
    root = copy("generic")
    elsewhere = tmp_path / "elsewhere.db"
    creator = f"creator=lambda: __import__('sqlite3').connect({str(elsewhere)!r})"
    write_env(root, "sqlite://", more=f", {creator}")
    refused = run(root, "migrate", code=3)
    assert "creator=" in refused.err
    assert not elsewhere.exists() or elsewhere.stat().st_size == 0
    assert tables(database) == set()


@sqlite_only
def test_database_in_memory_is_refused_and_says_why(copy: Callable[[str], Path], run: Inv) -> None:
    refused = run(copy("generic"), "migrate", code=3, url="sqlite://")
    assert "a database in memory has one only" in refused.err
    assert "hint: take a file" in refused.err


SEVERAL = """
from alembic import context
from sqlalchemy import create_engine

for url in {urls!r}:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


@sqlite_only
def test_several_databases_in_one_run_are_refused(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Else the second one's revisions would go to the first's database."""
    root = copy("generic")
    urls = ["sqlite:///one.db", "sqlite:///two.db"]
    (root / "alembic" / "env.py").write_text(SEVERAL.format(urls=urls))
    assert "several databases in one run" in run(root, "migrate", code=3).err
    assert tables(database) == set()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_env_that_does_not_commit_is_told(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """Plain Alembic says that it has upgraded, and rolls back."""
    root = copy("generic")
    write_env(root, database.url, before='connection.execute(text("SELECT 1"))')
    failed = run(root, "migrate", code=70)
    assert "env.py has not committed" in failed.err
    assert "state: rolled back" in failed.err
    assert tables(database) == set()


@sqlite_only
def test_env_that_runs_nothing_is_told(copy: Callable[[str], Path], run: Inv) -> None:
    root = copy("generic")
    (root / "alembic" / "env.py").write_text('print("not ready yet")\n')
    failed = run(root, "migrate", "--check", code=70)
    assert "env.py runs no migrations" in failed.err
    assert failed.out == ""


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
        f"Applying {AUTHOR}",
        f"Applying {BOOK}",
    ]
    assert "printed" in done.err
    assert "logged" in done.err
    assert done.err.count("CREATE TABLE author") == 1
    assert "alembic.runtime" not in done.err


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


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_keywords_of_env_are_kept(
    copy: Callable[[str], Path], run: Inv, database: Database
) -> None:
    """It may not say where to go, but a search_path is its own affair."""
    root = copy("generic")
    more = ', connect_args={"host": "db.invalid", "options": "-csearch_path=shop"}'
    engine = create_engine(database.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA shop")
    write_env(root, "postgresql+psycopg://nobody@db.invalid/nothing", more=more)
    run(root, "migrate")
    assert {"author", "book"} <= set(inspect(engine).get_table_names(schema="shop"))
    engine.dispose()
