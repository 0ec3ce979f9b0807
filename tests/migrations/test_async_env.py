"""An env.py with an event loop: its own, one in a thread, or that of the application."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import create_engine, make_url

from conftest import Database
from dbtasks import Project, migrations
from dbtasks.errors import DbtasksError
from foreign import AUTHOR, BOOK, Inv, marks, sqlite_only, tables

Copy = Callable[[str], Path]

ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
asynchronous = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

ENV = """
import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from loops import LOOP, POOL
from models import Base

VERSIONS = Path(__file__).parent / "versions"
OPTIONS = {"target_metadata": Base.metadata, "transaction_per_migration": True}
engine = create_async_engine(os.environ["SHOP_URL"])


def choose():
    context.script.version_locations = [str(VERSIONS / engine.dialect.name)]


def offline():
    choose()
    context.configure(url=engine.url, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def work(connection):
    context.configure(connection=connection, render_as_batch=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


async def online():
    choose()
    async with engine.connect() as connection:
        await connection.run_sync(work)
    await engine.dispose()


def in_new_loop():
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(online())
    finally:
        loop.close()


def in_executor():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, online()).result()


def in_lasting_executor():
    POOL.submit(asyncio.run, online()).result()


def in_thread():
    failed = []

    def run():
        try:
            asyncio.run(online())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def in_loop_of_the_application():
    asyncio.run_coroutine_threadsafe(online(), LOOP).result()


if context.is_offline_mode():
    offline()
else:
    {way}()
"""
LOOPS = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

LOOP = asyncio.new_event_loop()
Thread(target=LOOP.run_forever, daemon=True).start()
POOL = ThreadPoolExecutor(1)
"""
WAYS = ["new_loop", "executor", "lasting_executor", "thread", "loop_of_the_application"]


@pytest.fixture
def shop(copy: Copy, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes a project whose env.py has its loop there."""
    driver = ASYNC.get(database.kind, "sqlite+aiosqlite")
    elsewhere = make_url(database.url).set(drivername=driver, database="elsewhere")
    monkeypatch.setenv("SHOP_URL", elsewhere.render_as_string(hide_password=False))

    def make(way: str) -> Path:
        root = copy("generic")
        folder = root / "alembic" / "versions"
        (folder / database.kind).mkdir()
        for path in [*folder.glob("*.py")]:
            path.rename(folder / database.kind / path.name)
        (folder / "oracle").mkdir()
        (folder / "oracle" / "other.py").write_text("revision, down_revision = 'other', None\n")
        (root / "loops.py").write_text(LOOPS)
        (root / "alembic" / "env.py").write_text(ENV.replace("{way}", f"in_{way}"))
        return root

    return make


@asynchronous
@pytest.mark.parametrize("way", WAYS)
def test_loop_elsewhere(
    shop: Callable[[str], Path], run: Inv, database: Database, way: str, tmp_path: Path
) -> None:
    """Its folders by dialect, its transactions and its URL: all commands lead to our database."""
    root = shop(way)
    versions = root / "alembic" / "versions"
    assert marks(run(root, "showmigrations")) == ["[ ]1f0c5d", "[ ]8a4e9d"]
    run(root, "migrate", "--check", code=1)
    assert "CREATE TABLE book" in run(root, "migrate", "--dry-run").out
    assert "CREATE TABLE book" in run(root, "sqlmigrate", "--revision", BOOK).out
    assert tables(database) == set()
    done = run(root, "migrate")
    assert f"Applying {BOOK}: book ... OK" in done.out
    assert "env.py sets transaction_per_migration" in done.err
    assert tables(database) == {"alembic_version", "author", "book"}
    assert "No changes." in run(root, "makemigrations", "--check").out
    models = root / "models.py"
    models.write_text(models.read_text() + "    pages: Mapped[int | None]\n")
    run(root, "makemigrations", "--check", code=1)
    run(root, "makemigrations", "--name", "pages")
    [written] = (versions / database.kind).glob("*pages*.py")
    assert f'down_revision = "{BOOK}"' in written.read_text().replace("'", '"').replace(
        ": str | Sequence[str] | None", ""
    )
    assert "OK" in run(root, "migrate").out
    assert "OK" in run(root, "rollback", "--no-input").out
    run(root, "migrate", "--to", "base", "--no-input")
    assert tables(database) == {"alembic_version"}
    assert not list(tmp_path.rglob("elsewhere*"))


@asynchronous
@pytest.mark.parametrize("way", ["new_loop", "thread", "loop_of_the_application"])
def test_failure_in_a_loop_elsewhere(
    shop: Callable[[str], Path], run: Inv, database: Database, way: str
) -> None:
    root = shop(way)
    path = next(root.rglob(f"{BOOK}*.py"))
    path.write_text(path.read_text().replace('op.create_table(\n        "book"', BROKEN))
    failed = run(root, "migrate", code=8)
    assert "state: 1 of 2 applied" in failed.err
    assert tables(database) == {"alembic_version", "author"}
    path.write_text(path.read_text().replace(BROKEN, 'op.create_table(\n        "book"'))
    assert "OK" in run(root, "migrate").out


BROKEN = 'op.drop_table("nowhere")\n    op.create_table(\n        "book"'


@asynchronous
def test_connection_of_another_thread_is_not_touched(
    shop: Callable[[str], Path],
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program's own thread connects, while env.py runs, to where it wants."""
    root = shop("thread")
    other = tmp_path / "other.db"
    path = next(root.rglob(f"{AUTHOR}*.py"))
    path.write_text(path.read_text().replace("def upgrade() -> None:\n", WAITING))
    begun, goes_on = tmp_path / "begun", tmp_path / "goes_on"
    monkeypatch.setenv("BEGUN", str(begun))
    monkeypatch.setenv("GOES_ON", str(goes_on))

    def connect() -> None:
        while not begun.exists():
            sleep(0.01)
        engine = create_engine(f"sqlite:///{other}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE mine (id INTEGER)")
        engine.dispose()
        goes_on.touch()

    thread = threading.Thread(target=connect)
    thread.start()
    with Project.configure(root, metadata="models:Base", url=database.url) as project:
        migrations.migrate(project)
    thread.join()
    assert tables(Database("sqlite", f"sqlite:///{other}")) == {"mine"}
    assert tables(database) == {"alembic_version", "author", "book"}


WAITING = """def upgrade() -> None:
    import os, time
    open(os.environ["BEGUN"], "w").close()
    while not os.path.exists(os.environ["GOES_ON"]):
        time.sleep(0.01)
"""


@asynchronous
def test_program_with_a_loop(shop: Callable[[str], Path], database: Database, copy: Copy) -> None:
    """asyncio.run in env.py cannot be called where a loop runs; in another thread it can."""
    root = copy("nested") / "service"
    url = make_url(database.url).set(drivername=ASYNC[database.kind])
    text = url.render_as_string(hide_password=False)
    alembic = "../database/alembic.ini"
    with Project.configure(root, alembic=alembic, url=text, reflect=True) as project:

        async def at_once() -> None:
            migrations.migrate(project)

        async def in_a_thread() -> None:
            await asyncio.to_thread(migrations.migrate, project)

        with pytest.raises(DbtasksError) as caught:
            asyncio.run(at_once())
        assert "await asyncio.to_thread(migrations.migrate, project)" in (caught.value.hint or "")
        del caught
        with pytest.warns(RuntimeWarning, match="was never awaited"):  # what env.py gave to run
            gc.collect()
        assert tables(database) == set()
        asyncio.run(in_a_thread())
    assert tables(database) == {"alembic_version", "author", "book"}


NEEDS_A_LOOP = """
import asyncio

from alembic import context

if context.is_offline_mode():
    context.configure(url="sqlite://", literal_binds=True)
    context.run_migrations()
else:
    asyncio.get_running_loop().run_until_complete(None)
"""


@sqlite_only
def test_env_that_needs_a_running_loop(copy: Copy, run: Inv, database: Database) -> None:
    """As one that only works inside of the server's own command."""
    root = copy("generic")
    (root / "alembic" / "env.py").write_text(NEEDS_A_LOOP)
    failed = run(root, "migrate", code=2)
    assert "env.py raised RuntimeError: no running event loop" in failed.err
    assert "hint: let env.py run a loop of its own: asyncio.run(" in failed.err
    assert tables(database) == set()


@asynchronous
def test_interrupt_while_a_thread_migrates(
    shop: Callable[[str], Path], run: Inv, database: Database, tmp_path: Path
) -> None:
    """The thread stops at its next statement, and the command waits for it."""
    root = shop("thread")
    path = next(root.rglob(f"{BOOK}*.py"))
    begun = tmp_path / "begun"
    waits = f'    import time\n    open({str(begun)!r}, "w").close()\n    time.sleep(2)\n'
    upgrade = "def upgrade() -> None:\n"
    path.write_text(path.read_text().replace(upgrade, f"{upgrade}{waits}"))

    def interrupt() -> None:
        while not begun.exists():
            sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with Project.configure(root, metadata="models:Base", url=database.url) as project:
        with pytest.raises(KeyboardInterrupt):
            migrations.migrate(project)
        assert project.outcome == "1 of 2 applied"
    assert tables(database) == {"alembic_version", "author"}
