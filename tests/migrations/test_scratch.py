"""Scratch databases: none survives its command, and none in use is dropped by another."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from time import time

import pytest
import sqlalchemy as sa

from conftest import KINDS, Database, Result, fresh_database
from dbtasks import Project, files
from dbtasks.engines.base.definitions import SCHEMA
from foreign import Inv
from office import add_column
from recipes import APP, APP_PASSWORD
from trees import add_revision

PREFIX = "dbtasks_scratch_"
NAMES = {"postgresql": "SELECT datname FROM pg_database", "mariadb": "SHOW DATABASES"}

POOLED = """
from alembic import context
from company.models import Base
from facade import engine

{before}
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture(autouse=True)
def temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder in which SQLite's scratch databases are."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left(database: Database, folder: Path) -> list[str]:
    """Return the scratch databases that exist."""
    if database.kind == "sqlite":
        return [path.name for path in folder.glob(f"{PREFIX}*")]
    with administering(database) as connection:
        names = connection.scalars(sa.text(NAMES[database.kind])).all()
    return [name for name in names if name.startswith(PREFIX)]


def administering(database: Database, name: str | None = None) -> closing[sa.Connection]:
    url = sa.make_url(database.url)
    url = url if name is None else url.set(database=name)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    return closing(engine.connect())


@pytest.mark.parametrize("before", ["", "kept = engine.connect()"])
def test_a_pool_of_env_py_keeps_no_scratch_database(
    inv: Inv, company: Path, database: Database, temporary_folder: Path, before: str
) -> None:
    (company / "facade.py").write_text(
        f"import sqlalchemy\nengine = sqlalchemy.create_engine({database.url!r})\n"
    )
    (company / "migrations" / "env.py").write_text(POOLED.format(before=before))
    for _ in range(2):
        done = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
        assert (done.code, done.out) == (0, "No changes.\n"), done.err
    assert left(database, temporary_folder) == []


def test_a_history_that_fails_leaves_no_scratch_database(
    inv: Inv, company: Path, database: Database, temporary_folder: Path
) -> None:
    path = next((company / "migrations" / "versions").glob("0001_*.py"))
    path.write_text(
        path.read_text().replace("def upgrade() -> None:", "def upgrade() -> None:\n    1 / 0")
    )
    failed = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
    assert failed.code == 2, failed.err
    assert left(database, temporary_folder) == []


@pytest.fixture
def abandoned(database: Database, temporary_folder: Path) -> Iterator[tuple[str, str]]:
    """Return the names of two old scratch databases: one that is locked, and one that is not."""
    names = [f"{PREFIX}{int(time()) - 100}_{number}" for number in (1, 2)]
    with ExitStack() as stack:
        if database.kind == "sqlite":
            for name in names:
                (temporary_folder / name).mkdir()
                os.utime(temporary_folder / name, (time() - 100,) * 2)
            stack.enter_context(files.locked(temporary_folder / names[0]))
            yield names[0], names[1]
            return
        connection = stack.enter_context(administering(database))
        for name in names:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
            stack.callback(connection.execute, sa.text(f"DROP DATABASE IF EXISTS {name}"))
        user = stack.enter_context(administering(database, names[0]))
        with Project.configure(".", url=database.url) as project:
            lock = project.backend.session_lock(user)
        assert lock is not None
        assert lock.take()
        yield names[0], names[1]


def test_the_next_command_drops_what_is_abandoned_and_not_what_is_in_use(
    inv: Inv, database: Database, temporary_folder: Path, abandoned: tuple[str, str]
) -> None:
    done = inv("makemigrations", "--check", env={"DATABASE_URL": database.url})
    assert done.code == 0, done.err
    assert left(database, temporary_folder) == [abandoned[0]]


@pytest.fixture
def named(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[Database]:
    """Return an empty database, which is to be the scratch database."""
    with fresh_database(request, tmp_path, database.kind, KINDS[database.kind]) as fresh:
        yield fresh


GRANTS = {
    "postgresql": ["GRANT ALL ON SCHEMA public TO app"],
    "mariadb": ["GRANT ALL ON {name}.* TO app@'%'"],
}
servers = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def environment(database: Database, named: Database) -> dict[str, str]:
    """Return the URLs of a role that may make no database, and whose scratch database is named."""
    found = {}
    for variable, each in (("DATABASE_URL", database), ("SCRATCH_DATABASE_URL", named)):
        with administering(each) as connection:
            for grant in GRANTS[each.kind]:
                name = sa.make_url(each.url).database
                connection.execute(sa.text(grant.format(name=name)))
        url = sa.make_url(each.url).set(username=APP, password=APP_PASSWORD)
        found[variable] = url.render_as_string(hide_password=False)
    return found


def objects(database: Database) -> list[object]:
    with Project.configure(".", url=database.url) as project, project.connect() as connection:
        return [key for key, _ in project.backend.definitions(connection) if key.kind != SCHEMA]


@servers
def test_a_named_scratch_database_is_used_and_left_empty(
    inv: Inv, company: Path, named: Database, environment: dict[str, str]
) -> None:
    def run(*arguments: str, code: int = 0) -> Result:
        done = inv(*arguments, env=environment)
        assert done.code == code, done.err
        assert objects(named) == []
        return done

    assert run("makemigrations", "--check").out == "No changes.\n"
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50), index=True)")
    assert "nick" in run("makemigrations", "--check", code=1).out
    run("makemigrations", "--name", "nick")
    run("migrate")
    assert run("makemigrations", "--check", "--from-database").out == "No changes.\n"
    (company / "migrations" / "versions" / "0003_type.py").write_text(MORE_THAN_TABLES)
    run("makemigrations", "--check", code=0)
    run("squashmigrations", "--from", "0001", "--to", "0002")
    add_revision(company, "0004_fails", "raise ValueError('later')", after="0003_type")
    run("makemigrations", "--check", code=2)


MORE_THAN_TABLES = """
from alembic import op

revision = "0003_type"
down_revision = "0002_nick"


def upgrade():
    op.execute("CREATE VIEW names AS SELECT name FROM employee")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        op.execute("CREATE DOMAIN positive AS integer CHECK (value > 0)")
        op.execute("CREATE TYPE pair AS (a integer, b integer)")
    else:
        op.execute("CREATE PROCEDURE one() SELECT 1")


def downgrade():
    pass
"""


@servers
def test_a_scratch_database_that_is_not_for_this_is_refused(
    inv: Inv, database: Database, named: Database, environment: dict[str, str]
) -> None:
    own = environment["DATABASE_URL"].replace("127.0.0.1", "localhost")
    refused = inv("makemigrations", "--check", env=environment | {"SCRATCH_DATABASE_URL": own})
    assert (refused.code, "the project's own" in refused.err) == (2, True)
    assert APP_PASSWORD not in refused.err
    assert objects(database) == []
    with administering(named) as connection:
        connection.execute(sa.text("CREATE TABLE kept (id INTEGER)"))
    refused = inv("makemigrations", "--check", env=environment)
    assert (refused.code, "is not empty" in refused.err) == (2, True)
    assert len(objects(named)) == 2  # the table and its column


@servers
@pytest.mark.parametrize("is_named", [True, False])
def test_a_transaction_that_env_py_leaves_open_is_ended(
    inv: Inv, company: Path, database: Database, named: Database, is_named: bool
) -> None:
    (company / "facade.py").write_text(
        f"import sqlalchemy\nengine = sqlalchemy.create_engine({database.url!r})\n"
    )
    (company / "migrations" / "env.py").write_text(POOLED.format(before="") + LEFT_OPEN)
    env = {"DATABASE_URL": database.url}
    if is_named:
        env["SCRATCH_DATABASE_URL"] = named.url
    done = inv("makemigrations", "--check", env=env)
    assert (done.code, done.out) == (0, "No changes.\n"), done.err
    assert objects(named) == []


LEFT_OPEN = """
kept = engine.connect()
kept.exec_driver_sql("SELECT 1")
"""


KEPT = """
kept = engine.connect()
if kept.dialect.has_table(kept, "employee"):
    kept.exec_driver_sql("SELECT count(*) FROM employee")
"""


@servers
def test_a_transaction_that_env_py_keeps_in_the_way_is_named(
    inv_process: Callable[..., Result], company: Path, database: Database
) -> None:
    (company / "facade.py").write_text(
        f"import sqlalchemy\nengine = sqlalchemy.create_engine({database.url!r})\n"
    )
    (company / "migrations" / "env.py").write_text(POOLED.format(before=KEPT))
    add_column(company, "nick: Mapped[str | None] = mapped_column(String(50))")
    done = inv_process("makemigrations", env={"DATABASE_URL": database.url}, timeout=30)
    assert (done.code, "hint: let env.py end" in done.err) == (4, True), done
    assert len([*company.glob("migrations/versions/*.py")]) == 1


@servers
def test_what_a_killed_command_left_in_it_is_dropped(
    inv: Inv, named: Database, environment: dict[str, str]
) -> None:
    with administering(named) as connection:
        connection.execute(sa.text("CREATE TABLE dbtasks_scratch (id INTEGER)"))
        connection.execute(sa.text("CREATE TABLE employee (id INTEGER)"))
        for name in ("employee", "dbtasks_scratch") if named.kind == "postgresql" else ():
            connection.execute(sa.text(f"ALTER TABLE {name} OWNER TO app"))
    assert inv("makemigrations", "--check", env=environment).out == "No changes.\n"
    assert objects(named) == []


@servers
def test_two_commands_do_not_share_it(
    inv: Inv, named: Database, environment: dict[str, str]
) -> None:
    with (
        administering(named) as user,
        Project.configure(".", url=named.url) as project,
    ):
        lock = project.backend.session_lock(user)
        assert lock is not None
        assert lock.take()
        refused = inv("makemigrations", "--check", env=environment)
    assert (refused.code, "another command uses" in refused.err) == (4, True)


def test_another_kind_of_database_is_refused(inv: Inv, database: Database) -> None:
    others = {"sqlite": "mysql://root@localhost/x", "mariadb": "postgresql://root@localhost/x"}
    url = others.get(database.kind, "sqlite:///scratch.db")
    env = {"DATABASE_URL": database.url, "SCRATCH_DATABASE_URL": url}
    refused = inv("makemigrations", "--check", env=env)
    assert (refused.code, "scratch_url" in refused.err) == (2, True), refused.err
